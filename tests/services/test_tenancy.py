"""No service gives, changes or works with what belongs to another organisation."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, cast

import pytest
from sqlalchemy import select
from tests.support.store import NOW, ORG, a_scenario, a_version

from vivavoce.core.assistant import Assistant, Cast, Form, Plays, Version
from vivavoce.core.batch import Batch
from vivavoce.core.component import Component
from vivavoce.core.event import Message, Speaker, ToolReturned
from vivavoce.core.flow import ComponentNode, EndNode, Flow, PromptNode
from vivavoce.core.knowledge import Library
from vivavoce.core.passage import Recall
from vivavoce.core.run import Run
from vivavoce.core.scenario import Medium, Scenario
from vivavoce.core.tool import HandoffTarget, HandoffTool, RetrievalTool
from vivavoce.core.transcript import Transcript
from vivavoce.services import (
    assistants,
    batches,
    components,
    engines,
    libraries,
    lines,
    playground,
    runs,
    scenarios,
    talks,
)
from vivavoce.services.batches import Unknown
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.libraries import Given
from vivavoce.services.talks import Said, Start
from vivavoce.services.tooling import ToolsOf
from vivavoce.storage import assistants as stored
from vivavoce.storage import runs as kept_runs
from vivavoce.storage.conversations import TalkFilter
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Lease
from vivavoce.storage.page import Span, Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.storage.tables import metadata

OTHER = "org-b"
PART = Flow("in", (PromptNode("in", "Ask."), EndNode("out")), routes="before")
ASKED = Message(Speaker.CALLER, "How do I send shoes back?", NOW)
TEXT = ("Returns", "You may send shoes back within thirty days.")
MODULES = (batches, components, engines, libraries, playground, runs, scenarios, talks)


@dataclass(frozen=True)
class Things:
    """What an organisation has."""

    component: Component
    library: Library
    prompts: Assistant
    flow: Assistant
    agent: Assistant
    drafts: Assistant  # an agent with a second version, which is a draft
    scenario: Scenario
    batch: Batch
    run: Run
    chat: Said


def through(component_id: str) -> Flow:
    return Flow("part", (ComponentNode("part", component_id), EndNode("end")), routes="before")


async def furnish(ctx: Context, org: str) -> Things:
    """Every organisation gets the same names, so that only ``org`` tells them apart."""
    library = await libraries.create(ctx, org, Library("", "Manuals", 0, 0), Given((TEXT,)))

    def work(tx: Tx) -> tuple[Component, tuple[Assistant, ...], Scenario, Batch, tuple[Run, ...]]:
        component, _ = components.create(ctx, tx, org, Component("", "part", PART, 0, 0))
        draft = a_version(instructions='else: say "Yes."', model="scripted", greeting="Hello.")
        prompts = engines.create(ctx, tx, org, Form.PROMPTS, draft)
        flow = engines.create(ctx, tx, org, Form.FLOW, a_version(flow=through(component.id)))
        spoken = (prompts, engines.create(ctx, tx, org, Form.PROMPTS, draft))
        agents = [engines.create(ctx, tx, org, Form.CHAT_AGENT, a_version(plays=Plays(one.id))) for one in spoken]
        scenario = scenarios.create(ctx, tx, org, a_scenario(target=prompts.id, suite="suite"))
        batch, made = batches.trigger(ctx, tx, org, prompts.id, None, [scenario.id])
        return component, (prompts, flow, *agents), scenario, batch, made

    component, (prompts, flow, agent, drafts), scenario, batch, [run] = await ctx.database.write(work)
    drafts, _ = await engines.branch(ctx, org, drafts.id, engines.AGENTS, 0)
    chat = await talks.begin(ctx, org, Start(ctx.new_id(), agent.id))
    return Things(component, library, prompts, flow, agent, drafts, scenario, batch, run, chat)


async def contents(ctx: Context) -> dict[str, list[Any]]:
    """Every row of every table."""

    def work(tx: Tx) -> dict[str, list[Any]]:
        return {one.name: sorted(map(tuple, tx.execute(select(one))), key=repr) for one in metadata.sorted_tables}

    return await ctx.database.read(work)


# --- every function -------------------------------------------------------------------------------------------------

Look = Callable[[Context, str, Things], Awaitable[Any]]
"""Calls one function for an organisation, with the ids of somebody's things."""

