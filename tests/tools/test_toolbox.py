import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.outbound.local_server import always, serving

from vivavoce.assistant.ports import ToolOutput, Tools
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Rules, Templating
from vivavoce.core.passage import Passage, Recall
from vivavoce.core.tool import (
    Act,
    CodeTool,
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
    StoredField,
    Tool,
    ToolMock,
    VariablesTool,
    WebhookTool,
)
from vivavoce.outbound.fetch import Session
from vivavoce.tools.answers import SUBMITTED
from vivavoce.tools.background import Background
from vivavoce.tools.reach import OutOfReach, Reach
from vivavoce.tools.toolbox import Toolbox


async def call(tools: Tools, tool: Tool, **arguments: object) -> ToolOutput:
    return await tools.call(tool, arguments, key="k", filling=Filling({}))


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


async def test_section_3_6_pressing_keys_is_not_mocked(session: Session) -> None:
    mocked = Toolbox(session, (ToolMock("press", "done"), ToolMock("transfer", "done")))
    pressed = await call(mocked, LineTool(Act.TONES, "press"), digits="12#")
    assert pressed == ToolOutput("The keys 12# were pressed.", ok=True)
    assert (await call(mocked, LineTool(Act.TRANSFER, "transfer", (LineTarget("+1"),)))).mocked


async def test_section_3_6_a_mock_may_say_that_the_tool_failed(session: Session) -> None:
    mocked = Toolbox(session, (ToolMock("transfer", "busy", ok=False),))
    output = await call(mocked, LineTool(Act.TRANSFER, "transfer", (LineTarget("+1"),)))
    assert output == ToolOutput("busy", ok=False, mocked=True)


async def test_section_3_6_a_mock_with_a_blank_output_is_passed_over(session: Session) -> None:
    mocked = Toolbox(session, (ToolMock("transfer", " \n", ok=False),))
    output = await call(mocked, LineTool(Act.TRANSFER, "transfer", (LineTarget("+1"),)))
    assert output == ToolOutput("The caller is transferred to +1.", ok=True)


async def test_a_mock_s_answer_is_kept_as_the_tool_s_own_would_be(session: Session) -> None:
    tool = WebhookTool("w", "", "http://10.0.0.1", stored=(StoredField("who", "user.name"),))
    answer = '{"user": {"name": "Ann"}}'
    output = await call(Toolbox(session, (ToolMock("w", answer),)), tool)
    assert output == ToolOutput(answer, ok=True, mocked=True, variables={"who": "Ann"})
    assert (await call(Toolbox(session, (ToolMock("w", answer, ok=False),)), tool)).variables == {}
    assert (await call(Toolbox(session, (ToolMock("w", "Ann"),)), tool)).variables == {}
    assert (await call(Toolbox(session, (ToolMock("f", answer),)), FunctionTool("f"))).variables == {}


async def test_section_3_6_a_mock_can_ask_for_what_is_always_sent(session: Session) -> None:
    tool = WebhookTool("w", "", "http://10.0.0.1", preset_body={"shop": "{{shop}}"})
    mocks = (ToolMock("w", "elsewhere", {"shop": "Oak"}), ToolMock("w", "here", {"shop": "Birch", "n": 1}))
    output = await Toolbox(session, mocks).call(tool, {"n": 1}, key="k", filling=Filling({"shop": "Birch"}))
    assert output.text == "here"


async def test_true_does_not_match_1_in_a_mock(session: Session) -> None:
    mocks = (ToolMock("f", "yes", {"a": [True]}), ToolMock("f", "one", {"a": [1]}))
    assert (await call(Toolbox(session, mocks), FunctionTool("f"), a=[1])).text == "one"
    assert (await call(Toolbox(session, mocks), FunctionTool("f"), a=[True])).text == "yes"


REMOTE = RemoteTool("find", "", {}, "server-1", "find")


async def test_a_remote_tool_is_called_where_it_is(session: Session) -> None:
    seen: list[object] = []

    async def remote(tool: RemoteTool, arguments: Mapping[str, Any], key: str, filling: Filling) -> ToolOutput:
        seen.append((tool, arguments, key, filling.variables))
        return ToolOutput("found", ok=True)

    assert await call(Toolbox(session, (), Reach(remote=remote)), REMOTE, a=1) == ToolOutput("found", ok=True)
    assert seen == [(REMOTE, {"a": 1}, "k", {})]
    alone = await call(Toolbox(session), REMOTE)
    assert alone == ToolOutput("The server of this tool cannot be reached from here.", ok=False)
    assert (await call(Toolbox(session, (ToolMock("find", "mock"),)), REMOTE)).mocked


async def test_section_3_6_some_servers_are_called_whatever_mocks_say(session: Session) -> None:
    async def remote(*_: object) -> ToolOutput:
        return ToolOutput('{"a": 1}', ok=True)

    tool = replace(REMOTE, mockable=False, stored=(StoredField("a", "a"),))
    box = Toolbox(session, (ToolMock("find", "mock"),), Reach(remote=remote))
    assert await call(box, tool) == ToolOutput('{"a": 1}', ok=True, variables={"a": "1"})


async def test_nothing_is_kept_of_a_remote_tool_that_failed(session: Session) -> None:
    async def remote(*_: object) -> ToolOutput:
        return ToolOutput('{"a": 1}', ok=False)

    tool = replace(REMOTE, stored=(StoredField("a", "a"),))
    assert (await call(Toolbox(session, (), Reach(remote=remote)), tool)).variables == {}


CODE = CodeTool("add", "return 1")


