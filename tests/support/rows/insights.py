"""Routes of ``vivavoce.api.telnyx.insights``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

INSIGHT = {
    "name": "mood",
    "instructions": "How content was the caller?",
    "json_schema": {"type": "object", "properties": {"score": {"type": "integer"}}},
    "webhook": "https://hooks.example/insight",
}
GROUP = {"name": "after every call", "description": "What we want to know.", "webhook": "https://hooks.example/group"}
_INSIGHTS, _GROUPS = "/ai/conversations/insights", "/ai/conversations/insight-groups"

ROWS: tuple[Route, ...] = (
    Route("POST", _INSIGHTS, INSIGHT, ("name", "instructions"), keyed=True),
    Route("GET", _INSIGHTS, paged=True),
    Route("GET", f"{_INSIGHTS}/{{insight_id}}"),
    Route("PUT", f"{_INSIGHTS}/{{insight_id}}", INSIGHT),
    Route("DELETE", f"{_INSIGHTS}/{{insight_id}}"),
    Route("POST", _GROUPS, GROUP, ("name",), keyed=True),
    Route("GET", _GROUPS, paged=True),
    Route("GET", f"{_GROUPS}/{{group_id}}"),
    Route("PUT", f"{_GROUPS}/{{group_id}}", GROUP),
    Route("DELETE", f"{_GROUPS}/{{group_id}}"),
    Route("POST", f"{_GROUPS}/{{group_id}}/insights/{{insight_id}}/assign"),
    Route("DELETE", f"{_GROUPS}/{{group_id}}/insights/{{insight_id}}/unassign"),
    Route("GET", "/ai/conversations/conversation-insights/aggregates"),
    Route("GET", "/ai/conversations/{conversation_id}/conversations-insights", paged=True),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {"insight_id": made(_INSIGHTS, INSIGHT)["data"]["id"], "group_id": made(_GROUPS, GROUP)["data"]["id"]}
