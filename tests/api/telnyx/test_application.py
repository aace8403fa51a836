"""What the application answers when something of ours breaks."""

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from vivavoce.api.telnyx.application import application


def asked(context: object) -> Any:
    """The answer of an application with this context to a request that the gate let in."""
    app = application(context)  # type: ignore[arg-type]

    async def admitted(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {}).update(org="o", request_id="r-1", body=b"")
        await app(scope, receive, send)

    return TestClient(admitted, raise_server_exceptions=False).get("/ai/assistants")


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
