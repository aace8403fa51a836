"""A flow that is cut and goes on is the flow that was never cut, and nothing of it is asked or called twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.players import FunctionModel, HandClock, OneModel, TableTools
from tests.support.scenes import NESTED, TRUE, before, edge, flow, is_, ok, version, when

from vivavoce.assistant.ports import AssistantTask, Routing, RoutingTask, ToolOutput
from vivavoce.assistant.state import State
from vivavoce.assistant.step import step
from vivavoce.core.assistant import MODEL_OPENS, Cast
from vivavoce.core.event import Event, Message, Speaker, ToolCall, ToolReturned
from vivavoce.core.flow import (
    AskCondition,
    AssistantTarget,
    BackTarget,
    BranchNode,
    DefaultCondition,
    Edge,
    EndNode,
    Flow,
    Global,
    HeardCondition,
    Node,
    NodeTarget,
    PromptNode,
    ResultCondition,
    SpeakNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.model import Prompt, Reply
from vivavoce.core.tool import Filler, FunctionTool, HandoffTarget, HandoffTool, HangupTool, SkipTool, WebhookTool
from vivavoce.core.transcript import Transcript

LOOK = FunctionTool("look_up")
HANDOFF = HandoffTool((HandoffTarget("b", "Bill"), HandoffTarget("a", "Desk")))
IDS = ("n0", "n1", "n2", "n3")
LINES = ("Hi", "Where is it?", "Thanks")

NODES = st.sampled_from(IDS).flatmap(
    lambda id_: st.one_of(
        st.just(PromptNode(id_, f"Talk at {id_}.")),
        st.just(PromptNode(id_, f"Talk at {id_}.")),
        st.just(SpeakNode(id_, f"Here is {id_}.")),
        st.just(ToolNode(id_, "t1", "One moment.")),
        st.just(ToolNode(id_, "t1")),
    )
)
CONDITIONS = st.sampled_from(["It holds.", "It may hold.", TRUE, is_("eta", "3"), None])


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Small flows of every kind of node, in which any edge may lead anywhere, to assistants as well."""
    nodes: dict[str, Node] = {node.id: node for node in draw(st.lists(NODES, min_size=1, max_size=4))}
    edges: list[Edge] = []
    for number, start in enumerate(draw(st.lists(st.sampled_from(sorted(nodes)), max_size=6))):
        end = draw(st.sampled_from([*sorted(nodes), "@b", "@a", "@gone"]))
        condition = draw(CONDITIONS)
        edges.append(edge(start, end, condition, f"e{number}") if condition else edge(start, end, id_=f"e{number}"))
    return flow(*nodes.values(), edges=edges)


SAID = FunctionTool("find", "", {"type": "object", "properties": {"place": {"type": "integer"}}})
SLOW = WebhookTool("look_up", "", "https://a.example", fillers=(Filler("Say you look.", generated=True),))
BEFORE_NODES = st.sampled_from(IDS).flatmap(
    lambda id_: st.one_of(
        st.just(PromptNode(id_, f"Talk at {id_}.")),
        st.just(PromptNode(id_, f"Talk at {id_}.", says="{{eta}} of {{nobody}}.")),
        st.just(PromptNode(id_, f"Press at {id_}.", silent=True)),
        st.builds(SpeakNode, st.just(id_), st.just(f"Here is {id_}."), generated=st.booleans()),
        st.builds(
            ToolNode,
            st.just(id_),
            st.sampled_from(["t1", "t2", "t3", "gone"]),
            st.sampled_from(["", "One moment."]),
            generated=st.booleans(),
            filled_by=st.just("model"),
        ),
        st.just(BranchNode(id_)),
        st.builds(EndNode, st.just(id_), st.sampled_from(["", "Bye."]), generated=st.booleans()),
    )
)
BEFORE_CONDITIONS = st.sampled_from(
    [
        AskCondition("It holds."),
        AskCondition("It may hold."),
        when("{{eta}}", "==", "3"),
        when("{{eta}}", "not_exists"),
        when("1", "==", "1", prompt="Really?"),
        HeardCondition(),
        SpokenCondition(),
        ResultCondition(True),
        ResultCondition(False),
        DefaultCondition(),
    ]
)


@st.composite
def before_flows(draw: st.DrawFn) -> Flow:
    """The same of flows that look where to go before the assistant answers, with global nodes and ways back."""
    nodes: dict[str, Node] = {node.id: node for node in draw(st.lists(BEFORE_NODES, min_size=1, max_size=4))}
    ids = st.sampled_from(sorted(nodes))
    edges: list[Edge] = []
    for number, start in enumerate(draw(st.lists(ids, max_size=7))):
        target: NodeTarget | AssistantTarget | BackTarget = draw(
            st.builds(NodeTarget, ids) | st.sampled_from([AssistantTarget("b"), AssistantTarget("gone"), BackTarget()])
        )
        edges.append(Edge(f"e{number}", start, draw(BEFORE_CONDITIONS), target))
    ways = draw(st.lists(st.tuples(ids, BEFORE_CONDITIONS, st.integers(0, 2)), max_size=2))
    globals_ = tuple(Global(f"g{number}", *way) for number, way in enumerate(ways))
    tools = {"t1": LOOK, "t2": SAID, "t3": SLOW}
    return before(*nodes.values(), edges=edges, globals=globals_, tools=tools)


