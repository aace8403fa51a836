"""One turn of an agent, of which nothing is kept (section 11 of the testing contract)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy import func, select
from tests.support.players import ListModel
from tests.support.store import NOW, ORG, a_version

from vivavoce.channels.chat import ChatChannel
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Cast, Form, Plays, Rules, Templating, Version
from vivavoce.core.event import (
    Event,
    Message,
    Moved,
    Speaker,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.flow import (
    AskCondition,
    CallCondition,
    Edge,
    EndNode,
    Flow,
    NodeTarget,
    PromptNode,
)
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.scenario import Medium
from vivavoce.core.tool import FunctionTool, HandoffTarget, HandoffTool, HangupTool, StoredField, ToolMock, WebhookTool
from vivavoce.core.transcript import Transcript
from vivavoce.services import engines, playground
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound, Rejected
from vivavoce.services.minds import Minds
from vivavoce.services.playground import standing
from vivavoce.services.tooling import ToolsOf
from vivavoce.services.variables import starting
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import conversations, events

NESTED = Templating("", Rules.NESTED, "America/Los_Angeles")
SCRIPT = """on hear "bye": say "Goodbye."; hang up
on hear "find": call find {"n": "1"}
on result find: say "Found {{who}}."
on hear /(.*)/: say "You said $1, {{name}}"
"""
FIND = WebhookTool("find", "Finds.", "https://example.com/find", stored=(StoredField("who", "who"),))
FLOW = Flow(
    "ask",
    (
        PromptNode("ask", 'else: say "Which?"', says="Which one, {{name}}?"),
        PromptNode("tell", 'else: say "It is here."'),
    ),
    (Edge("e", "ask", AskCondition('the caller says "A-1"'), NodeTarget("tell")),),
    routes="before",
)


async def an_agent(ctx: Context, form: Form = Form.VOICE_AGENT, **given: Any) -> Assistant:
    """An agent that plays prompts which the keywords change."""
    usual = {"instructions": SCRIPT, "model": "scripted", "greeting": "Hello, {{name}}.", "tools": (HangupTool(), FIND)}
    draft = a_version(variables={"name": "you"}, templating=NESTED, **usual | given)

    def work(tx: Tx) -> Assistant:
        engine = engines.create(ctx, tx, ORG, Form.FLOW if draft.flow else Form.PROMPTS, draft)
        return engines.create(ctx, tx, ORG, form, a_version(plays=Plays(engine.id), templating=NESTED))

    return await ctx.database.write(work)


async def turn(
    ctx: Context, agent: Assistant, *said: Event, mocks: tuple[ToolMock, ...] = (), **variables: str
) -> playground.Turn:
    who, medium = await playground.everybody(ctx, ORG, agent.id)
    return await playground.turn(ctx, ORG, who, Transcript(said), variables, mocks, medium=medium)


def user(text: str) -> Message:
    return Message(Speaker.CALLER, text, NOW)


def agent_says(text: str) -> Message:
    return Message(Speaker.ASSISTANT, text, NOW)


def words(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Message)]


@pytest.mark.parametrize("form", [Form.VOICE_AGENT, Form.CHAT_AGENT])
async def test_section_11_a_turn_is_only_what_is_new_and_nothing_is_kept(ctx: Context, form: Form) -> None:
    agent = await an_agent(ctx, form)
    first = await turn(ctx, agent, name="Kim")
    assert words(first.events) == ["Hello, Kim."]
    second = await turn(ctx, agent, *first.events, user("well"), name="Kim")
    assert words(second.events) == ["You said well, Kim"]
    assert second.transcript.events == (*first.events, user("well"), *second.events)
    assert not second.ended
    assert second.node is None
    for table in (conversations, events):
        assert await ctx.database.read(lambda tx, table=table: tx.execute(select(func.count(table.c[0]))).scalar()) == 0


async def test_section_11_the_end_of_the_conversation_is_told(ctx: Context) -> None:
    assert (await turn(ctx, await an_agent(ctx), user("bye"))).ended


async def test_section_11_tools_answer_from_mocks_and_variables_are_updated(ctx: Context) -> None:
    mocks = (ToolMock("find", '{"who": "Kim"}', {"n": "1"}),)
    done = await turn(ctx, await an_agent(ctx), user("find"), mocks=mocks, given="x")
    assert [type(event) for event in done.events] == [ToolCalled, ToolReturned, Message]
    assert words(done.events) == ["Found Kim."]
    assert done.variables == {"name": "you", "given": "x", "who": "Kim"}


async def test_unknown_agents_and_engines_are_not_there(ctx: Context) -> None:
    agent = await an_agent(ctx)
    with pytest.raises(NotFound):
        await playground.everybody(ctx, ORG, "assistant-nobody")
    with pytest.raises(NotFound):
        await playground.everybody(ctx, "org-b", agent.id)
    assert agent.main.plays is not None
    with pytest.raises(NotFound):  # a turn is asked of an agent, not of what it plays
        await playground.everybody(ctx, ORG, agent.main.plays.assistant_id)
    with pytest.raises(NotFound, match="version '3'"):
        await playground.everybody(ctx, ORG, agent.id, 3)


async def test_an_agent_that_has_its_words_from_elsewhere_is_refused(ctx: Context) -> None:
    alone = await ctx.database.write(lambda tx: engines.create(ctx, tx, ORG, Form.VOICE_AGENT, a_version()))
    with pytest.raises(Rejected, match="server of its own"):
        await playground.everybody(ctx, ORG, alone.id)


async def test_a_model_that_fails_is_told(ctx: Context) -> None:
    model = ListModel([ModelFailure(Trouble.UNAVAILABLE, "the provider is away")])

    class Only:
        def resolve(self, *_: Any) -> ListModel:
            return model

    agent = await an_agent(ctx)
    with pytest.raises(Broken, match="away"):
        await turn(replace(ctx, models=cast("Any", Only())), agent, user("hi"))


# --- flows ----------------------------------------------------------------------------------------------------------


async def test_section_11_a_flow_begins_at_its_start_and_goes_on_from_where_it_stood(ctx: Context) -> None:
    agent = await an_agent(ctx, flow=FLOW, greeting=MODEL_OPENS)
    first = await turn(ctx, agent)
    assert words(first.events) == ["Which one, you?"]
    assert first.node == "ask"
    second = await turn(ctx, agent, *first.events, user("A-1"))
    assert second.node == "tell"
    assert [type(event) for event in second.events] == [Moved, Message]


async def test_section_11_the_node_can_be_told_instead_of_shown(ctx: Context) -> None:
    agent = await an_agent(ctx, flow=FLOW, greeting=MODEL_OPENS)
    said = Transcript((agent_says("Which one?"), user("A-1")))
    done = await turn(ctx, agent, *standing(FLOW, said, "ask", NOW).events)
    assert done.node == "tell"
    stays = await turn(ctx, agent, *standing(FLOW, said, "tell", NOW).events)
    assert stays.node == "tell"


ASK, TELL = Moved("ask", NOW), Moved("tell", NOW)
Q, A = agent_says("Which one?"), user("A-1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), (ASK,)),
        ((A,), (ASK, A)),
        ((Q, A), (ASK, Q, A)),
        ((Q, A, A), (ASK, Q, A, A)),
        ((Q,), (ASK, Q)),
        ((Q, A, Q, A), (Q, A, ASK, Q, A)),
        ((ASK, Q, A), (ASK, Q, A)),  # it stands there already
        ((TELL, Q, A), (TELL, ASK, Q, A)),
        ((Q, A, TELL), (Q, A, TELL, ASK)),
    ],
)
def test_a_node_that_is_told_was_entered_before_the_agent_last_spoke(
    before: tuple[Event, ...], after: tuple[Event, ...]
) -> None:
    assert standing(FLOW, Transcript(before), "ask", NOW).events == after


async def test_section_4_states_move_and_go_on(ctx: Context) -> None:
    states = Flow(
        "first",
        (
            PromptNode("first", 'on hear "next": call transition_to_second {"topic": "tea"}', "first"),
            PromptNode("second", 'on enter: say "Here is {{topic}}."', "second"),
        ),
        (Edge("t", "first", CallCondition("transition_to_second", ""), NodeTarget("second")),),
    )
    agent = await an_agent(ctx, flow=states, greeting="")
    done = await turn(ctx, agent, user("next"))
    assert done.node == "second"
    assert words(done.events) == ["Here is tea."]
    assert done.variables["topic"] == "tea"
    again = await turn(ctx, agent, *standing(states, Transcript((user("more"),)), "second", NOW).events, topic="tea")
    assert words(again.events) == ["Here is tea."]


async def test_where_another_agent_took_over_the_flow_stands_nowhere(ctx: Context) -> None:
    other = await an_agent(ctx, instructions='else: say "Other here."', greeting="")
    swap = HandoffTool((HandoffTarget(other.id, "other"),), name="swap")
    agent = await an_agent(ctx, flow=replace(FLOW, start="tell"), greeting="", tools=(swap,), instructions="x")
    asks = replace(FLOW, nodes=(FLOW.nodes[0], PromptNode("tell", 'on hear "swap": call swap')), start="tell")
    who, _ = await playground.everybody(ctx, ORG, agent.id)
    who = Cast(replace(who.first, flow=asks), {**who.others})
    done = await playground.turn(ctx, ORG, who, Transcript((user("swap"),)), {})
    assert words(done.events)[-1] == "Other here."
    assert done.node is None


# --- as in an examination -------------------------------------------------------------------------------------------


async def examined(ctx: Context, version: Version, said: Sequence[Event], mocks: tuple[ToolMock, ...]) -> list[Event]:
    """What the line of an examination makes of the same."""
    who = await ctx.database.read(lambda tx: Cast(engines.completed(tx, ORG, version)))
    known = starting(who.first, {"name": "Kim"}, conversation_id="c", started_at=NOW, medium=Medium.WEB_CALL)
    tools = ToolsOf(ctx, ORG, "", conversation_id="c", mocks=mocks)
    channel = ChatChannel(who, known, "run:1", Minds(ctx, ORG), tools, ctx.clock, spoken=True)
    found: list[Event] = []
    async with channel.open(Transcript(tuple(said))) as line:
        while True:
            heard = await line.listen()
            found += heard.events
            if heard.rests:
                return found


@pytest.mark.parametrize(
    "said",
    [(), (user("find"),), (user("bye"),), (agent_says("Hello."), user("well"))],
    ids=["opening", "tool", "end", "words"],
)
@pytest.mark.parametrize("flow", [None, FLOW], ids=["prompts", "flow"])
async def test_section_17_check_12_a_turn_is_that_of_an_examination(
    ctx: Context, said: tuple[Event, ...], flow: Flow | None
) -> None:
    mocks = (ToolMock("find", '{"who": "Kim"}'),)
    agent = await an_agent(ctx, flow=flow, tools=(HangupTool(), FIND, FunctionTool("other")))
    done = await turn(ctx, agent, *said, mocks=mocks, name="Kim")
    assert list(done.events) == await examined(ctx, agent.main, said, mocks)
    assert done.events


async def test_an_end_node_ends_it(ctx: Context) -> None:
    ends = Flow("end", (EndNode("end", "Bye, {{name}}."),), routes="before")
    done = await turn(ctx, await an_agent(ctx, flow=ends, greeting=MODEL_OPENS))
    assert words(done.events) == ["Bye, you."]
    assert done.ended
