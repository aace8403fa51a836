"""Routes of ``vivavoce.api.telnyx.lifecycle``, and the objects that they need."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from tests.support.raw import send, send_json
from tests.support.route import Route
from tests.support.server import Server

ONE = "/ai/assistants/{assistant_id}"
VERSION = f"{ONE}/versions/{{version_id}}"
BODY = {"name": "desk", "instructions": "Help.", "model": "scripted", "version_name": "second"}


def _assistant(server: Server) -> str:
    return send_json(server, "POST", "/v2/ai/assistants", {**BODY, "name": uuid4().hex}).json["id"]


def _beside_main(server: Server, ids: Mapping[str, str]) -> dict[str, str]:
    """Main cannot be changed as a version."""
    id_ = _assistant(server)
    written = send_json(server, "POST", "/v2" + ONE.format(assistant_id=id_), {"promote_to_main": False})
    return {"assistant_id": id_, "version_id": written.json["version_id"]}


def _deleted(server: Server, ids: Mapping[str, str]) -> dict[str, str]:
    id_ = _assistant(server)
    assert send(server, "DELETE", "/v2" + ONE.format(assistant_id=id_)).status == 200
    return {"assistant_id": id_}


ROWS: tuple[Route, ...] = (
    Route("GET", "/ai/assistants/deleted", paged=True),
    Route("GET", f"{ONE}/deleted", fresh=_deleted),
    Route("POST", f"{ONE}/restore", fresh=_deleted),
    Route("POST", f"{ONE}/clone", keyed=True),
    Route("GET", f"{ONE}/texml"),
    Route("POST", VERSION, BODY, fresh=_beside_main),
    Route("DELETE", VERSION, success=204),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {}
