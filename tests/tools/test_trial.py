"""Trying a webhook tool (contract, section 5.6)."""

from collections.abc import Mapping

from tests.outbound.local_server import always, serving

from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import Header, WebhookTool
from vivavoce.outbound.fetch import Session
from vivavoce.tools.reach import OutOfReach, Reach
from vivavoce.tools.secrets import HIDDEN, section
from vivavoce.tools.trial import Trial, attempt
from vivavoce.tools.webhook import Request


async def secret(identifier: str) -> str | None:
    if identifier == "locked":
        raise OutOfReach("It is locked.")
    return {"key": "t0ken"}.get(identifier)


def sign(body: bytes, _header: str) -> Mapping[str, str]:
    return {"Acme-Signature": str(len(body))}


async def tried(session: Session, tool: WebhookTool) -> Trial:
    return await attempt(session, tool, {"n": 1}, key="k", filling=Filling(), reach=Reach(secret=secret, sign=sign))


async def test_what_was_sent_and_what_came_back(session: Session) -> None:
    async with serving(always({"got": "t0ken"}, 201)) as server:
        headers = (Header("Authorization", section("key")),)
        preset = {"key": section("key")}
        tool = WebhookTool("w", "", server.url, headers=headers, body_parameters={}, preset_body=preset, waits_ms=1)
        trial = await tried(session, tool)
    (seen,) = server.seen
    assert seen.json == {"n": 1, "key": "t0ken"}
    headers = {
        "accept": seen.headers["Accept"],
        "content-type": "application/json",
        "idempotency-key": "k",
        "authorization": HIDDEN,
        "acme-signature": str(len(seen.body)),
    }
    shown = Request("POST", server.url, headers, f'{{"n": 1, "key": "{HIDDEN}"}}'.encode())
    told = f'{{"got": "{HIDDEN}"}}'
    assert trial == Trial(True, 201, "application/json; charset=utf-8", told, shown)


async def test_what_cannot_be_put_together_is_told(session: Session) -> None:
    def told(why: str) -> Trial:
        return Trial(False, 0, "", why, None)

    url = "http://127.0.0.1:9"
    numbered = {"type": "object", "properties": {"n": {"type": "string"}}}
    unfit = await tried(session, WebhookTool("w", "", url, body_parameters=numbered))
    assert unfit == told("The tool was not called, because its arguments do not fit: n: 1 is not of type 'string'")
    path = {"type": "object", "properties": {"id": {"type": "string"}}}
    no_path = await tried(session, WebhookTool("w", "", url + "/{id}", path_parameters=path))
    assert no_path == told("The tool was not called: its address needs a value for id.")
    gone = await tried(session, WebhookTool("w", "", url, preset_query={"k": section("gone")}))
    assert gone == told("The tool was not called: there is no secret 'gone' here.")
    locked = await tried(session, WebhookTool("w", "", url, preset_query={"k": section("locked")}))
    assert locked == told("It is locked.")


async def test_an_answer_that_never_came_is_told_with_the_request(session: Session) -> None:
    trial = await tried(session, WebhookTool("w", "", "http://10.0.0.1/" + section("key"), method="GET"))
    assert (trial.success, trial.status_code, trial.content_type) == (False, 0, "")
    assert trial.response == "The tool was not called: its address may not be called from here."
    assert trial.request is not None
    assert trial.request.url == f"http://10.0.0.1/{HIDDEN}"