@dataclass
class World:
    """What outlives a process: models and tools that answer the same thing always the same way, and who asked them."""

    cast: Cast
    talks: bool
    spoken: bool
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.model = FunctionModel(self.answer)
        self.tools = TableTools({"look_up": ok("3 days", variables={"eta": "3"}), "find": ToolOutput("no", ok=False)})

    def answer(self, prompt: Prompt) -> object:
        if isinstance(prompt.subject, RoutingTask):
            place = len(prompt.subject.transcript.events)
            return Routing(tuple(n for n, _ in enumerate(prompt.subject.conditions, 1) if (place + n) % 3 == 0))
        assert isinstance(prompt.subject, AssistantTask)
        place = len(prompt.subject.transcript.events)
        if prompt.subject.calls:
            return Reply("", (ToolCall("0", prompt.subject.calls, {"place": place}),))
        if prompt.subject.says:
            return Reply(f"said {place}" if place % 4 else "")
        if self.talks or not prompt.tools or place % 3 == 0:
            return Reply(f"answer {place}")
        name = prompt.tools[place % len(prompt.tools)].name
        arguments = {"assistant": ("Bill", "Desk")[place % 2]} if name == "handoff" else {}
        return Reply("Well." if place % 2 else "", (ToolCall("0", name, arguments),))

    def asked(self) -> list[tuple[type, int]]:
        """What was asked for at which turn."""
        found: list[tuple[type, int]] = []
        for prompt in self.model.prompts:
            assert isinstance(prompt.subject, AssistantTask | RoutingTask)
            found.append((type(prompt.subject), len(prompt.subject.transcript.events)))
        return found

    async def go_on(self, recorded: Sequence[Event]) -> tuple[list[Event], list[int]]:
        """Everything from here to the end, and the turns at which steps ended. The caller speaks when the assistant
        rests; what it says follows from the record as well."""
        state = State(Transcript(tuple(recorded)), {}, "run:1", self.spoken)
        ends: list[int] = []
        heard: tuple[Event, ...] = ()
        for _ in range(200):
            done = await step(self.cast, state, heard, models=OneModel(self.model), tools=self.tools, clock=self.clock)
            ends += [len(state.transcript.events) + len(heard)] if heard else []
            state, heard = done.state, ()
            ends.append(len(state.transcript.events))
            if done.rests:
                said = len(state.transcript.said(Speaker.CALLER))
                if said == len(LINES) or state.transcript.ending is not None:
                    return list(state.transcript.events), ends
                heard = (Message(Speaker.CALLER, LINES[said], self.clock.now()),)
        raise AssertionError("it never comes to an end")


def cast_of(made: Flow, greeting: str | None, *, talks: bool) -> Cast:
    tools = () if talks else (LOOK, HANDOFF, SkipTool(), HangupTool())
    second = flow(PromptNode("n0", "Second."), SpeakNode("n1", "Second says."), edges=[edge("n0", "n1", "It holds.")])
    return Cast(
        version(made, greeting=greeting, tools=tools, library={"t1": LOOK}),
        {"b": version(second, id="v2", assistant_id="b", name="Bill")},
    )


async def cut_everywhere(cast: Cast, *, talks: bool, spoken: bool) -> None:
    whole = World(cast, talks, spoken)
    expected, ends = await whole.go_on(())
    # Where models only talk every event comes alone or follows from the record, so that it may be cut anywhere.
    for cut in range(len(expected)) if talks else sorted(set(ends)):
        world = World(cast, talks, spoken)
        events, _ = await world.go_on(expected[:cut])
        assert events == expected
        assert world.asked() == [one for one in whole.asked() if one[1] >= cut]
        done = {event.call_id for event in expected[:cut] if isinstance(event, ToolReturned)}
        pending = [use.key for use in whole.tools.uses if use.key.removeprefix("run:1:") not in done]
        assert [use.key for use in world.tools.uses] == pending


def before_cast(made: Flow, greeting: str | None, *, talks: bool) -> Cast:
    cast = cast_of(made, greeting, talks=talks)
    return Cast(replace(cast.first, templating=NESTED), cast.others)


GREETINGS = st.sampled_from([None, "Welcome.", MODEL_OPENS])


@settings(deadline=None, max_examples=60)
@given(flows(), GREETINGS, st.booleans())
def test_after_a_cut_at_any_event_a_flow_goes_on_as_if_it_had_not_been_cut(
    made: Flow, greeting: str | None, spoken: bool
) -> None:
    # In a call the ways are tools, so the model does more than talk.
    talks = not spoken
    asyncio.run(cut_everywhere(cast_of(made, greeting, talks=talks), talks=talks, spoken=spoken))


@settings(deadline=None, max_examples=60)
@given(flows(), GREETINGS, st.booleans())
def test_after_a_cut_behind_any_step_so_does_one_whose_model_calls_tools_and_hands_over(
    made: Flow, greeting: str | None, spoken: bool
) -> None:
    asyncio.run(cut_everywhere(cast_of(made, greeting, talks=False), talks=False, spoken=spoken))


@settings(deadline=None, max_examples=40)
@given(before_flows(), GREETINGS)
def test_after_a_cut_at_any_event_so_does_one_that_looks_where_to_go_before_it_answers(
    made: Flow, greeting: str | None
) -> None:
    asyncio.run(cut_everywhere(before_cast(made, greeting, talks=True), talks=True, spoken=False))


@settings(deadline=None, max_examples=40)
@given(before_flows(), GREETINGS)
def test_after_a_cut_behind_any_step_so_does_that_one_when_its_models_call_tools(
    made: Flow, greeting: str | None
) -> None:
    asyncio.run(cut_everywhere(before_cast(made, greeting, talks=False), talks=False, spoken=True))
