"""The turn behind the end of a conversation."""

from dataclasses import replace
from typing import Any

from tests.support.players import START, ListModel, OneModel, TableTools
from tests.support.scenes import flow, ok, told, version

from vivavoce.assistant.report import BRIEFING, ENDED, report
from vivavoce.assistant.state import MAX_ROUNDS, State
from vivavoce.assistant.step import step
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.event import Ending, Event, HandedOver, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.flow import PromptNode
from vivavoce.core.model import Reply
from vivavoce.core.tool import Filler, FunctionTool, HangupTool, RemoteTool, Tool, WebhookTool
from vivavoce.core.transcript import Transcript

HOOK = WebhookTool("save", "", "https://example.com", fillers=(Filler("One moment."), Filler("Still.", 1)))
TOOLS: tuple[Tool, ...] = (HOOK, FunctionTool("note"), FunctionTool("in_browser", by_client=True), HangupTool())
REMOTE = RemoteTool("far", "", {}, "s", "far")
DESK = version(flow(PromptNode("n", "Node.")), tools=TOOLS, remote=(REMOTE,), reports=True)
HUNG_UP = ToolCalled(ToolCall("h", "hangup", {}), START)
TALK: tuple[Event, ...] = (
    Message(Speaker.CALLER, "Hi", START),
    Message(Speaker.ASSISTANT, "Bye.", START),
    HUNG_UP,
    Left(Ending.HANGUP, START, Speaker.ASSISTANT),
)


def calling(*names: str, text: str = "") -> Reply:
    return Reply(text, tuple(ToolCall("0", name, {}) for name in names))


class Desk:
    """Runs the report to its end, step by step."""

    def __init__(
        self, *replies: Reply, made: Version = DESK, talk: tuple[Event, ...] = TALK, **others: Version
    ) -> None:
        self.model = ListModel(list(replies))
        self.models = OneModel(self.model)
        self.tools = TableTools({"save": ok("saved"), "note": ok("noted")})
        self.cast = Cast(made, others)
        self.start = len(talk)
        self.state = State(Transcript(talk), {}, "c1", memory="They like tea.")

    async def run(self) -> list[str]:
        for _ in range(50):
            done = await report(self.cast, self.state, models=self.models, tools=self.tools, clock=self.model.clock)
            self.state = done.state
            if done.rests:
                return told(self.state.transcript.events[self.start :])
        raise AssertionError("it never rests")


async def test_who_has_no_instructions_is_told_no_empty_line() -> None:
    desk = Desk(Reply("done"), made=replace(DESK, instructions=""))
    desk.state = replace(desk.state, memory="")
    await desk.run()
    assert [line.role for line in desk.model.prompts[0].lines] == ["user", "assistant", "tool", "system"]


async def test_webhooks_and_functions_alone_can_be_called_when_the_conversation_is_over() -> None:
    desk = Desk(calling("save", "note", text="Saving."), Reply("done"))
    assert await desk.run() == [
        "assistant: Saving.",
        "call save {}",
        "call note {}",
        "save gave: saved",
        "note gave: noted",
        "assistant: done",
    ]
    first, second = desk.model.prompts
    assert [spec.name for spec in first.tools] == ["save", "note"]
    assert first.lines[0].text.startswith("Be kind.\n\n<memory>")
    # Hanging up has no result of its own, and a call without one is refused by providers.
    roles = [(line.role, line.text) for line in first.lines[1:]]
    assert roles == [("user", "Hi"), ("assistant", "Bye."), ("tool", ENDED), ("system", BRIEFING)]
    assert [line.role for line in second.lines[-3:]] == ["assistant", "tool", "tool"]
    assert [use.key for use in desk.tools.uses] == ["c1:call_5", "c1:call_6"]


async def test_what_stands_behind_the_end_changes_nothing_of_the_conversation() -> None:
    desk = Desk(calling("save", text="Saving."), Reply("done"))
    await desk.run()
    talk, before = desk.state.transcript, Transcript(TALK)
    assert (talk.ending, talk.end) == (Ending.HANGUP, before.end)
    assert list(talk.messages()) == list(before.messages())
    assert talk.talked_ms == before.talked_ms
    assert talk.response_times() == before.response_times()
    done = await step(desk.cast, desk.state, (), models=desk.models, tools=desk.tools, clock=desk.model.clock)
    assert done.rests
    assert done.events == ()


async def test_it_goes_on_where_it_was_cut() -> None:
    replies = (calling("save"), calling("note"), Reply(""))
    whole = Desk(*replies)
    expected = await whole.run()
    events = whole.state.transcript.events
    for cut in range(len(TALK), len(events) + 1):
        asked = sum(isinstance(event, Message | ToolCalled) for event in events[len(TALK) : cut])
        resumed = Desk(*replies[asked:])
        resumed.state = State(Transcript(events[:cut]), {}, "c1")
        assert await resumed.run() == expected


async def test_it_is_one_turn_of_so_many_rounds() -> None:
    desk = Desk(*[calling("save")] * (MAX_ROUNDS + 1))
    assert len(await desk.run()) == 2 * MAX_ROUNDS
    assert (await desk.run())[-1] == "save gave: saved"
    assert len(desk.model.answers) == 1


async def test_the_assistant_that_spoke_last_reports() -> None:
    other = version(id="v2", assistant_id="b", name="Bill", instructions="Bill.", tools=(HOOK,), reports=True)
    talk = (TALK[0], HandedOver("b", "v2", "Bill", START), Left(Ending.GOODBYE, START, Speaker.CALLER))
    desk = Desk(Reply("done"), talk=talk, b=other)
    assert await desk.run() == ["assistant: done"]
    assert desk.model.prompts[0].lines[0].text.startswith("Bill.")


async def nothing(**changes: Any) -> None:
    desk = Desk(**changes)
    assert await desk.run() == []
    assert desk.model.prompts == []


async def test_nothing_is_reported_where_nobody_asked_for_it_or_there_is_nothing_to_do_it_with() -> None:
    await nothing(made=version(tools=TOOLS))
    await nothing(made=version(tools=TOOLS[2:], remote=(REMOTE,), reports=True))
    await nothing(talk=TALK[:2])


async def test_a_webhook_without_words_is_what_it_was() -> None:
    plain = WebhookTool("save", "", "https://example.com")
    desk = Desk(calling("save"), Reply("done"), made=version(tools=(plain,), reports=True))
    await desk.run()
    assert desk.tools.uses[0].tool is plain
    returned = [event for event in desk.state.transcript.events if isinstance(event, ToolReturned)]
    assert len(returned) == 1
