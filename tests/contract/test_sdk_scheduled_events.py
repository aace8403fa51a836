"""Scheduled events through the vendor's own SDK (contract, sections 5.8 and 6.6)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import telnyx
from telnyx import Telnyx
from telnyx.types.ai.assistants import (
    ScheduledEventResponse,
    ScheduledPhoneCallEventResponse,
    ScheduledSMSEventResponse,
)
from tests.support.raw import send, send_json
from tests.support.routes import is_detail, is_errors
from tests.support.server import Server

PATIENCE_S = 15.0
AGENT, USER = "+15550100001", "+15550100002"


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key, base_url=f"{live_server.url}/v2", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def assistant_id(client: Telnyx) -> str:
    return client.ai.assistants.create(name="desk", instructions="Help.", model="scripted").id


def later(seconds: float) -> datetime:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def create(client: Telnyx, assistant_id: str, channel: Any = "sms_chat", **given: Any) -> ScheduledEventResponse:
    chosen: dict[str, Any] = {
        "telnyx_agent_target": AGENT,
        "telnyx_end_user_target": USER,
        "scheduled_at_fixed_datetime": later(3600),
        **({"text": "Hi"} if channel == "sms_chat" else {}),
        **given,
    }
    return client.ai.assistants.scheduled_events.create(assistant_id, telnyx_conversation_channel=channel, **chosen)


def until_over(client: Telnyx, assistant_id: str, event_id: str | None) -> ScheduledEventResponse:
    end = time.monotonic() + PATIENCE_S
    while True:
        found = client.ai.assistants.scheduled_events.retrieve(event_id or "", assistant_id=assistant_id)
        if found.status in ("completed", "failed"):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.05)


@pytest.mark.operation("ai.assistants.scheduled_events.create", "ai.assistants.scheduled_events.retrieve")
def test_a_text_message_goes_out_at_its_time(client: Telnyx, assistant_id: str, live_server: Server) -> None:
    user = f"+1{uuid4().int % 10**10:010}"
    at = later(0.7)
    made = create(
        client,
        assistant_id,
        text="Hi {{name}}",
        telnyx_end_user_target=user,
        scheduled_at_fixed_datetime=at,
        conversation_metadata={"order": "A-1", "vip": True, "count": 2},
        dynamic_variables={"name": "Ann"},
    )
    assert isinstance(made, ScheduledSMSEventResponse)
    assert made.scheduled_event_id
    assert (made.status, made.text, made.retry_count, made.errors) == ("pending", "Hi {{name}}", 0, [])
    assert made.scheduled_at_fixed_datetime == at
    assert made.conversation_metadata == {"order": "A-1", "vip": True, "count": 2}
    assert made.dynamic_variables == {"name": "Ann"}
    done = until_over(client, assistant_id, made.scheduled_event_id)
    assert (done.status, done.errors) == ("completed", [])
    assert done.conversation_id
    page = send(live_server, "GET", f"/viva/v1/inbox?number=%2B{user[1:]}").json
    assert [(one["text"], one["conversation_id"]) for one in page["data"]] == [("Hi Ann", done.conversation_id)]
    assert datetime.fromisoformat(page["data"][0]["created_at"]) >= at
    conversation = client.ai.conversations.retrieve(done.conversation_id).data
    assert conversation is not None
    metadata = conversation.metadata
    assert (metadata["order"], metadata["vip"], metadata["telnyx_conversation_channel"]) == ("A-1", "true", "sms_chat")


@pytest.mark.operation("ai.assistants.scheduled_events.create", "ai.assistants.scheduled_events.retrieve")
def test_rule_6_6_a_call_without_a_carrier_fails_and_says_why(client: Telnyx, assistant_id: str) -> None:
    once = create(client, assistant_id, "phone_call", scheduled_at_fixed_datetime=later(0.3))
    again = create(
        client,
        assistant_id,
        "phone_call",
        scheduled_at_fixed_datetime=later(0.3),
        max_retries_client_errors=1,
        retry_interval_secs=86400,
        call_settings={"sip_region": "Middle East"},
    )
    assert isinstance(again, ScheduledPhoneCallEventResponse)
    assert again.call_settings is not None
    assert again.call_settings.sip_region == "Middle East"
    done = until_over(client, assistant_id, once.scheduled_event_id)
    assert isinstance(done, ScheduledPhoneCallEventResponse)
    assert (done.status, done.call_status, done.retry_count) == ("failed", "failed", 0)
    assert done.errors is not None
    assert "no carrier is configured" in done.errors[0]
    assert done.call_attempts is not None
    assert [(one.attempt_number, one.call_status) for one in done.call_attempts] == [(1, "failed")]
    end = time.monotonic() + PATIENCE_S
    while True:
        found = client.ai.assistants.scheduled_events.retrieve(
            again.scheduled_event_id or "", assistant_id=assistant_id
        )
        assert isinstance(found, ScheduledPhoneCallEventResponse)
        if found.call_attempts:
            break
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (found.status, found.retry_count, found.retry_attempts, found.errors) == ("pending", 1, 1, [])
    wait = found.scheduled_at_fixed_datetime - datetime.now(UTC)
    assert timedelta(seconds=86_300) < wait <= timedelta(seconds=86_400)


@pytest.mark.operation("ai.assistants.scheduled_events.list")
def test_events_are_listed_filtered_and_paged(client: Telnyx, assistant_id: str) -> None:
    days = [datetime(2190, 1, day, 12, tzinfo=UTC) for day in (1, 2, 3)]
    made = [create(client, assistant_id, scheduled_at_fixed_datetime=day) for day in days]
    call = create(client, assistant_id, "phone_call", scheduled_at_fixed_datetime=days[0])

    def ids(**given: Any) -> list[str | None]:
        return [one.scheduled_event_id for one in client.ai.assistants.scheduled_events.list(assistant_id, **given)]

    one, two, three = (event.scheduled_event_id for event in made)
    assert ids() == ids(page_size=1) == [call.scheduled_event_id, three, two, one]
    assert ids(conversation_channel="phone_call") == [call.scheduled_event_id]
    assert ids(conversation_channel="sms_chat", from_date=days[1]) == [three, two]
    assert ids(from_date=days[1], to_date=days[1]) == [two]
    assert ids(from_date="2190-01-02", to_date="2190-01-02") == [two]
    page = client.ai.assistants.scheduled_events.list(assistant_id, page_number=2, page_size=3)
    assert [event.scheduled_event_id for event in page.data or []] == [one]
    assert page.meta is not None
    assert (page.meta.page_number, page.meta.total_pages) == (2, 2)


@pytest.mark.operation("ai.assistants.scheduled_events.delete")
def test_rule_6_6_deleting_cancels(client: Telnyx, assistant_id: str, live_server: Server) -> None:
    user = f"+1{uuid4().int % 10**10:010}"
    soon = {"telnyx_end_user_target": user, "scheduled_at_fixed_datetime": later(0.8)}
    cancelled, kept = create(client, assistant_id, **soon), create(client, assistant_id, **{**soon, "text": "kept"})
    events = client.ai.assistants.scheduled_events
    events.delete(cancelled.scheduled_event_id or "", assistant_id=assistant_id)
    with pytest.raises(telnyx.NotFoundError):
        events.retrieve(cancelled.scheduled_event_id or "", assistant_id=assistant_id)
    with pytest.raises(telnyx.NotFoundError):
        events.delete(cancelled.scheduled_event_id or "", assistant_id=assistant_id)
    until_over(client, assistant_id, kept.scheduled_event_id)
    page = send(live_server, "GET", f"/viva/v1/inbox?number=%2B{user[1:]}").json
    assert [one["text"] for one in page["data"]] == ["kept"]


CALL: dict[str, Any] = {
    "telnyx_conversation_channel": "phone_call",
    "telnyx_agent_target": AGENT,
    "telnyx_end_user_target": USER,
    "scheduled_at_fixed_datetime": "2199-01-01T00:00:00Z",
}
SMS: dict[str, Any] = {**CALL, "telnyx_conversation_channel": "sms_chat", "text": "Hi"}
RETRIES, INTERVAL = "max_retries_client_errors", "retry_interval_secs"
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({**CALL, RETRIES: 1}, INTERVAL),
    ({**CALL, INTERVAL: 60}, RETRIES),
    ({**CALL, RETRIES: 11, INTERVAL: 60}, RETRIES),
    ({**CALL, RETRIES: -1}, RETRIES),
    ({**CALL, RETRIES: 1, INTERVAL: 59}, INTERVAL),
    ({**CALL, RETRIES: 1, INTERVAL: 86_401}, INTERVAL),
    ({**SMS, RETRIES: 1}, RETRIES),
    ({**SMS, INTERVAL: 60}, INTERVAL),
    ({**SMS, "call_settings": {"sip_region": "US"}}, "call_settings"),
    ({**SMS, "scheduled_at_fixed_datetime": "2020-01-01T00:00:00Z"}, "scheduled_at_fixed_datetime"),
]
MISSHAPEN: list[tuple[dict[str, Any], str]] = [
    ({key: value for key, value in SMS.items() if key != "text"}, "text"),
    ({**SMS, "text": ""}, "text"),
    ({**SMS, "telnyx_conversation_channel": "web_chat"}, "telnyx_conversation_channel"),
    ({**SMS, "scheduled_at_fixed_datetime": "tomorrow"}, "scheduled_at_fixed_datetime"),
    ({**SMS, "scheduled_at_fixed_datetime": 1}, "scheduled_at_fixed_datetime"),
    ({**SMS, "dynamic_variables": {"a": 1}}, "dynamic_variables"),
    ({**SMS, "conversation_metadata": {"a": []}}, "conversation_metadata"),
    ({**SMS, "telnyx_agent_target": ""}, "telnyx_agent_target"),
    ({**CALL, "call_settings": {"sip_region": "Mars"}}, "call_settings"),
    ({**CALL, RETRIES: 1.5}, RETRIES),
]


@pytest.mark.parametrize(("body", "part"), REFUSED)
def test_rule_6_6_what_makes_no_sense_is_refused(
    live_server: Server, assistant_id: str, body: dict[str, Any], part: str
) -> None:
    path = f"/v2/ai/assistants/{assistant_id}/scheduled_events"
    is_errors(send_json(live_server, "POST", path, body), 400, "10015", f"/{part}")
    assert send(live_server, "GET", path).json["meta"]["total_results"] == 0


@pytest.mark.parametrize(("body", "part"), MISSHAPEN)
def test_rule_5_8_what_has_another_shape_is_refused(
    live_server: Server, assistant_id: str, body: dict[str, Any], part: str
) -> None:
    path = f"/v2/ai/assistants/{assistant_id}/scheduled_events"
    is_detail(send_json(live_server, "POST", path, body), "body", part)
    assert send(live_server, "GET", path).json["meta"]["total_results"] == 0


def test_limits_are_included(live_server: Server, assistant_id: str) -> None:
    path = f"/v2/ai/assistants/{assistant_id}/scheduled_events"
    for retries, interval in ((10, 86_400), (1, 60), (0, 0)):
        body = {**CALL, RETRIES: retries, INTERVAL: interval}
        assert send_json(live_server, "POST", path, body).status == 201
    assert send_json(live_server, "POST", path, {**SMS, RETRIES: 0, INTERVAL: 0, "call_settings": {}}).status == 201


def test_ranges_that_are_none(live_server: Server, assistant_id: str) -> None:
    path = f"/v2/ai/assistants/{assistant_id}/scheduled_events"
    for name, value in (("from_date", "soon"), ("to_date", "2026-13-01"), ("conversation_channel", "web_chat")):
        is_detail(send(live_server, "GET", f"{path}?{name}={value}"), "query", name)