SPAN, WINDOW = Span(), Window(1, 50)


def within(look: Callable[[Context, Tx, str, Things], Any]) -> Look:
    """The look at a function that works within a transaction."""

    async def outside(ctx: Context, org: str, of: Things) -> Any:
        return await ctx.database.write(lambda tx: look(ctx, tx, org, of))

    return outside


async def only(id_: str, listed: Awaitable[Any]) -> list[Any]:
    """Of what is listed the thing with this id: others have some of their own."""
    found: Any = await listed
    every: Sequence[Any] = getattr(found, "items", found)
    return [one for one in every if _id(one) == id_]


def _id(listed: Any) -> str:
    """Some lists are of pairs, or of what is known of a thing beside itself."""
    one: Any = cast("Sequence[Any]", listed)[0] if isinstance(listed, tuple) else listed
    for name in ("scenario", "batch", "conversation"):
        one = getattr(one, name, one)
    return one.id


def renamed(version: Any) -> Any:
    return replace(version, name="stolen")


def beside(_version: Version, _component: Component) -> Version:
    """What a deleted component leaves behind."""
    return replace(_version, flow=PART)


async def listed_talks(ctx: Context, org: str, of: Things) -> Any:
    return (await talks.get_slice(ctx, org, TalkFilter(ids=(of.chat.conversation.id,)), SPAN))[0].items


async def counted_talks(ctx: Context, org: str, of: Things) -> Any:
    wanted = TalkFilter(agents=((of.agent.id, ()),))
    return (await talks.get_slice(ctx, org, wanted, SPAN, counted=True))[1]


