"""What tools of a conversation reach: secrets, signatures, servers, documents, the caller."""

import base64
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from tests.outbound.local_server import LOCAL, always, serving
from tests.support.store import ORG, Hand

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import CodeTool, Envelope, Header, MessageTool, RemoteTool, WebhookTool
from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.signing import Signer, signed
from vivavoce.services import secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken
from vivavoce.services.tooling import ToolsOf
from vivavoce.storage.seal import Seal
from vivavoce.tools.code import open_sandbox
from vivavoce.tools.secrets import section


@pytest.fixture
async def near(ctx: Context, hand: Hand) -> AsyncGenerator[Context]:
    """A context that may call this machine."""
    async with open_session(LOCAL, ticks=hand.ticks) as session:
        yield replace(ctx, outbound=session)


def box(ctx: Context, **given: object) -> ToolsOf:
    return ToolsOf(ctx, ORG, "acme_", conversation_id="c", **given)  # pyright: ignore[reportArgumentType]


async def keep(ctx: Context) -> None:
    await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, "token", "bearer", "t0ken"))
    await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, "login", "basic", "ann:pass:word"))


async def test_secrets_of_the_organisation_and_a_signature_go_along(near: Context) -> None:
    await keep(near)
    headers = (Header("A", f"Bearer {section('token')}"), Header("B", f"Basic {section('login')}"))
    async with serving(always({})) as server:
        tool = WebhookTool("w", "", server.url, headers=headers, preset_body={"n": 1})
        output = await box(near).call(tool, {}, key="k", filling=Filling({}))
    assert output == ToolOutput("{}", ok=True, status_code=200)
    (seen,) = server.seen
    assert seen.headers["A"] == "Bearer t0ken"
    assert base64.b64decode(seen.headers["B"].removeprefix("Basic ")) == b"ann:pass:word"
    public, stamp = Signer(lambda: bytes(32)).public_key, seen.headers["acme-timestamp"]
    assert signed(public, stamp, seen.headers["acme-signature-ed25519"], seen.body, near.clock.now())


async def test_section_3_6_what_wants_a_shared_secret_is_signed_with_it(near: Context) -> None:
    async with serving(always({})) as server:
        tool = WebhookTool("w", "", server.url, signature="X-Signed", envelope=Envelope("n", "a", "c", "id", "v"))
        await box(near).call(tool, {}, key="k", filling=Filling({}))
    (seen,) = server.seen
    expected = Signer(lambda: bytes(32)).sealed("X-Signed", seen.body, near.clock.now())
    assert seen.headers["X-Signed"] == expected["X-Signed"]
    assert "acme-timestamp" not in seen.headers
    assert seen.json["c"]["id"] == "playground-c"


async def test_code_runs_in_the_sandbox_of_the_server_only(ctx: Context) -> None:
    """The operator names its address, so the guard for addresses of users does not apply."""
    tool = CodeTool("add", "return 1")
    async with serving(always({"result": 1})) as server, open_sandbox(server.url) as sandbox:
        output = await box(replace(ctx, sandbox=sandbox)).call(tool, {}, key="k", filling=Filling({}))
        assert output == ToolOutput("1", ok=True)
        called = await box(ctx).call(WebhookTool("w", "", server.url), {}, key="k", filling=Filling({}))
    assert called == ToolOutput("The tool was not called: its address may not be called from here.", ok=False)
    assert not (await box(ctx).call(tool, {}, key="k", filling=Filling({}))).ok


async def test_somebody_else_s_secret_is_not_to_be_had(near: Context) -> None:
    await keep(near)
    tool = WebhookTool("w", "", "http://127.0.0.1:9", headers=(Header("A", section("token")),))
    output = await ToolsOf(near, "org-b", "", conversation_id="c").call(tool, {}, key="k", filling=Filling({}))
    assert output == ToolOutput("The tool was not called: there is no secret 'token' here.", ok=False)


async def test_a_secret_that_cannot_be_read_stops_the_call(near: Context) -> None:
    await keep(near)
    other = replace(near, seal=Seal("another key"))
    tool = WebhookTool("w", "", "http://127.0.0.1:9", headers=(Header("A", section("token")),))
    output = await box(other).call(tool, {}, key="k", filling=Filling({}))
    assert output == ToolOutput("The tool was not called: the secret 'token' cannot be read.", ok=False)


async def test_failures_of_services_are_told_to_the_model(ctx: Context) -> None:
    async def send(_text: str, _key: str) -> str:
        raise Broken("The provider is down.")

    tools = box(ctx, send=send)
    told = await tools.call(MessageTool("Hi"), {}, key="k", filling=Filling({}))
    assert told == ToolOutput("The message was not sent: The provider is down.", ok=False)
    gone = await tools.call(RemoteTool("find", "", {}, "no-server", "find"), {}, key="k", filling=Filling({}))
    assert not gone.ok


async def test_messages_are_sent_by_whoever_can(ctx: Context) -> None:
    sent: list[tuple[str, str]] = []

    async def send(text: str, key: str) -> str:
        sent.append((text, key))
        return "Sent."

    assert (await box(ctx, send=send).call(MessageTool("Hi"), {}, key="k", filling=Filling({}))).text == "Sent."
    assert sent == [("Hi", "k")]
    assert "would be sent" in (await box(ctx).call(MessageTool("Hi"), {}, key="k", filling=Filling({}))).text
