"""Scheduled events ⇄ appointments (contract, sections 5.8 and 6.6)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from vivavoce.api.shape import Whole, fault, omitted, refuse, sent, storable
from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire.messaging import Metadata, Target
from vivavoce.api.telnyx.wire.times import iso, maybe_iso, millis
from vivavoce.core.appointment import Appointment, Attempt, Standing
from vivavoce.core.event import Millis
from vivavoce.core.scenario import Medium

MOST_RETRIES = 10
SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S = 60, 86_400
_DAY_MS = 24 * 3600 * 1000

ChannelName = Literal["phone_call", "sms_chat"]


def _moment(value: object) -> Millis:
    return millis(value if isinstance(value, str) else "")


def _end(value: object) -> Millis:
    """A date alone means all of that day."""
    moment = _moment(value)
    return moment + _DAY_MS - 1 if isinstance(value, str) and len(value) == len("2026-01-01") else moment


_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})
Moment = Annotated[Millis, BeforeValidator(_moment), _DATE_TIME]
"""A time, in milliseconds since the epoch."""
EndMoment = Annotated[Millis, BeforeValidator(_end), _DATE_TIME]
"""The end of a range, which is part of it."""


class CallSettings(BaseModel, frozen=True, extra="ignore"):
    """Where a call is sent from."""

    sip_region: Literal["US", "Europe", "Canada", "Australia", "Middle East"] = omitted()


def _described(lowest: int, highest: int) -> dict[str, Any]:
    return {"minimum": lowest, "maximum": highest}


class EventCreate(BaseModel, frozen=True, extra="ignore"):
    """A call or a text message that is to go out at its time."""

    telnyx_conversation_channel: ChannelName
    telnyx_agent_target: Target
    telnyx_end_user_target: Target
    scheduled_at_fixed_datetime: Moment
    text: str = omitted()
    conversation_metadata: Metadata = omitted()
    dynamic_variables: dict[str, str] = omitted()
    # Out of range they are refused with 400 and not with 422 (section 6.6), so their limits are only described.
    max_retries_client_errors: Annotated[Whole, Field(json_schema_extra=_described(0, MOST_RETRIES))] = omitted()
    retry_interval_secs: Annotated[Whole, Field(json_schema_extra=_described(0, LONGEST_INTERVAL_S))] = omitted()
    call_settings: CallSettings = omitted()

    _storable = model_validator(mode="before")(storable)

    @model_validator(mode="after")
    def _has_text(self) -> "EventCreate":
        if self.telnyx_conversation_channel == Medium.SMS_CHAT.value and not self.text:
            raise refuse(fault("missing", "Field required for sms_chat", self.text, ("text",)))
        return self


def to_appointment(body: EventCreate, *, assistant_id: str, now: Millis) -> Appointment:
    """A new appointment. Raises ``Refused`` where section 6.6 wants 400."""
    wire = sent(body)
    medium = Medium(body.telnyx_conversation_channel)
    retries, interval = wire.get("max_retries_client_errors", 0), wire.get("retry_interval_secs", 0)
    _check_retries(medium, retries, interval)
    if medium is not Medium.PHONE_CALL and wire.get("call_settings"):
        raise bad_request("Only calls have call settings.", pointer="/call_settings")
    if body.scheduled_at_fixed_datetime <= now:
        raise bad_request("The time must be in the future.", pointer="/scheduled_at_fixed_datetime")
    return Appointment(
        "",
        assistant_id,
        medium,
        body.telnyx_agent_target,
        body.telnyx_end_user_target,
        body.scheduled_at_fixed_datetime,
        now,
        text=wire.get("text") if medium is Medium.SMS_CHAT else None,
        metadata=wire.get("conversation_metadata", {}),
        variables=wire.get("dynamic_variables", {}),
        most_retries=retries,
        retry_interval_s=interval or None,
        region=wire.get("call_settings", {}).get("sip_region"),
    )


def _check_retries(medium: Medium, retries: int, interval: int) -> None:
    at_retries, at_interval = "/max_retries_client_errors", "/retry_interval_secs"
    if medium is not Medium.PHONE_CALL and (retries or interval):
        raise bad_request("Only calls are tried again.", pointer=at_retries if retries else at_interval)
    if not 0 <= retries <= MOST_RETRIES:
        raise bad_request(f"There can be 0 to {MOST_RETRIES} retries.", pointer=at_retries)
    if interval and not SHORTEST_INTERVAL_S <= interval <= LONGEST_INTERVAL_S:
        limits = f"{SHORTEST_INTERVAL_S} to {LONGEST_INTERVAL_S}"
        raise bad_request(f"The interval must be {limits} seconds.", pointer=at_interval)
    if retries and not interval:
        raise bad_request("Retries need an interval.", pointer=at_interval)
    if interval and not retries:
        raise bad_request("An interval needs retries.", pointer=at_retries)


def dump_event(appointment: Appointment) -> dict[str, Any]:
    """The response object, which differs by channel."""
    wire: dict[str, Any] = {
        "scheduled_event_id": appointment.id,
        "assistant_id": appointment.assistant_id,
        "telnyx_conversation_channel": appointment.medium.value,
        "telnyx_agent_target": appointment.agent_target,
        "telnyx_end_user_target": appointment.user_target,
        "scheduled_at_fixed_datetime": iso(appointment.due_at),
        "created_at": iso(appointment.created_at),
        "status": appointment.standing.value,
        "conversation_id": appointment.conversation_id,
        "conversation_metadata": dict(appointment.metadata),
        "dynamic_variables": dict(appointment.variables),
        "errors": list(appointment.errors),
        "retry_count": appointment.retries,
    }
    if appointment.medium is not Medium.PHONE_CALL:
        return {**wire, "text": appointment.text or ""}
    last = appointment.attempts[-1] if appointment.attempts else None
    calling = appointment.standing is Standing.IN_PROGRESS
    return {
        **wire,
        "call_attempts": [_attempt(one) for one in appointment.attempts],
        "call_status": "in-progress" if calling else last.status.value if last else None,
        "call_duration": last.duration_s if last and not calling else None,
        "call_settings": {"sip_region": appointment.region} if appointment.region else None,
        "dispatched_at": maybe_iso(appointment.dispatched_at),
        "max_retries_client_errors": appointment.most_retries,
        "retry_attempts": appointment.retries,
        "retry_interval_secs": appointment.retry_interval_s,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt_number": attempt.number,
        "attempted_at": iso(attempt.at),
        "call_status": attempt.status.value,
        "call_duration": attempt.duration_s,
        "telnyx_call_control_id": attempt.call_id,
    }
