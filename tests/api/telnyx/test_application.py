"""What the application answers when something of ours breaks."""

from typing import Any

from fastapi.testclient import TestClient

from vivavoce.api.telnyx.application import application


def test_a_defect_is_answered_in_the_documented_shape() -> None:
    app = application(object(), lambda _jobs: None)  # type: ignore[arg-type]  # no services: every request fails

    async def admitted(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {}).update(org="o", request_id="r-1", body=b"")
        await app(scope, receive, send)

    answer = TestClient(admitted, raise_server_exceptions=False).get("/ai/assistants")
    assert answer.status_code == 500
    (error,) = answer.json()["errors"]
    assert error["title"] == "Internal Server Error"
    assert "r-1" in error["detail"]