LOOKS: dict[str, Look] = {
    "batches.trigger": within(
        lambda ctx, tx, org, of: batches.trigger(ctx, tx, org, of.prompts.id, None, [of.scenario.id])
    ),
    "batches.retrieve": lambda ctx, org, of: batches.retrieve(ctx, org, of.batch.id),
    "batches.get_slice": lambda ctx, org, of: only(of.batch.id, batches.get_slice(ctx, org, of.prompts.id, None, SPAN)),
    "batches.get_slice of number": lambda ctx, org, of: only(
        of.batch.id, batches.get_slice(ctx, org, of.prompts.id, 0, SPAN)
    ),
    "batches.get_runs": lambda ctx, org, of: batches.get_runs(ctx, org, of.batch.id, SPAN),
    "components.retrieve": lambda ctx, org, of: components.retrieve(ctx, org, of.component.id),
    "components.update": lambda ctx, org, of: components.update(ctx, org, of.component.id, renamed),
    "components.delete": lambda ctx, org, of: components.delete(ctx, org, of.component.id, beside),
    "components.get_slice": lambda ctx, org, of: only(of.component.id, components.get_slice(ctx, org, SPAN)),
    "components.get_all": lambda ctx, org, of: only(of.component.id, components.get_all(ctx, org)),
    "engines.get": within(lambda ctx, tx, org, of: engines.get(tx, org, of.flow.id, engines.ENGINES)),
    "engines.get locked": within(
        lambda ctx, tx, org, of: engines.get(tx, org, of.flow.id, engines.ENGINES, 0, lock=True)
    ),
    "engines.retrieve": lambda ctx, org, of: engines.retrieve(ctx, org, of.agent.id, engines.AGENTS, 0),
    "engines.edit": lambda ctx, org, of: engines.edit(ctx, org, of.prompts.id, engines.ENGINES, renamed),
    "engines.edited": within(
        lambda ctx, tx, org, of: engines.edited(ctx, tx, org, of.prompts.id, engines.ENGINES, renamed)
    ),
    "engines.delete": lambda ctx, org, of: engines.delete(ctx, org, of.prompts.id, engines.ENGINES, force=True),
    "engines.get_slice": lambda ctx, org, of: only(of.flow.id, engines.get_slice(ctx, org, engines.ENGINES, SPAN)),
    "engines.get_slice kept": lambda ctx, org, of: only(
        of.flow.id, engines.get_slice(ctx, org, engines.ENGINES, SPAN, lambda _: True)
    ),
    "engines.get_every_version": lambda ctx, org, of: only(
        of.drafts.id, engines.get_every_version(ctx, org, engines.AGENTS)
    ),
    "engines.find": within(lambda ctx, tx, org, of: engines.find(tx, org, of.prompts.id, 0)),
    "engines.get_versions": lambda ctx, org, of: engines.get_versions(ctx, org, of.drafts.id, engines.AGENTS),
    "engines.branch": lambda ctx, org, of: engines.branch(ctx, org, of.agent.id, engines.AGENTS, 0),
    "engines.publish": lambda ctx, org, of: engines.publish(ctx, org, of.agent.id, engines.AGENTS, None, "stolen"),
    "engines.drop_version": lambda ctx, org, of: engines.drop_version(ctx, org, of.drafts.id, engines.AGENTS, 1),
    "libraries.add": lambda ctx, org, of: libraries.add(ctx, org, of.library.id, Given((("More", "More."),))),
    "libraries.retrieve": lambda ctx, org, of: libraries.retrieve(ctx, org, of.library.id),
    "libraries.get_all": lambda ctx, org, of: only(of.library.id, libraries.get_all(ctx, org)),
    "libraries.delete": lambda ctx, org, of: libraries.delete(ctx, org, of.library.id),
    "libraries.delete_source": lambda ctx, org, of: libraries.delete_source(
        ctx, org, of.library.id, of.library.sources[0].id
    ),
    "playground.everybody": lambda ctx, org, of: playground.everybody(ctx, org, of.agent.id),
    "runs.trigger": within(lambda ctx, tx, org, of: runs.trigger(ctx, tx, org, of.scenario.id, None)),
    "runs.retrieve": lambda ctx, org, of: runs.retrieve(ctx, org, of.scenario.id, of.run.id),
    "runs.look": lambda ctx, org, of: runs.look(ctx, org, of.run.id),
    "runs.recall": lambda ctx, org, of: runs.recall(ctx, org, of.run.id),
    "runs.transcribe": lambda ctx, org, of: runs.transcribe(ctx, org, of.run.id),
    "scenarios.retrieve": lambda ctx, org, of: scenarios.retrieve(ctx, org, of.scenario.id),
    "scenarios.update": lambda ctx, org, of: scenarios.update(ctx, org, of.scenario.id, renamed),
    "scenarios.changed": within(
        lambda ctx, tx, org, of: scenarios.changed(ctx, tx, org, of.scenario.id, renamed),
    ),
    "scenarios.delete": lambda ctx, org, of: scenarios.delete(ctx, org, of.scenario.id),
    "scenarios.retire": lambda ctx, org, of: scenarios.retire(ctx, org, of.scenario.id),
    "scenarios.retrieve_aimed": lambda ctx, org, of: scenarios.retrieve_aimed(ctx, org, of.scenario.id),
    "scenarios.get_slice": lambda ctx, org, of: only(
        of.scenario.id, scenarios.get_slice(ctx, org, of.prompts.id, SPAN)
    ),
    "scenarios.get": within(lambda ctx, tx, org, of: scenarios.get(tx, org, of.scenario.id)),
    "scenarios.get locked": within(lambda ctx, tx, org, of: scenarios.get(tx, org, of.scenario.id, lock=True)),
    "talks.begin": lambda ctx, org, of: talks.begin(ctx, org, Start(ctx.new_id(), of.agent.id)),
    "talks.reply": lambda ctx, org, of: talks.reply(ctx, org, of.chat.conversation.id, "Hello?"),
    "talks.retrieve": lambda ctx, org, of: talks.retrieve(ctx, org, of.chat.conversation.id),
    "talks.update": lambda ctx, org, of: talks.update(
        ctx, org, of.chat.conversation.id, lambda _: {"metadata": "stolen"}, override={"name": "them"}
    ),
    "talks.end": lambda ctx, org, of: talks.end(ctx, org, of.chat.conversation.id),
    "talks.get_slice": listed_talks,
    "talks.get_slice counted": counted_talks,
    "talks.get_all": lambda ctx, org, of: only(of.chat.conversation.id, talks.get_all(ctx, org, SPAN)),
    "talks.delete": lambda ctx, org, of: talks.delete(ctx, org, of.chat.conversation.id),
}
MAKERS = {
    "components.create",
    "engines.create",
    "libraries.create",
    "runs.start",
    "runs.trigger_these",
    "scenarios.create",
}
"""These make what the others look for; what they refer to: below."""
PAGES = {"runs.get_page", "runs.trigger_suite", "scenarios.get_page", "scenarios.get_suites"}
"""What is found by names that two organisations can both use: below."""
REFERRING = {
    "components.check",
    "components.frozen",
    "engines.completed",
    "playground.check",
    "playground.turn",
    "runs.recorded",
    "scenarios.aimed",
    "scenarios.medium_of",
}
"""These look up what something refers to: below."""


