"""A conversation that is cut after any entry of its record and goes on is the conversation that was never cut."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.players import Crash, Diary, FunctionModel, HandClock, OneModel, TableTools
from tests.support.scenes import edge, flow

from vivavoce.assistant.ports import AssistantTask, Routing, RoutingTask, ToolOutput
from vivavoce.channels.chat import ChatChannel
from vivavoce.core.assistant import MODEL_OPENS, Cast, Version
from vivavoce.core.event import Ending, Message, Moved, Speaker, ToolCall, ToolCalled
from vivavoce.core.flow import PromptNode, SpeakNode, ToolNode
from vivavoce.core.model import Prompt, Reply
from vivavoce.core.tool import FunctionTool, HangupTool
from vivavoce.core.transcript import Transcript
from vivavoce.examination import tasks
from vivavoce.examination.course import Limits
from vivavoce.examination.rehearsal import rehearse
from vivavoce.examination.tasks import Part

TOOLS = (FunctionTool("look_up"), FunctionTool("book"), HangupTool())
VERSION = Version("v", "a", "Desk", "Help {{eta}}.", 0, tools=TOOLS)
LIMITS = Limits(max_duration_s=600, turn_limit=4)
KEY = "run:1"


@dataclass(frozen=True)
class Script:
    """What both sides do, one model call after the other; beyond the end they say numbered things."""

    greeting: str | None
    replies: Sequence[Reply]
    moves: Sequence[tasks.TesterMove]
    lines: tuple[str | None, ...] = ()
    hangs_up: bool = False

    def reply(self, prompt: Prompt) -> Reply:
        assert isinstance(prompt.subject, AssistantTask)
        done = sum(
            isinstance(event, Message | ToolCalled) and event.usage is not None
            for event in prompt.subject.transcript.events
            if not (isinstance(event, Message) and event.speaker is Speaker.CALLER)
        )
        return self.replies[done] if done < len(self.replies) else Reply(f"answer {done}")

    def move(self, prompt: Prompt) -> tasks.TesterMove:
        assert isinstance(prompt.subject, tasks.TesterTask)
        done = len(prompt.subject.transcript.said(Speaker.CALLER))
        return self.moves[done] if done < len(self.moves) else tasks.TesterMove("say", f"question {done}")


class World:
    """Everything that outlives a process: the record, and what was asked of models and tools."""

    def __init__(self, script: Script) -> None:
        self.clock = HandClock()
        self.diary = Diary()
        self.assistant = FunctionModel(script.reply)
        self.tester = FunctionModel(script.move)
        outputs = {"look_up": ToolOutput("3 days", ok=True, variables={"eta": "3"}), "book": ToolOutput("no", ok=False)}
        self.tools = TableTools(outputs, self.clock)
        self.version = replace(VERSION, greeting=script.greeting)
        self.part = Part("brief", "somebody", script.lines, script.hangs_up)

    async def process(self) -> Transcript:
        """One process takes the conversation from the record and drives it as far as it comes."""
        recorded = Transcript(self.diary.events)
        channel = ChatChannel(Cast(self.version), {}, KEY, OneModel(self.assistant), self.tools, self.clock)
        async with channel.open(recorded) as line:
            return await rehearse(
                self.part, line, self.tester, recorded, self.diary.write, clock=self.clock, limits=LIMITS
            )

    def asked(self) -> list[tuple[str, int]]:
        """Which model was asked at which turn."""
        return [(name, _turn(prompt)) for name, prompt in self._prompts()]

    def _prompts(self) -> list[tuple[str, Prompt]]:
        models = {"assistant": self.assistant, "tester": self.tester}
        return [(name, prompt) for name, model in models.items() for prompt in model.prompts]


def _turn(prompt: Prompt) -> int:
    assert isinstance(prompt.subject, AssistantTask | tasks.TesterTask)
    return len(prompt.subject.transcript.events)


TEXTS = st.sampled_from(["", "Yes.", "No.", "One moment."])
CALLS = st.lists(
    st.builds(ToolCall, st.just("0"), st.sampled_from(["look_up", "look_up", "book", "fly", "hangup"]), st.just({})),
    max_size=3,
).map(tuple)
MOVES = st.one_of(
    st.builds(tasks.TesterMove, st.just("say"), st.sampled_from(["Hello?", "Well?"])),
    st.builds(tasks.TesterMove, st.just("say"), st.sampled_from(["Where is it?", "When?"])),
    st.builds(tasks.TesterMove, st.just("hang_up"), st.sampled_from(["", "Bye."]), st.just("done")),
)
SCRIPTS = st.builds(
    Script,
    st.sampled_from([None, "", "Welcome.", MODEL_OPENS]),
    st.lists(st.builds(Reply, TEXTS, CALLS), max_size=8),
    st.lists(MOVES, max_size=5),
    st.lists(st.sampled_from([None, "Hi, it is me.", "And when? "]), max_size=5).map(tuple),
    st.booleans(),
)


async def _cut_everywhere(script: Script, *, durable: bool) -> None:
    whole = World(script)
    expected = await whole.process()
    assert expected.ending is not None
    for entry in range(1, len(whole.diary.entries) + 1):
        world = World(script)
        world.diary.lasts, world.diary.durable = entry, durable
        with pytest.raises(Crash):
            await world.process()
        recorded = len(world.diary.events)
        before = world.asked()
        world.diary.lasts = None
        assert await world.process() == expected == Transcript(world.diary.events)
        again = [one for one in world.asked() if before.count(one) < world.asked().count(one)]
        assert all(turn >= recorded for _, turn in again)
        if durable:
            assert world.asked() == whole.asked()
            assert world.tools.uses == whole.tools.uses
        else:
            assert len(world.asked()) <= len(whole.asked()) + 1
            assert set(world.asked()) == set(whole.asked())
            # A call whose result was lost is made again under the same key, so its effect happens once.
            assert {use.key for use in world.tools.uses} == {use.key for use in whole.tools.uses}


@settings(deadline=None, max_examples=60)
@given(SCRIPTS)
def test_after_a_cut_behind_any_entry_no_recorded_turn_is_asked_for_again(script: Script) -> None:
    asyncio.run(_cut_everywhere(script, durable=True))


@settings(deadline=None, max_examples=60)
@given(SCRIPTS)
def test_after_a_cut_before_any_entry_only_what_was_not_recorded_is_asked_for_again(script: Script) -> None:
    asyncio.run(_cut_everywhere(script, durable=False))


RICH = Script(
    "Welcome.",
    [
        Reply("One moment.", (ToolCall("0", "look_up", {}), ToolCall("0", "book", {}))),
        Reply("", (ToolCall("0", "look_up", {}),)),
        Reply("3 days."),
        Reply(""),
    ],
    [
        tasks.TesterMove("say", "Where is it?"),
        tasks.TesterMove("say", "Are you there?"),
        tasks.TesterMove("hang_up", "Bye.", "done"),
    ],
)


async def test_the_conversations_that_are_cut_hold_everything() -> None:
    world = World(RICH)
    talk = await world.process()
    assert [event.kind for event in talk.events] == [
        "message",
        "message",
        *("message", "tool_called", "tool_called", "tool_returned", "tool_returned"),
        *("tool_called", "tool_returned"),
        "message",
        *("message", "message"),
        *("message", "left"),
    ]
    assert len({use.key for use in world.tools.uses}) == 3
    await _cut_everywhere(RICH, durable=True)
    await _cut_everywhere(RICH, durable=False)


@settings(deadline=None, max_examples=60)
@given(SCRIPTS)
def test_variables_that_tools_stored_are_there_after_a_cut(script: Script) -> None:
    async def told(world: World) -> list[str]:
        await world.process()
        return [prompt.lines[0].text for prompt in world.assistant.prompts]

    async def scene() -> None:
        whole = World(script)
        expected = await told(whole)
        world = World(script)
        world.diary.entries = whole.diary.entries[: len(whole.diary.entries) // 2]
        resumed: list[str] = await told(world)
        assert resumed == expected[len(expected) - len(resumed) :]

    asyncio.run(scene())


SAID = ("Hi", "A-1", "And?", "Well?")
FLOW_EDGES = (
    edge("ask", "look", "The caller wants something."),
    edge("look", "tell"),
    edge("tell", "bye", "It is over."),
)
FLOW = flow(
    SpeakNode("hello", "Hello."),
    PromptNode("ask", "Ask."),
    ToolNode("look", "t1", "One moment."),
    PromptNode("tell", "Tell {{eta}}."),
    ToolNode("bye", "t2", "Goodbye."),
    edges=(edge("hello", "ask"), *FLOW_EDGES),
)


class FlowWorld(World):
    """The same with a flow: whatever is asked about holds in every second reply."""

    def __init__(self) -> None:
        super().__init__(Script(None, [], [tasks.TesterMove("say", line) for line in SAID]))
        reply = self.assistant.answer
        self.assistant.answer = lambda prompt: (
            Routing((1,) if len(prompt.subject.transcript.said(Speaker.CALLER)) % 2 == 0 else ())
            if isinstance(prompt.subject, RoutingTask)
            else reply(prompt)
        )
        library = {"t1": FunctionTool("look_up"), "t2": HangupTool()}
        self.version = replace(VERSION, tools=(), flow=FLOW, library=library)

    def asked(self) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for prompt in (*self.assistant.prompts, *self.tester.prompts):
            assert isinstance(prompt.subject, AssistantTask | RoutingTask | tasks.TesterTask)
            found.append((type(prompt.subject).__name__, len(prompt.subject.transcript.events)))
        return found


async def test_a_flow_that_is_cut_behind_any_entry_asks_and_calls_nothing_again() -> None:
    whole = FlowWorld()
    expected = await whole.process()
    assert expected.ending is Ending.HANGUP
    assert {"speak", "prompt", "tool"} == {
        FLOW.node(one.node).kind for one in expected.events if isinstance(one, Moved)
    }
    for entry in range(1, len(whole.diary.entries) + 1):
        world = FlowWorld()
        world.diary.lasts = entry
        with pytest.raises(Crash):
            await world.process()
        world.diary.lasts = None
        assert await world.process() == expected
        assert sorted(world.asked()) == sorted(whole.asked())
        assert world.tools.uses == whole.tools.uses


async def test_the_turn_limit_waits_for_where_the_last_reply_leads() -> None:
    whole = FlowWorld()
    assert LIMITS.turn_limit == len(SAID)
    assert (await whole.process()).ending is Ending.HANGUP
