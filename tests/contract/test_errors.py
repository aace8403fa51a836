"""Every row of the table of errors (contract, section 1.4), raised by the SDK as the exception that the row names.

What the API's own causes can show is shown over the live server; what takes a held request, a limit or a failure, in
this process.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import telnyx
from structlog.testing import capture_logs
from telnyx import AsyncTelnyx, DefaultAsyncHttpxClient, Telnyx
from telnyx.types.ai import InferenceEmbedding
from tests.support.server import Server
from tests.support.store import a_version

from vivavoce.app import application
from vivavoce.house import House, house
from vivavoce.services import assistants as assistants_service
from vivavoce.services import imports as imports_service
from vivavoce.services import keys
from vivavoce.settings import Settings

KEY_HEADER = "/header/Idempotency-Key"
HANGUP: Any = {"type": "hangup", "hangup": {}}
PATIENCE_S = 20


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key, base_url=f"{live_server.url}/v2", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def desk(client: Telnyx) -> InferenceEmbedding:
    return client.ai.assistants.create(name=uuid4().hex, instructions="Help.", model="scripted")


@contextmanager
def refused(
    kind: type[telnyx.APIStatusError], status: int, code: str, pointer: str | None = None
) -> Generator[pytest.ExceptionInfo[telnyx.APIStatusError]]:
    """The block must end with exactly this exception, and a body of the ``errors[]`` family."""
    with pytest.raises(kind) as failure:
        yield failure
    assert type(failure.value) is kind
    assert failure.value.status_code == status
    assert failure.value.response.headers["x-request-id"]
    body: Any = failure.value.body
    [error] = body["errors"]
    assert error["code"] == code
    assert error["title"]
    assert error["detail"]
    assert error.get("source", {}).get("pointer") == pointer


@asynccontextmanager
async def near(data_dir: Path, **given: Any) -> AsyncGenerator[tuple[AsyncTelnyx, House]]:
    """A server in this process, and a client of it."""
    settings = Settings(data_dir=data_dir, api_key="a-key-of-its-own", **given)  # type: ignore[arg-type]
    async with house(settings) as opened:
        transport = httpx.ASGITransport(application(settings, opened), raise_app_exceptions=False)
        async with AsyncTelnyx(
            api_key="a-key-of-its-own",
            base_url="http://near.example/v2",
            max_retries=0,
            http_client=DefaultAsyncHttpxClient(transport=transport),
        ) as client:
            yield client, opened


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)


# --- 400 -------------------------------------------------------------------------------------------------------------


def test_row_1_4_400_a_second_tool_of_a_kind_that_exists_once(client: Telnyx) -> None:
    with refused(telnyx.BadRequestError, 400, "10015", "/tools"):
        client.ai.assistants.create(name="a", instructions="b", tools=[HANGUP, HANGUP])


def test_row_1_4_400_an_unknown_destination_version(client: Telnyx, desk: InferenceEmbedding) -> None:
    test = client.ai.assistants.tests.create(
        name=uuid4().hex, destination=desk.id, instructions="Ask.", rubric=[{"name": "a", "criteria": "b"}]
    )
    with refused(telnyx.BadRequestError, 400, "10015", "/destination_version_id"):
        client.ai.assistants.tests.runs.trigger(test.test_id, destination_version_id=uuid4().hex)


def test_row_1_4_400_editing_main_or_a_routed_version(client: Telnyx, desk: InferenceEmbedding) -> None:
    assert desk.version_id
    with refused(telnyx.BadRequestError, 400, "10015"):
        client.ai.assistants.versions.update(desk.version_id, assistant_id=desk.id, greeting="Hi")
    routed = client.ai.assistants.update(desk.id, greeting="Hello", promote_to_main=False).version_id
    assert routed
    client.ai.assistants.canary_deploys.create(desk.id, rules=[{"serve": {"version_id": routed}}])
    with refused(telnyx.BadRequestError, 400, "10015"):
        client.ai.assistants.versions.update(routed, assistant_id=desk.id, greeting="Hi")
    client.ai.assistants.canary_deploys.delete(desk.id)
    assert client.ai.assistants.versions.update(routed, assistant_id=desk.id, greeting="Hi").greeting == "Hi"


def test_row_1_4_400_deleting_a_referenced_assistant(client: Telnyx, desk: InferenceEmbedding) -> None:
    handoff: Any = {"type": "handoff", "handoff": {"ai_assistants": [{"id": desk.id, "name": "desk"}]}}
    client.ai.assistants.create(name="a", instructions="b", tools=[handoff])
    with refused(telnyx.BadRequestError, 400, "10015"):
        client.ai.assistants.delete(desk.id)


def test_row_1_4_400_a_conversation_in_which_the_assistant_is_silent(client: Telnyx, desk: InferenceEmbedding) -> None:
    conversation = client.ai.conversations.create(metadata={"ai_disabled": "true"})
    with refused(telnyx.BadRequestError, 400, "10015", "/conversation_id"):
        client.ai.assistants.chat(desk.id, content="Hi", conversation_id=conversation.id)


def test_row_1_4_400_a_text_message_with_retries(client: Telnyx, desk: InferenceEmbedding) -> None:
    with refused(telnyx.BadRequestError, 400, "10015", "/max_retries_client_errors"):
        client.ai.assistants.scheduled_events.create(
            desk.id,
            telnyx_conversation_channel="sms_chat",
            telnyx_agent_target="+15550100",
            telnyx_end_user_target="+15550101",
            scheduled_at_fixed_datetime=datetime.now(UTC) + timedelta(hours=1),
            text="Hi",
            max_retries_client_errors=1,
            retry_interval_secs=60,
        )


def test_row_1_4_400_a_malformed_key(client: Telnyx) -> None:
    with refused(telnyx.BadRequestError, 400, "10015", KEY_HEADER):
        client.ai.conversations.create(idempotency_key="a b")


# --- 401, 403, 404 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["wrong", None])
def test_row_1_4_401_a_bad_key_or_none(live_server: Server, key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELNYX_API_KEY", raising=False)
    with (
        Telnyx(api_key=key, base_url=f"{live_server.url}/v2", max_retries=0) as stranger,
        refused(telnyx.AuthenticationError, 401, "10009"),
    ):
        stranger.ai.assistants.list()


async def test_row_1_4_403_is_not_answered_because_what_is_somebody_else_s_is_not_there(tmp_path: Path) -> None:
    """There are no scopes and no plans: a key opens all that its organisation has, and of the rest not even the
    existence is told. So nothing here answers 403; its code is kept for when something does."""
    async with near(tmp_path) as (client, opened):
        ctx, draft = opened.context, replace(a_version(), assistant_id="")
        theirs = await ctx.database.write(
            lambda tx: assistants_service.create(ctx, tx, "another", draft, lambda _: None)
        )
        assert await keys.get_all(ctx.database)
        with refused(telnyx.NotFoundError, 404, "10005"):
            await client.ai.assistants.retrieve(theirs.id)
        with refused(telnyx.NotFoundError, 404, "10005"):
            await client.ai.assistants.update(theirs.id, greeting="Mine")
        with refused(telnyx.NotFoundError, 404, "10005"):
            await client.ai.assistants.delete(theirs.id)
        assert (await client.ai.assistants.list()).data == []
        assert (await assistants_service.retrieve(ctx, "another", theirs.id)).main.greeting is None


def test_row_1_4_404_what_is_not_there(client: Telnyx, desk: InferenceEmbedding) -> None:
    with refused(telnyx.NotFoundError, 404, "10005"):
        client.ai.assistants.retrieve("assistant-nobody")
    with refused(telnyx.NotFoundError, 404, "10005"):  # a canary config that was never made
        client.ai.assistants.canary_deploys.retrieve(desk.id)
    with refused(telnyx.NotFoundError, 404, "404"):  # the framework's own
        client.get("/ai/nothing", cast_to=object)


# --- 409, 413, 422, 429 ----------------------------------------------------------------------------------------------


async def test_row_1_4_409_the_same_key_still_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def collect(*_: Any) -> tuple[()]:
        asked.set()
        await may_answer.wait()
        return ()

    monkeypatch.setattr(imports_service, "collect", collect)
    async with near(tmp_path) as (client, _), asyncio.timeout(PATIENCE_S):
        await client.integration_secrets.create(identifier="key", type="bearer", token="t")
        order: Any = {"provider": "vapi", "api_key_ref": "key", "idempotency_key": "k"}
        first = asyncio.create_task(client.ai.assistants.imports(**order))
        await asked.wait()
        with refused(telnyx.ConflictError, 409, "10036", KEY_HEADER):
            await client.ai.assistants.imports(**order)
        may_answer.set()
        assert (await first).data == []
        again = await client.ai.assistants.with_raw_response.imports(**order)
        assert again.headers["Idempotent-Replayed"] == "true"


def test_row_1_4_413_a_keyed_request_that_is_too_large(client: Telnyx) -> None:
    large = "x" * (256 * 1024)
    with refused(telnyx.APIStatusError, 413, "10007"):
        client.ai.assistants.create(name="a", instructions=large, idempotency_key=uuid4().hex)
    assert client.ai.assistants.create(name="a", instructions=large).instructions == large


def test_row_1_4_422_validation_is_of_the_framework_s_family(client: Telnyx) -> None:
    with pytest.raises(telnyx.UnprocessableEntityError) as failure:
        client.ai.assistants.create(name="a", instructions="b", dynamic_variables_webhook_timeout_ms=0)
    body: Any = failure.value.body
    [item] = body["detail"]
    assert set(body) == {"detail"}
    assert item["loc"] == ["body", "dynamic_variables_webhook_timeout_ms"]
    assert (item["type"], item["input"], item["ctx"]) == ("greater_than_equal", 0, {"ge": 1})
    assert item["msg"]


def test_row_1_4_422_a_key_of_another_request_is_of_the_errors_family(client: Telnyx) -> None:
    key = uuid4().hex
    client.ai.conversations.create(name="one", idempotency_key=key)
    with refused(telnyx.UnprocessableEntityError, 422, "10027", KEY_HEADER):
        client.ai.conversations.create(name="other", idempotency_key=key)


def test_row_1_4_422_of_integration_secrets_is_of_the_errors_family(client: Telnyx) -> None:
    with refused(telnyx.UnprocessableEntityError, 422, "10015", "/token"):
        client.integration_secrets.create(identifier=uuid4().hex, type="bearer")


async def test_row_1_4_429_too_many_requests_with_its_three_headers(tmp_path: Path) -> None:
    async with near(tmp_path, rate_limit=2) as (client, _):
        for left in ("1", "0"):
            answer = await client.ai.assistants.with_raw_response.list()
            assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("2", left)
        with refused(telnyx.RateLimitError, 429, "10011") as failure:
            await client.ai.assistants.list()
        headers = failure.value.response.headers
        assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("2", "0")
        assert 1 <= int(headers["x-ratelimit-reset"]) <= 60


# --- 5xx -------------------------------------------------------------------------------------------------------------


async def test_row_1_4_500_a_failure_of_the_server_keeps_its_cause_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError("the secret cause")

    async with near(tmp_path) as (client, _):
        monkeypatch.setattr(assistants_service, "get_all", fails)
        with refused(telnyx.InternalServerError, 500, "10007") as failure, capture_logs() as log:
            await client.ai.assistants.list()
        assert [entry["event"] for entry in log] == ["request failed"]
        assert "secret cause" not in failure.value.response.text
        assert failure.value.response.headers["x-request-id"] in failure.value.response.text


async def test_row_1_4_503_what_the_server_depends_on_is_away(tmp_path: Path) -> None:
    async with near(tmp_path) as (client, _):
        desk = await client.ai.assistants.create(name="a", instructions="b", model="nobody/none")
        conversation = await client.ai.conversations.create()
        with refused(telnyx.InternalServerError, 503, "10016"):
            await client.ai.assistants.chat(desk.id, content="Hi", conversation_id=conversation.id)