def test_every_function_that_takes_an_organisation_is_tried() -> None:
    def public(module: ModuleType) -> set[str]:
        functions = inspect.getmembers(module, inspect.isfunction)
        mine = {name: one for name, one in functions if one.__module__ == module.__name__ and not name.startswith("_")}
        room = module.__name__.rpartition(".")[2]
        return {f"{room}.{name}" for name, one in mine.items() if "org" in inspect.signature(one).parameters}

    taking = set[str]().union(*map(public, MODULES))
    assert taking == {name.split()[0] for name in LOOKS} | MAKERS | PAGES | REFERRING


@pytest.mark.parametrize("name", LOOKS)
async def test_others_find_nothing_and_change_nothing(ctx: Context, name: str) -> None:
    ours = await furnish(ctx, ORG)
    await furnish(ctx, OTHER)
    before = await contents(ctx)
    try:
        found = await LOOKS[name](ctx, OTHER, ours)
    except NotFound:
        found = None
    assert found in (None, 0, (), [])
    assert await contents(ctx) == before


@pytest.mark.parametrize("name", LOOKS)
async def test_the_owner_does(ctx: Context, name: str) -> None:
    """Or the test above could not fail."""
    await furnish(ctx, OTHER)
    ours = await furnish(ctx, ORG)
    before = await contents(ctx)
    found = await LOOKS[name](ctx, ORG, ours)
    assert found or await contents(ctx) != before


async def test_lists_and_suites_hold_an_organisations_own(ctx: Context) -> None:
    ours = await furnish(ctx, ORG)
    theirs = await furnish(ctx, OTHER)
    for org, things in ((ORG, ours), (OTHER, theirs)):
        listed = await scenarios.get_page(ctx, org, ScenarioFilter(suite="suite"), WINDOW)
        assert ([one.id for one in listed.items], listed.total) == ([things.scenario.id], 1)
        made = await runs.get_page(ctx, org, RunFilter(suite="suite"), WINDOW)
        assert ([one.id for one in made.items], made.total) == ([things.run.id], 1)
        same = await runs.get_page(ctx, org, RunFilter(batch_id=ours.batch.id), WINDOW)
        assert [one.id for one in same.items] == ([ours.run.id] if org == ORG else [])
        more = await ctx.database.write(lambda tx, org=org: runs.trigger_suite(ctx, tx, org, "suite", None))
        assert [one.scenario_id for one in more] == [things.scenario.id]
    with pytest.raises(NotFound):
        await runs.get_page(ctx, OTHER, RunFilter(scenario_id=ours.scenario.id), WINDOW)
    await scenarios.update(ctx, ORG, ours.scenario.id, lambda one: replace(one, suite="ours"))
    assert await scenarios.get_suites(ctx, OTHER) == ("suite",)


# --- what refers to something ---------------------------------------------------------------------------------------


