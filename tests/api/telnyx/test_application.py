"""What the application answers when something of ours breaks."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from vivavoce.api.telnyx.application import application
from vivavoce.services import chat
from vivavoce.services.errors import Busy


def client(context: object) -> TestClient:
    """Asks an application with this context, past the gate."""
    app = application(context)  # type: ignore[arg-type]

    async def admitted(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {}).update(org="o", request_id="r-1", body=b"")
        await app(scope, receive, send)

    return TestClient(admitted, raise_server_exceptions=False)


def asked(context: object) -> Any:
    return client(context).get("/ai/assistants")


def test_a_defect_is_answered_in_the_documented_shape() -> None:
    answer = asked(object())  # no services: every request fails
    assert answer.status_code == 500
    (error,) = answer.json()["errors"]
    assert error["title"] == "Internal Server Error"
    assert "r-1" in error["detail"]


def test_row_1_4_503_a_database_that_is_away_is_said_so() -> None:
    class Away:
        class database:  # noqa: N801
            @staticmethod
            async def read(_work: object) -> None:
                raise OperationalError("SELECT", None, Exception("no connection"))

    answer = asked(Away())
    assert answer.status_code == 503
    (error,) = answer.json()["errors"]
    assert error["code"] == "10016"
    assert "no connection" not in answer.text


@pytest.mark.parametrize(
    ("failure", "code", "told", "logged"),
    [
        (OperationalError("UPDATE", None, Exception("cut off")), "10016", "does not answer", "line"),
        (RuntimeError("a defect"), "10007", "could not be finished", "place"),
        (Busy("It is being answered."), "10036", "is being answered", ""),
    ],
)
def test_a_stream_that_breaks_off_says_why(
    failure: Exception, code: str, told: str, logged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begun(*_given: Any) -> Any:
        return SimpleNamespace(conversation=SimpleNamespace(id="c"))

    async def broken(_ctx: Any, _talk: Any, _content: str, listener: Any) -> str:
        await listener("It")
        raise failure

    monkeypatch.setattr(chat, "begin", begun)
    monkeypatch.setattr(chat, "reply", broken)
    body = {"content": "Hello", "conversation_id": "c", "stream": True}
    with capture_logs() as logs:
        answer = client(object()).post("/ai/assistants/a/chat", json=body)
    delta, error = answer.text.strip().split("\n\n")
    assert delta == 'event: delta\ndata: {"content": "It"}'
    assert error.startswith("event: error\n")
    (found,) = json.loads(error.partition("data: ")[2])["errors"]
    assert (found["code"], told in found["detail"]) == (code, True), found
    assert ["place" if one.get("exc_info") else "line" for one in logs] == ([logged] if logged else [])