async def test_code_is_run_where_there_is_a_sandbox(session: Session) -> None:
    async def code(tool: CodeTool, arguments: Mapping[str, Any], filling: Filling) -> ToolOutput:
        return ToolOutput(f"{tool.code} {dict(arguments)} {dict(filling.variables)}", ok=True)

    assert (await call(Toolbox(session, (), Reach(code=code)), CODE, n=1)).text == "return 1 {'n': 1} {}"
    alone = await call(Toolbox(session), CODE)
    assert alone == ToolOutput(
        "The code was not run: this server has no sandbox for code (VIVA_SANDBOX_URL).", ok=False
    )
    assert (await call(Toolbox(session, (ToolMock("add", "2"),)), CODE)).text == "2"


async def test_what_is_not_waited_for_goes_on_by_itself(session: Session) -> None:
    may, done = asyncio.Event(), asyncio.Event()

    async def code(*_: object) -> ToolOutput:
        await may.wait()
        done.set()
        return ToolOutput("1", ok=True)

    async def remote(*_: object) -> ToolOutput:
        await may.wait()
        raise OutOfReach("It is down.")

    background = Background()
    box = Toolbox(session, (), Reach(code=code, remote=remote, background=background))
    assert await call(box, replace(CODE, waits=False)) == ToolOutput(SUBMITTED, ok=True)
    assert await call(box, replace(REMOTE, waits=False)) == ToolOutput(SUBMITTED, ok=True)
    may.set()
    await asyncio.wait_for(done.wait(), 10)
    assert await call(box, CODE) == ToolOutput("1", ok=True)
    await background.close()
    alone = Toolbox(session, (), Reach(remote=remote))
    assert await call(alone, replace(REMOTE, waits=False)) == ToolOutput("It is down.", ok=False)


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


async def test_documents_are_recalled_where_there_are_any(session: Session) -> None:
    async def search(buckets: Sequence[str], query: str, most: int | None) -> Sequence[Passage]:
        if query == "down":
            raise OutOfReach("It is down.")
        return (Passage(f"{list(buckets)} {query} {most}", "a.md", 0.9), Passage("Closed.", "b.md", 0.5))

    box = Toolbox(session, (), Reach(search=search))
    assert await box.recalled(Recall(("docs",), 3), "hours") == ("['docs'] hours 3", "Closed.")
    assert await box.recalled(Recall(("docs",), 3), " ") == ()
    assert await box.recalled(Recall(("docs",), 3), "down") == ()
    assert await Toolbox(session).recalled(Recall(("docs",), 3), "hours") == ()


async def test_a_message_is_sent_or_honestly_would_be(session: Session) -> None:
    sent: list[tuple[str, str]] = []

    async def send(text: str, key: str) -> str:
        sent.append((text, key))
        return "It was sent."

    box, variables = Toolbox(session, (), Reach(send=send)), {"shop": "Birch"}
    tool = MessageTool("Thanks from {{shop}}{{unset}}!")
    output = await box.call(tool, {"text": "ignored"}, key="k", filling=Filling(variables))
    assert (output, sent) == (ToolOutput("It was sent.", ok=True), [("Thanks from Birch!", "k")])
    would = await Toolbox(session).call(MessageTool(), {"text": " Hi {{shop}} "}, key="k", filling=Filling(variables))
    assert would == ToolOutput("This text message would be sent to the caller: Hi {{shop}}", ok=True)
    empty = await call(box, MessageTool(), text=" ")
    assert empty == ToolOutput("The message was not sent: it has no text.", ok=False)


async def test_what_is_out_of_reach_is_told(session: Session) -> None:
    async def send(_text: str, _key: str) -> str:
        raise OutOfReach("There is no number to send it to.")

    output = await call(Toolbox(session, (), Reach(send=send)), MessageTool("x"))
    assert output == ToolOutput("There is no number to send it to.", ok=False)


async def test_section_3_6_a_message_to_nobody_counts_as_sent(session: Session) -> None:
    nested = Filling({}, Templating("", Rules.NESTED))
    output = await Toolbox(session).call(MessageTool(), {"text": " "}, key="k", filling=nested)
    assert output == ToolOutput("A text message would be sent.", ok=True)


async def test_by_the_rules_of_the_other_contract_a_message_without_a_text_is_not_sent_to_nobody_either(
    session: Session,
) -> None:
    output = await call(Toolbox(session), MessageTool(), text=" ")
    assert output == ToolOutput("The message was not sent: it has no text.", ok=False)


async def test_the_line_is_acted_on_in_words(session: Session) -> None:
    tool = LineTool(Act.TRANSFER, "transfer", (LineTarget("+1", "Desk"),))
    assert await call(Toolbox(session), tool) == ToolOutput("The caller is transferred to Desk (+1).", ok=True)
    assert (await call(Toolbox(session, (ToolMock("transfer", "busy"),)), tool)).text == "busy"


async def test_calls_are_signed_and_nobody_replaces_the_signature(session: Session) -> None:
    signed: list[bytes] = []

    def sign(body: bytes, header: str) -> Mapping[str, str]:
        assert header == ""
        signed.append(body)
        return {"Acme-Signature": "ours"}

    box = Toolbox(session, (), Reach(sign=sign))
    async with serving(always({})) as server:
        headers = (Header("acme-signature", "theirs"),)
        await call(box, WebhookTool("w", "", server.url, headers=headers, preset_body={"a": "ü"}))
        await call(box, WebhookTool("w", "", server.url, method="GET"))
    assert [seen.headers["Acme-Signature"] for seen in server.seen] == ["ours", "ours"]
    assert [seen.body for seen in server.seen] == signed == ['{"a": "ü"}'.encode(), b""]
