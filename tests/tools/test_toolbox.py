from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.outbound.local_server import always, serving

from vivavoce.assistant.ports import ToolOutput, Tools
from vivavoce.core.passage import Passage
from vivavoce.core.tool import (
    Act,
    FunctionTool,
    HandoffTool,
    HangupTool,
    Header,
    LineTarget,
    LineTool,
    MessageTool,
    OtherTool,
    RemoteTool,
    RetrievalTool,
    SkipTool,
    Tool,
    ToolMock,
    VariablesTool,
    WebhookTool,
)
from vivavoce.outbound.fetch import Session
from vivavoce.tools.reach import OutOfReach, Reach
from vivavoce.tools.toolbox import Toolbox


async def call(tools: Tools, tool: Tool, **arguments: object) -> ToolOutput:
    return await tools.call(tool, arguments, key="k", variables={})


async def test_a_webhook_is_called(session: Session) -> None:
    async with serving(always({"a": 1})) as server:
        output = await call(Toolbox(session), WebhookTool("w", "", server.url))
    assert output == ToolOutput('{"a": 1}', ok=True, status_code=200)


async def test_the_first_mock_that_matches_answers_instead(session: Session) -> None:
    mocks = (
        ToolMock("other", "no"),
        ToolMock("w", ""),
        ToolMock("w", "for two", {"n": 2}),
        ToolMock("w", "for all"),
        ToolMock("w", "never"),
    )
    async with serving(always({})) as server:
        tool = WebhookTool("w", "", server.url)
        assert await call(Toolbox(session, mocks), tool, n=2) == ToolOutput("for two", ok=True, mocked=True)
        assert await call(Toolbox(session, mocks), tool, n=3) == ToolOutput("for all", ok=True, mocked=True)
    assert server.seen == []


@pytest.mark.parametrize("tool", [FunctionTool("f"), OtherTool("x", name="f")])
async def test_what_nobody_runs_fails_unless_it_is_mocked(session: Session, tool: Tool) -> None:
    assert await call(Toolbox(session), tool) == ToolOutput("Nobody runs 'f' here.", ok=False)
    assert await call(Toolbox(session, (ToolMock("f", "done"),)), tool) == ToolOutput("done", ok=True, mocked=True)


@pytest.mark.parametrize(
    "tool", [HangupTool(name="f"), HandoffTool((), name="f"), SkipTool(name="f"), VariablesTool("f", "", ())]
)
async def test_what_the_assistant_does_itself_is_not_mocked(session: Session, tool: Tool) -> None:
    mocked = Toolbox(session, (ToolMock("f", "done"),))
    assert await call(mocked, tool) == ToolOutput("Nobody runs 'f' here.", ok=False)


async def test_true_does_not_match_1_in_a_mock(session: Session) -> None:
    mocks = (ToolMock("f", "yes", {"a": [True]}), ToolMock("f", "one", {"a": [1]}))
    assert (await call(Toolbox(session, mocks), FunctionTool("f"), a=[1])).text == "one"
    assert (await call(Toolbox(session, mocks), FunctionTool("f"), a=[True])).text == "yes"


REMOTE = RemoteTool("find", "", {}, "server-1", "find")


async def test_a_remote_tool_is_called_where_it_is(session: Session) -> None:
    seen: list[object] = []

    async def remote(tool: RemoteTool, arguments: Mapping[str, Any], key: str) -> ToolOutput:
        seen.append((tool, arguments, key))
        return ToolOutput("found", ok=True)

    assert await call(Toolbox(session, (), Reach(remote=remote)), REMOTE, a=1) == ToolOutput("found", ok=True)
    assert seen == [(REMOTE, {"a": 1}, "k")]
    alone = await call(Toolbox(session), REMOTE)
    assert alone == ToolOutput("The server of this tool cannot be reached from here.", ok=False)
    assert (await call(Toolbox(session, (ToolMock("find", "mock"),)), REMOTE)).mocked


async def test_a_search_gives_passages_with_their_sources(session: Session) -> None:
    asked: list[object] = []

    async def search(buckets: Sequence[str], query: str, most: int | None) -> Sequence[Passage]:
        asked.append((tuple(buckets), query, most))
        return (Passage("Open 9 to 5.", "hours.md", 0.9), Passage("Closed.", "sunday.md", 0.5)) if most else ()

    box = Toolbox(session, (), Reach(search=search))
    output = await call(box, RetrievalTool(("docs",), 2), query="hours")
    assert output == ToolOutput("[1] hours.md\nOpen 9 to 5.\n\n[2] sunday.md\nClosed.", ok=True)
    nothing = await call(box, RetrievalTool(("docs",)), query="hours")
    assert nothing == ToolOutput("Nothing was found for 'hours'.", ok=True)
    assert asked == [(("docs",), "hours", 2), (("docs",), "hours", None)]
    assert not (await call(box, RetrievalTool(("docs",)), query=" ")).ok
    alone = await call(Toolbox(session), RetrievalTool(("docs",)), query="hours")
    assert alone == ToolOutput("There are no documents to search here.", ok=False)


async def test_a_message_is_sent_or_honestly_would_be(session: Session) -> None:
    sent: list[tuple[str, str]] = []

    async def send(text: str, key: str) -> str:
        sent.append((text, key))
        return "It was sent."

    box, variables = Toolbox(session, (), Reach(send=send)), {"shop": "Birch"}
    tool = MessageTool("Thanks from {{shop}}{{unset}}!")
    output = await box.call(tool, {"text": "ignored"}, key="k", variables=variables)
    assert (output, sent) == (ToolOutput("It was sent.", ok=True), [("Thanks from Birch!", "k")])
    would = await Toolbox(session).call(MessageTool(), {"text": " Hi {{shop}} "}, key="k", variables=variables)
    assert would == ToolOutput("This text message would be sent to the caller: Hi {{shop}}", ok=True)
    empty = await call(box, MessageTool(), text=" ")
    assert empty == ToolOutput("The message was not sent: it has no text.", ok=False)


async def test_what_is_out_of_reach_is_told(session: Session) -> None:
    async def send(_text: str, _key: str) -> str:
        raise OutOfReach("There is no number to send it to.")

    output = await call(Toolbox(session, (), Reach(send=send)), MessageTool("x"))
    assert output == ToolOutput("There is no number to send it to.", ok=False)


async def test_the_line_is_acted_on_in_words(session: Session) -> None:
    tool = LineTool(Act.TRANSFER, "transfer", (LineTarget("+1", "Desk"),))
    assert await call(Toolbox(session), tool) == ToolOutput("The caller is transferred to Desk (+1).", ok=True)
    assert (await call(Toolbox(session, (ToolMock("transfer", "busy"),)), tool)).text == "busy"


async def test_calls_are_signed_and_nobody_replaces_the_signature(session: Session) -> None:
    signed: list[bytes] = []

    def sign(body: bytes) -> Mapping[str, str]:
        signed.append(body)
        return {"Acme-Signature": "ours"}

    box = Toolbox(session, (), Reach(sign=sign))
    async with serving(always({})) as server:
        headers = (Header("acme-signature", "theirs"),)
        await call(box, WebhookTool("w", "", server.url, headers=headers, preset_body={"a": "ü"}))
        await call(box, WebhookTool("w", "", server.url, method="GET"))
    assert [seen.headers["Acme-Signature"] for seen in server.seen] == ["ours", "ours"]
    assert [seen.body for seen in server.seen] == signed == ['{"a": "ü"}'.encode(), b""]
