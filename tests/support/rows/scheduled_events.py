"""Routes of ``vivavoce.api.telnyx.scheduled_events``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

EVENTS = "/ai/assistants/{assistant_id}/scheduled_events"
EVENT = {
    "telnyx_conversation_channel": "phone_call",
    "telnyx_agent_target": "+15550100001",
    "telnyx_end_user_target": "+15550100002",
    "scheduled_at_fixed_datetime": "2199-01-01T00:00:00.000Z",
    "conversation_metadata": {"order": "A-1"},
    "dynamic_variables": {"name": "Ann"},
    "max_retries_client_errors": 2,
    "retry_interval_secs": 60,
    "call_settings": {"sip_region": "Europe"},
}
ROWS: tuple[Route, ...] = (
    Route(
        "POST",
        EVENTS,
        EVENT,
        (
            "telnyx_conversation_channel",
            "telnyx_agent_target",
            "telnyx_end_user_target",
            "scheduled_at_fixed_datetime",
        ),
        keyed=True,
        success=201,
    ),
    Route("GET", EVENTS, paged=True),
    Route("GET", f"{EVENTS}/{{event_id}}"),
    Route("DELETE", f"{EVENTS}/{{event_id}}"),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {"event_id": made(EVENTS.format(**ids), EVENT)["scheduled_event_id"]}