async def drafted(ctx: Context, form: Form, org: str = OTHER, **given: Any) -> Assistant:
    """An assistant of theirs, unless another organisation is named."""
    return await ctx.database.write(lambda tx: engines.create(ctx, tx, org, form, a_version(**given)))


async def smuggled(ctx: Context, assistant: Assistant, **given: Any) -> Version:
    """Its version with what no service lets in."""
    version = replace(assistant.main, **given)
    await ctx.database.write(lambda tx: stored.put_version(tx, version))
    return version


async def cast_of(ctx: Context, version: Version, org: str = OTHER) -> Cast:
    return await ctx.database.read(lambda tx: assistants.cast(tx, org, version))


async def test_an_agent_speaks_as_no_engine_of_others(ctx: Context) -> None:
    ours = await furnish(ctx, ORG)
    plays = Plays(ours.prompts.id)
    with pytest.raises(NotFound):
        await drafted(ctx, Form.CHAT_AGENT, plays=plays)
    theirs = await drafted(ctx, Form.CHAT_AGENT, instructions="Their own.")
    with pytest.raises(NotFound):
        await engines.edit(ctx, OTHER, theirs.id, engines.AGENTS, lambda one: replace(one, plays=plays))


@pytest.mark.parametrize("number", [None, 0])
async def test_one_that_names_an_engine_of_others_all_the_same_has_nothing_to_say(
    ctx: Context, number: int | None
) -> None:
    ours = await furnish(ctx, ORG)
    theirs = await drafted(ctx, Form.CHAT_AGENT, instructions="Their own.")
    version = await smuggled(ctx, theirs, plays=Plays(ours.prompts.id, number))
    assert (await cast_of(ctx, version)).first.instructions == "Their own."
    assert (await cast_of(ctx, version, ORG)).first.instructions != "Their own."
    for refused in (
        playground.everybody(ctx, OTHER, theirs.id),
        talks.begin(ctx, OTHER, Start("chat-of-theirs", theirs.id)),
        engines.publish(ctx, OTHER, theirs.id, engines.AGENTS, None),
    ):
        with pytest.raises(Rejected, match="gone"):
            await refused
    _, draft = await engines.branch(ctx, OTHER, theirs.id, engines.AGENTS, 0)
    await engines.drop_version(ctx, OTHER, theirs.id, engines.AGENTS, draft.number)
    found, versions = await engines.get_versions(ctx, ORG, ours.prompts.id, engines.ENGINES)
    assert (found, versions) == (ours.prompts, (ours.prompts.main,))
    # Their agent holds our engine back from nobody, nor does it say how ours is reached.
    await smuggled(ctx, await drafted(ctx, Form.VOICE_AGENT), plays=Plays(ours.prompts.id))
    assert await ctx.database.read(lambda tx: scenarios.medium_of(tx, ORG, ours.prompts.id)) is Medium.WEB_CHAT
    assert await ctx.database.read(lambda tx: scenarios.medium_of(tx, OTHER, ours.prompts.id)) is Medium.WEB_CALL
    await engines.delete(ctx, ORG, ours.agent.id, engines.AGENTS, force=False)
    await engines.delete(ctx, ORG, ours.prompts.id, engines.ENGINES, force=False)


@pytest.mark.parametrize("number", [None, 0])
async def test_nobody_is_handed_over_to_an_agent_of_others(ctx: Context, number: int | None) -> None:
    ours = await furnish(ctx, ORG)
    swap = HandoffTool((HandoffTarget(ours.agent.id, "them", number=number),), name="swap")
    theirs = await drafted(ctx, Form.PROMPTS, tools=(swap,))
    assert (await cast_of(ctx, theirs.main)).others == {}
    assert list((await cast_of(ctx, theirs.main, ORG)).others) == [ours.agent.id]


