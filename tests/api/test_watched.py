"""What those who watch are told of requests, and who may read what Prometheus reads."""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs
from tests.support.asgi import get
from tests.telemetry.seen import Notes

from vivavoce.api.watched import Watched
from vivavoce.app import application
from vivavoce.core.scope import Scope as KeyScope
from vivavoce.house import House, health, house
from vivavoce.services import keys, orgs
from vivavoce.settings import Settings

ADMIN = "an admin's secret of some length"


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Settings, House]]:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)
    settings = Settings(data_dir=tmp_path, api_key=ADMIN, log_format="json")  # type: ignore[arg-type]
    async with house(settings, works=False) as found:
        yield settings, found


async def secret_of(opened: House, scope: KeyScope, org: str = keys.ORG) -> str:
    ctx = opened.context
    _, secret = await keys.create(ctx.database, ctx.clock, ctx.new_id, ctx.token, "k", org=org, scope=scope)
    return secret


async def test_metrics_are_for_the_operators_admins(opened: tuple[Settings, House]) -> None:
    settings, found = opened
    ctx = found.context
    theirs = await orgs.create(ctx.database, ctx.clock, ctx.new_id, "theirs")
    secrets = {
        "": 401,
        "nobody's": 401,
        await secret_of(found, KeyScope.READ): 403,
        await secret_of(found, KeyScope.RUN): 403,
        await secret_of(found, KeyScope.ADMIN, theirs.id): 403,
        ADMIN: 200,
    }
    for app in (application(settings, found), health(found)):
        assert {secret: (await get(app, "/metrics", secret)).status for secret in secrets} == secrets
    refused = await get(health(found), "/metrics")
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_metrics_can_be_open_to_anybody(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path, metrics_open=True), works=False) as found:
        assert (await get(health(found), "/metrics")).status == 200
    async with house(Settings(data_dir=tmp_path), works=False, metrics=False) as found:
        assert (await get(health(found), "/metrics", found.first_key or "")).status == 404


async def test_requests_are_counted_by_their_routes(opened: tuple[Settings, House]) -> None:
    settings, found = opened
    app = application(settings, found)
    asked = {
        "/v2/ai/assistants": ("/v2/ai/assistants", 200),
        "/v2/ai/assistants/a-marked-id": ("/v2/ai/assistants/{assistant_id}", 404),
        "/get-retell-llm/a-marked-id": ("/get-retell-llm/{llm_id}", 422),
        "/viva/v1/keys": ("/viva/v1/keys", 200),
        "/a-marked-path": ("", 404),
    }
    for path in asked:
        await get(app, path, ADMIN)
    await get(app, "/v2/ai/assistants/a-marked-id")
    await get(app, "/healthz")
    answer = await get(app, "/metrics", ADMIN)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "marked" not in answer.json
    counted = {
        (one.labels["route"], int(one.labels["status"])): one.value
        for family in text_string_to_metric_families(answer.json)
        for one in family.samples
        if one.name == "viva_http_requests_total"
    }
    assert counted == {**dict.fromkeys(asked.values(), 1.0), ("", 401): 1.0}


async def test_each_request_is_a_line_of_the_log_where_that_is_wanted(opened: tuple[Settings, House]) -> None:
    settings, found = opened
    with capture_logs() as logs:
        await get(application(settings, found), "/v2/ai/assistants/x?token=marked", ADMIN)
        await get(application(settings, found), "/healthz")
        quiet = settings.model_copy(update={"access_log": False})
        await get(application(quiet, found), "/v2/ai/assistants", ADMIN)
        text = settings.model_copy(update={"log_format": "text"})
        await get(application(text, found), "/v2/ai/assistants", ADMIN)
    [line] = [one for one in logs if one["event"] == "request"]
    assert (line["method"], line["status"], line["log_level"]) == ("GET", 404, "info")
    assert line["request"]
    assert line["ms"] > 0


def a_scope(headers: Mapping[str, str], **given: Any) -> Scope:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "GET", "path": "/x", "headers": raw, **given}


async def nothing() -> Message:
    return {"type": "http.disconnect"}


async def unheard(_: Message) -> None:
    return None


async def test_whose_trace_it_is_comes_along() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    notes = Notes()
    watched = Watched(app, notes, accesses=False)
    given = {"traceparent": "00-1-2-01", "tracestate": "a=b", "authorization": "Bearer marked"}
    await watched(a_scope(given, scheme="https"), nothing, unheard)
    await watched(a_scope({"tracestate": "x" * 513}), nothing, unheard)
    await watched({"type": "lifespan"}, nothing, unheard)
    first, second = notes.requests
    assert (first.context, first.scheme, first.status, first.route) == (
        {"traceparent": "00-1-2-01", "tracestate": "a=b"},
        "https",
        204,
        "",
    )
    assert second.context == {}


async def test_a_request_that_breaks_is_seen_all_the_same() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    notes = Notes()
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await Watched(app, notes, accesses=True)(a_scope({}), nothing, unheard)
    assert notes.requests[0].status == 0
    assert [one["status"] for one in logs] == [0]
