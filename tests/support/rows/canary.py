"""Routes of ``vivavoce.api.telnyx.canary``, and the objects that they need."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from tests.support.raw import send_json
from tests.support.route import Route
from tests.support.server import Server

CANARY = "/ai/assistants/{assistant_id}/canary-deploys"


def _uncanaried(server: Server, ids: Mapping[str, str]) -> dict[str, str]:
    """An assistant has one canary deploy at most."""
    body = {"name": uuid4().hex, "instructions": "Help.", "model": "scripted"}
    return {"assistant_id": send_json(server, "POST", "/v2/ai/assistants", body).json["id"]}


def _canaried(server: Server, ids: Mapping[str, str]) -> dict[str, str]:
    fresh = _uncanaried(server, ids)
    assert send_json(server, "POST", "/v2" + CANARY.format(**fresh), {}).status == 200
    return fresh


ROWS: tuple[Route, ...] = (
    Route("POST", CANARY, {"rules": []}, keyed=True, fresh=_uncanaried, makes=0),
    Route("GET", CANARY, fresh=_canaried),
    Route("PUT", CANARY, {"rules": []}, fresh=_canaried),
    Route("DELETE", CANARY, success=204),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {}