@pytest.mark.parametrize("by", ["id", "number"])
async def test_a_test_of_an_engine_of_others_reaches_nobody(ctx: Context, by: str) -> None:
    """Nor by a number that the operator mapped to it."""
    ours, theirs = await furnish(ctx, ORG), await furnish(ctx, OTHER)
    ctx = replace(ctx, numbers={"+15550100001": ours.prompts.id})
    draft = a_scenario(target=ours.prompts.id if by == "id" else "+15550100001")
    scenario = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, OTHER, draft))
    [aimed] = await ctx.database.read(lambda tx: scenarios.aimed(ctx, tx, OTHER, [scenario]))
    assert aimed.target is None
    with pytest.raises(NotFound):
        await ctx.database.write(lambda tx: batches.trigger(ctx, tx, OTHER, ours.prompts.id, None, [scenario.id]))
    for version_id in (ours.prompts.main.id, theirs.prompts.main.id):
        with pytest.raises(Rejected, match="no assistant of this server"):
            await ctx.database.write(lambda tx, id_=version_id: runs.trigger(ctx, tx, OTHER, scenario.id, id_))
    run = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, OTHER, scenario.id, None))
    frozen = await ctx.database.read(lambda tx: kept_runs.get_frozen(tx, run.id))
    assert frozen is not None
    assert frozen.cast is None
    with pytest.raises(lines.Unreachable):
        await lines.channel(ctx, frozen, Lease(run.id, "token"), None)
    [record] = await ctx.database.read(lambda tx: runs.recorded(ctx, tx, OTHER, [frozen]))
    assert record.target is None
    assert (await scenarios.get_slice(ctx, ORG, ours.prompts.id, SPAN)).items[0].scenario == ours.scenario
    assert [one.scenario for one in (await scenarios.get_slice(ctx, OTHER, theirs.prompts.id, SPAN)).items] == [
        theirs.scenario
    ]


async def test_a_batch_holds_no_tests_of_others(ctx: Context) -> None:
    ours, theirs = await furnish(ctx, ORG), await furnish(ctx, OTHER)
    wanted = [theirs.scenario.id, ours.scenario.id]
    with pytest.raises(Unknown) as unknown:
        await ctx.database.write(lambda tx: batches.trigger(ctx, tx, OTHER, theirs.prompts.id, None, wanted))
    assert unknown.value.ids == (ours.scenario.id,)


async def test_a_library_of_others_holds_nothing(ctx: Context) -> None:
    ours = await furnish(ctx, ORG)
    buckets = (ours.library.id,)
    recall = Recall(buckets)
    for org, found in ((ORG, (TEXT[1],)), (OTHER, ())):
        assert await ToolsOf(ctx, org, "", conversation_id="talk").recalled(recall, "sending shoes back") == found
    script = 'else: call retrieval {"query": "shoes"}\non result: say "$0"\non result failed: say "No."'
    theirs = await drafted(
        ctx, Form.PROMPTS, instructions=script, model="scripted", greeting="", tools=(RetrievalTool(buckets),)
    )
    for org, found in ((ORG, True), (OTHER, False)):
        turn = await playground.turn(ctx, org, await cast_of(ctx, theirs.main, org), Transcript((ASKED,)), {})
        told = [event.output for event in turn.events if isinstance(event, ToolReturned)]
        assert ["thirty days" in text for text in told] == [found]


async def test_a_component_of_others_is_none(ctx: Context) -> None:
    ours = await furnish(ctx, ORG)
    theirs = await drafted(ctx, Form.FLOW, flow=through(ours.component.id))
    with pytest.raises(NotFound, match="component"):
        await ctx.database.write(lambda tx: components.check(tx, OTHER, theirs.main))
    assert await ctx.database.read(lambda tx: components.frozen(tx, OTHER, theirs.main)) == theirs.main
    for org, nodes in ((ORG, {"part", "part/in", "part/out", "end"}), (OTHER, {"part", "end"})):
        played = (await cast_of(ctx, theirs.main, org)).first.flow
        assert played is not None
        assert {node.id for node in played.nodes} == nodes
    # That they name it is told nobody, and nothing of theirs changes when it goes.
    assert await components.retrieve(ctx, ORG, ours.component.id) == (ours.component, (ours.flow.id,))
    await components.delete(ctx, ORG, ours.component.id, beside)
    assert await engines.retrieve(ctx, OTHER, theirs.id, engines.ENGINES) == (theirs, theirs.main)
