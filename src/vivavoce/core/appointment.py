"""An appointment: a call or a text message that is to go out at its time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from vivavoce.core.event import Millis
from vivavoce.core.scenario import Medium


class Standing(StrEnum):
    """Where an appointment stands. The last two are final."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing more is done for it."""
        return self in (Standing.COMPLETED, Standing.FAILED)


class CallStatus(StrEnum):
    """How a call ended."""

    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"  # the caller hung up before anybody answered


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that was made; ``at`` is when it went out, and ``number`` counts from 1."""

    number: int
    at: Millis
    status: CallStatus
    duration_s: int | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Appointment:
    """``agent_target`` is who calls or writes, ``user_target`` whom. ``text`` is only for messages; retries, their
    interval and the region only for calls. ``most_retries`` counts on top of the first attempt; ``retries`` is how many
    of them were granted. ``text_id`` names the text message that was made of it.
    """

    id: str
    assistant_id: str
    medium: Medium
    agent_target: str
    user_target: str
    due_at: Millis
    created_at: Millis
    standing: Standing = Standing.PENDING
    text: str | None = None
    metadata: Mapping[str, str | int | bool] = field(default_factory=dict[str, str | int | bool])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    most_retries: int = 0
    retry_interval_s: int | None = None
    region: str | None = None
    retries: int = 0
    attempts: tuple[Attempt, ...] = ()
    errors: tuple[str, ...] = ()
    dispatched_at: Millis | None = None
    conversation_id: str | None = None
    text_id: str | None = None


def dispatched(appointment: Appointment, now: Millis) -> Appointment:
    """It goes out now."""
    return replace(appointment, standing=Standing.IN_PROGRESS, dispatched_at=now)


def failed(appointment: Appointment, reason: str) -> Appointment:
    """It will not go out any more, or not again."""
    return replace(appointment, standing=Standing.FAILED, errors=(*appointment.errors, reason))


def after_call(
    appointment: Appointment,
    now: Millis,
    status: CallStatus,
    reason: str = "",
    *,
    duration_s: int | None = None,
    call_id: str | None = None,
) -> Appointment:
    """The appointment when its call has ended (contract, section 6.6).

    What did not complete is tried again while there are retries left: one interval after ``now``, the time at which the
    call ended, whatever the original time was.
    """
    sent_at = now if appointment.dispatched_at is None else appointment.dispatched_at
    attempt = Attempt(len(appointment.attempts) + 1, sent_at, status, duration_s, call_id)
    tried = replace(appointment, attempts=(*appointment.attempts, attempt))
    if status is CallStatus.COMPLETED:
        return replace(tried, standing=Standing.COMPLETED)
    if tried.retries < tried.most_retries and tried.retry_interval_s:
        due_at = now + tried.retry_interval_s * 1000
        return replace(tried, standing=Standing.PENDING, retries=tried.retries + 1, due_at=due_at)
    calls = f"{attempt.number} calls, the last of which" if attempt.number > 1 else "the call, which"
    why = f": {reason}" if reason else ""
    return failed(tried, f"given up after {calls} ended as {status.value}{why}")
