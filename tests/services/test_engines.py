"""Drafts and what is published (contract, section 8, version rules), and what is run of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import NOW, ORG, Hand, a_version

from vivavoce.core.assistant import Assistant, Form, Plays, Rules, Templating, Version
from vivavoce.core.component import Component
from vivavoce.core.flow import ComponentNode, DefaultCondition, Edge, EndNode, Flow, NodeTarget, PromptNode
from vivavoce.core.library import SharedTool
from vivavoce.core.tool import FunctionTool, HandoffTarget, HandoffTool
from vivavoce.services import assistants, components, engines
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants as stored
from vivavoce.storage import tools
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span

OTHER = "org-b"
SHARED = Flow("in", (PromptNode("in", "Ask."),))


async def made(ctx: Context, form: Form = Form.PROMPTS, **given: object) -> Assistant:
    return await ctx.database.write(lambda tx: engines.create(ctx, tx, ORG, form, a_version(**given)))


async def pair(ctx: Context, form: Form = Form.CHAT_AGENT, **given: object) -> tuple[Assistant, Assistant]:
    """An engine, and an agent that speaks as it."""
    engine = await made(ctx, instructions="Sell.", name="engine")
    return engine, await made(ctx, form, **{"plays": Plays(engine.id), "instructions": "", "name": "agent", **given})


def named(name: str) -> Callable[[Version], Version]:
    return lambda version: replace(version, name=name)


async def completed(ctx: Context, version: Version, org: str = ORG) -> Version:
    return await ctx.database.read(lambda tx: engines.completed(tx, org, version))


async def test_section_8_a_new_object_is_the_draft_0(ctx: Context) -> None:
    kept = await made(ctx, id="x", assistant_id="y", number=7, published=True, base=3, created_at=1)
    assert kept.id.startswith("assistant-")
    assert kept.main.assistant_id == kept.id
    assert kept.main.id != "x"
    main = kept.main
    assert (main.number, main.published, main.base) == (0, False, None)
    assert (main.created_at, main.changed_at, kept.created_at) == (NOW, NOW, NOW)
    assert await engines.retrieve(ctx, ORG, kept.id, engines.ENGINES) == (kept, main)
    assert await engines.retrieve(ctx, ORG, kept.id, [Form.PROMPTS], 0) == (kept, main)


async def test_what_is_not_there_is_not_found(ctx: Context) -> None:
    kept = await made(ctx)
    for org, id_, form, number in (
        (OTHER, kept.id, Form.PROMPTS, None),
        (ORG, "nobody", Form.PROMPTS, None),
        (ORG, kept.id, Form.FLOW, None),
        (ORG, kept.id, Form.PROMPTS, 1),
        (ORG, kept.id, Form.PROMPTS, -1),
        (ORG, kept.id, Form.PROMPTS, 2**70),
    ):
        with pytest.raises(NotFound) as failure:
            await engines.retrieve(ctx, org, id_, [form], number)
        assert failure.value.noun == ("assistant" if number is None else "version")
        with pytest.raises(NotFound):
            await engines.edit(ctx, org, id_, [form], named("stolen"), number)
    for org, id_ in ((OTHER, kept.id), (ORG, "nobody")):
        with pytest.raises(NotFound):
            await engines.delete(ctx, org, id_, [Form.PROMPTS], force=True)
        with pytest.raises(NotFound):
            await engines.get_versions(ctx, org, id_, [Form.PROMPTS])
    assert await engines.retrieve(ctx, ORG, kept.id, [Form.PROMPTS]) == (kept, kept.main)


async def test_a_draft_is_edited_in_its_place(ctx: Context, hand: Hand) -> None:
    kept = await made(ctx, name="one")
    hand.turn(60)

    def change(version: Version) -> Version:
        return replace(version, name="two", id="x", assistant_id="y", number=9, base=9, published=True, created_at=0)

    changed, version = await engines.edit(ctx, ORG, kept.id, [Form.PROMPTS], change)
    assert version == replace(kept.main, name="two", changed_at=NOW + 60_000)
    assert changed == replace(kept, main=version)
    assert await engines.retrieve(ctx, ORG, kept.id, [Form.PROMPTS]) == (changed, version)


async def test_section_8_a_published_version_never_changes(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    for one, form in ((engine, Form.PROMPTS), (agent, Form.CHAT_AGENT)):
        with pytest.raises(Rejected, match="published"):
            await engines.edit(ctx, ORG, one.id, [form], named("changed"), 0)
        _, version = await engines.retrieve(ctx, ORG, one.id, [form])
        assert (version.name, version.published) == (one.main.name, True)


# agents and what they speak as


async def test_section_8_an_agent_speaks_as_the_newest_version_where_none_is_named(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    assert agent.main.plays == Plays(engine.id, 0)
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert (await made(ctx, Form.VOICE_AGENT, plays=Plays(engine.id))).main.plays == Plays(engine.id, 1)
    assert (await made(ctx, Form.VOICE_AGENT, plays=Plays(engine.id, 0))).main.plays == Plays(engine.id, 0)


async def test_an_agent_cannot_speak_as_what_is_not_there(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    for plays in (Plays("nobody"), Plays(engine.id, 5), Plays(agent.id)):
        with pytest.raises(NotFound):
            await made(ctx, Form.CHAT_AGENT, plays=plays)
        with pytest.raises(NotFound):
            await engines.edit(ctx, ORG, agent.id, engines.AGENTS, lambda one, to=plays: replace(one, plays=to))
    with pytest.raises(NotFound):
        await ctx.database.write(
            lambda tx: engines.create(ctx, tx, ORG, Form.CHAT_AGENT, agent.main, plays=[Form.FLOW])
        )
    with pytest.raises(NotFound):
        await ctx.database.write(lambda tx: engines.create(ctx, tx, OTHER, Form.CHAT_AGENT, agent.main))
    assert await engines.get_every_version(ctx, ORG, engines.AGENTS) == ((agent, agent.main),)
    assert await engines.get_every_version(ctx, OTHER, engines.AGENTS) == ()


async def test_section_4_an_engine_that_an_agent_speaks_as_is_deleted_only_by_force(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    many = [await made(ctx, Form.CHAT_AGENT, plays=Plays(engine.id), name=f"n{place}") for place in range(6)]
    with pytest.raises(Rejected, match=r"'agent', 'n0', 'n1', 'n2', 'n3' and 2 more\."):
        await engines.delete(ctx, ORG, engine.id, engines.ENGINES, force=False)
    await engines.delete(ctx, ORG, engine.id, engines.ENGINES, force=True)
    with pytest.raises(NotFound):
        await engines.retrieve(ctx, ORG, engine.id, engines.ENGINES)
    # It has nothing to say, and can still be given another name.
    assert await completed(ctx, agent.main) == agent.main
    renamed = await engines.edit(ctx, ORG, agent.id, engines.AGENTS, named("lost"))
    assert renamed[1].plays == agent.main.plays
    with pytest.raises(Rejected, match="gone"):
        await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert (await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0))[1].plays == agent.main.plays
    await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 1)
    for one in many:
        await engines.delete(ctx, ORG, one.id, engines.AGENTS, force=False)


async def test_an_engine_is_needed_by_any_version_of_an_agent(ctx: Context) -> None:
    first, agent = await pair(ctx)
    second = await made(ctx, Form.FLOW)
    await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.edit(ctx, ORG, agent.id, engines.AGENTS, lambda one: replace(one, plays=Plays(second.id)))
    for engine in (first, second):
        with pytest.raises(Rejected, match="'agent'"):
            await engines.delete(ctx, ORG, engine.id, engines.ENGINES, force=False)
    await engines.delete(ctx, ORG, agent.id, engines.AGENTS, force=False)
    for engine in (first, second):
        await engines.delete(ctx, ORG, engine.id, engines.ENGINES, force=False)
    assert await engines.get_every_version(ctx, ORG, tuple(Form)) == ()


# what is run


async def test_an_agent_is_who_speaks_and_its_engine_is_what_it_says(ctx: Context) -> None:
    engine = await made(ctx, instructions="Sell.", greeting="Hi", templating=Templating("", Rules.NESTED, "UTC"))
    agent = await made(
        ctx,
        Form.CHAT_AGENT,
        name="agent",
        plays=Plays(engine.id),
        idle_minutes=5,
        templating=Templating("", Rules.NESTED, "Europe/Berlin"),
        extra={"body": {"agent": True}},
    )
    spoken = await completed(ctx, agent.main)
    assert (spoken.id, spoken.assistant_id, spoken.name) == (agent.main.id, agent.id, "agent")
    assert (spoken.instructions, spoken.greeting, spoken.idle_minutes) == ("Sell.", "Hi", 5)
    assert spoken.templating.zone == "Europe/Berlin"
    assert spoken.extra == {"body": {"agent": True}}
    assert await completed(ctx, spoken) == spoken
    # The version that is named speaks, whatever is edited behind it.
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.edit(ctx, ORG, engine.id, engines.ENGINES, lambda one: replace(one, instructions="Buy."))
    assert (await completed(ctx, agent.main)).instructions == "Sell."
    newest = replace(agent.main, plays=Plays(engine.id))
    assert (await completed(ctx, newest)).instructions == "Buy."
    # Nobody speaks as what belongs to somebody else.
    assert await completed(ctx, agent.main, OTHER) == agent.main


def over(id_: str) -> Flow:
    edge = Edge("e", "part", DefaultCondition(), NodeTarget("end"))
    return Flow("part", (ComponentNode("part", id_), EndNode("end")), (edge,))


async def test_section_7_2_shared_components_and_tools_are_put_in_their_places(ctx: Context) -> None:
    tool = FunctionTool("find")
    await ctx.database.write(lambda tx: tools.add(tx, ORG, SharedTool("t", "find", "function", tool, NOW)))
    shared, _ = await ctx.database.write(
        lambda tx: components.create(ctx, tx, ORG, Component("", "part", SHARED, 0, 0))
    )
    engine = await made(ctx, Form.FLOW, flow=over(shared.id), shared=("t",))
    agent = await made(ctx, Form.VOICE_AGENT, plays=Plays(engine.id))
    for version in (engine.main, agent.main):
        spoken = await completed(ctx, version)
        assert spoken.flow is not None
        assert [node.id for node in spoken.flow.nodes] == ["part", "part/in", "end"]
        assert spoken.library == {"t": tool}
    # Publishing freezes what is shared.
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    later = Flow("in", (PromptNode("in", "Ask twice."),))
    await components.update(ctx, ORG, shared.id, lambda one: replace(one, flow=later))
    assert (await completed(ctx, agent.main)).flow == spoken.flow


async def test_any_form_is_examined_and_handed_to(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.edit(ctx, ORG, engine.id, engines.ENGINES, lambda one: replace(one, instructions="Buy."))

    def swap(number: int | None) -> HandoffTool:
        return HandoffTool((HandoffTarget(agent.id, "seller", number),))

    cases = [(swap(None), "Buy."), (swap(0), "Sell."), (swap(1), "Buy."), (swap(2), None)]
    for tool, said in cases:
        draft = a_version(tools=(tool,))
        found = await ctx.database.read(lambda tx, draft=draft: assistants.cast(tx, ORG, draft).others)
        assert {id_: one.instructions for id_, one in found.items()} == ({agent.id: said} if said else {})
    for one in (engine, agent):
        chosen = await ctx.database.read(lambda tx, id_=one.id: assistants.choose(tx, ORG, id_, None))
        assert chosen is not None
        assert (chosen.assistant_id, chosen.number) == (one.id, 1)
        early = await ctx.database.read(
            lambda tx, main=one.main: assistants.choose(tx, ORG, main.assistant_id, main.id)
        )
        assert early is not None
        assert (early.number, early.published) == (0, True)


async def test_only_what_can_be_examined_is_found(ctx: Context) -> None:
    engine, agent = await pair(ctx)

    assert await ctx.database.read(lambda tx: engines.find(tx, ORG, engine.id, None)) == (engine, engine.main)
    assert await ctx.database.read(lambda tx: engines.find(tx, ORG, engine.id, 0)) == (engine, engine.main)
    for org, id_, number in ((ORG, engine.id, 1), (ORG, agent.id, None), (OTHER, engine.id, None), (ORG, "x", None)):
        found = await ctx.database.read(lambda tx, o=org, i=id_, n=number: engines.find(tx, o, i, n))
        assert found is None


async def test_the_assistants_of_another_api_are_no_engines_and_the_other_way_round(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    plain = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, a_version(), lambda _: None))
    assert await assistants.get_all(ctx, ORG) == (plain,)
    for one in (engine, agent):
        for refused in (
            assistants.retrieve(ctx, ORG, one.id),
            assistants.get_versions(ctx, ORG, one.id),
            assistants.get_version(ctx, ORG, one.id, one.main.id),
            assistants.update(ctx, ORG, one.id, named("stolen"), lambda _: None, promote=True),
            assistants.delete(ctx, ORG, one.id, hard=False),
            assistants.delete(ctx, ORG, one.id, hard=True),
            assistants.promote(ctx, ORG, one.id, one.main.id),
            assistants.tag(ctx, ORG, one.id, "tag"),
        ):
            with pytest.raises(NotFound):
                await refused
        with pytest.raises(NotFound):
            await ctx.database.write(
                lambda tx, id_=one.id: assistants.clone(ctx, tx, ORG, id_, lambda version: version, lambda _: None)
            )
    with pytest.raises(NotFound):
        await engines.retrieve(ctx, ORG, plain.id, (*engines.ENGINES, *engines.AGENTS))


# versions


async def test_section_8_a_draft_is_made_from_any_version_of_both(ctx: Context, hand: Hand) -> None:
    engine, agent = await pair(ctx)
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0, "first", "the first one")
    hand.turn(1)
    changed, draft = await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert changed.main == draft
    assert (draft.number, draft.base, draft.published, draft.plays) == (1, 0, False, Plays(engine.id, 1))
    assert (draft.label, draft.description) == ("", None)
    assert (draft.created_at, draft.changed_at) == (NOW + 1000, NOW + 1000)
    _, speech = await engines.retrieve(ctx, ORG, engine.id, engines.ENGINES)
    assert (speech.number, speech.base, speech.published, speech.instructions) == (1, 0, False, "Sell.")
    # The drafts of both can be edited, and several stand side by side.
    await engines.edit(ctx, ORG, engine.id, engines.ENGINES, lambda one: replace(one, instructions="Buy."))
    again, third = await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert (third.number, third.base, third.plays) == (2, 0, Plays(engine.id, 2))
    assert (await completed(ctx, third)).instructions == "Sell."
    assert (await completed(ctx, draft)).instructions == "Buy."
    found, versions = await engines.get_versions(ctx, ORG, agent.id, engines.AGENTS)
    assert found == again
    assert [one.number for one in versions] == [2, 1, 0]
    with pytest.raises(NotFound):
        await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 7)
    with pytest.raises(NotFound):
        await engines.branch(ctx, OTHER, agent.id, engines.AGENTS, 0)


async def test_an_agent_that_plays_nobody_has_versions_all_the_same(ctx: Context) -> None:
    agent = await made(ctx, Form.VOICE_AGENT)
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, None)
    _, draft = await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert (draft.number, draft.plays) == (1, None)
    await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 1)


async def test_section_8_publishing_twice_changes_only_what_is_given(ctx: Context, hand: Hand) -> None:
    engine, agent = await pair(ctx)
    hand.turn(1)
    changed, version = await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert (version.published, version.changed_at) == (True, NOW + 1000)
    assert changed.main == version
    hand.turn(1)
    assert await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0) == (changed, version)
    _, titled = await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0, "title")
    assert titled == replace(version, label="title", changed_at=NOW + 2000)
    _, told = await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0, description="what it is")
    assert (told.label, told.description) == ("title", "what it is")
    _, speech = await engines.retrieve(ctx, ORG, engine.id, engines.ENGINES)
    assert (speech.published, speech.changed_at) == (True, NOW + 1000)
    # Another agent that speaks as the same version finds it published.
    other = await made(ctx, Form.VOICE_AGENT, plays=Plays(engine.id))
    await engines.publish(ctx, ORG, other.id, engines.AGENTS, 0)
    assert (await engines.retrieve(ctx, ORG, engine.id, engines.ENGINES))[1] == speech
    with pytest.raises(NotFound):
        await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 1)


async def test_an_older_version_is_published_beside_the_newest(ctx: Context) -> None:
    _, agent = await pair(ctx)
    _, draft = await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    changed, version = await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert (version.number, changed.main) == (0, draft)


async def test_section_8_older_publishing_opens_the_next_draft(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    for number in (0, 1):
        changed, version = await engines.publish(ctx, ORG, agent.id, engines.AGENTS, None, opens=True)
        assert (version.number, version.published) == (number, True)
        assert (changed.main.number, changed.main.published) == (number + 1, False)
        assert changed.main.plays == Plays(engine.id, number + 1)


async def test_a_draft_is_dropped_with_the_draft_that_it_plays(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    with pytest.raises(Rejected, match="only version"):
        await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    await engines.publish(ctx, ORG, agent.id, engines.AGENTS, 0)
    with pytest.raises(Rejected, match="published"):
        await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 0)
    with pytest.raises(NotFound):
        await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 2)
    await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 1)
    for one, forms in ((agent, engines.AGENTS), (engine, engines.ENGINES)):
        found, version = await engines.retrieve(ctx, ORG, one.id, forms)
        assert (version.number, found.main) == (0, version)
    # The numbers of both stay the same.
    _, draft = await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    assert (draft.number, draft.plays) == (1, Plays(engine.id, 1))


async def test_a_draft_that_another_one_plays_stays(ctx: Context) -> None:
    engine, agent = await pair(ctx)
    await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    await made(ctx, Form.VOICE_AGENT, plays=Plays(engine.id, 1))
    await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 1)
    assert (await engines.retrieve(ctx, ORG, engine.id, engines.ENGINES))[1].number == 1


# lists


async def test_section_1_3_a_stretch_holds_what_is_wanted(ctx: Context) -> None:
    kept = [await made(ctx, form, name=name) for form, name in zip([Form.FLOW] * 5, "abaab", strict=True)]
    await made(ctx, Form.PROMPTS, name="a")
    kept.reverse()

    def keep(one: Assistant) -> bool:
        return one.main.name == "a"

    assert await engines.get_slice(ctx, ORG, [Form.FLOW], Span(2)) == Slice((kept[0], kept[1]), more=True)
    assert await engines.get_slice(ctx, ORG, [Form.FLOW], Span(2), keep) == Slice((kept[1], kept[2]), more=True)
    rest = await engines.get_slice(ctx, ORG, [Form.FLOW], Span(2, kept[2].id), keep)
    assert rest == Slice((kept[4],), more=False)
    upwards = await engines.get_slice(ctx, ORG, [Form.FLOW], Span(1, None, ascending=True), keep)
    assert upwards == Slice((kept[4],), more=True)
    assert await engines.get_slice(ctx, ORG, [], Span(2), keep) == Slice((), more=False)
    assert await engines.get_slice(ctx, OTHER, [Form.FLOW], Span(2)) == Slice((), more=False)


async def test_every_version_is_listed_newest_first(ctx: Context) -> None:
    _, one = await pair(ctx)
    _, two = await pair(ctx)
    changed, draft = await engines.branch(ctx, ORG, one.id, engines.AGENTS, 0)
    found = await engines.get_every_version(ctx, ORG, [Form.CHAT_AGENT])
    assert found == ((two, two.main), (changed, draft), (changed, one.main))


async def test_a_few_of_many_are_found_without_reading_them_one_by_one(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(12):
        await made(ctx)
    plain, reads = stored.get_slice, 0

    def counted(*given: Any) -> Slice[Assistant]:
        nonlocal reads
        reads += 1
        return plain(*given)

    monkeypatch.setattr(stored, "get_slice", counted)
    found = await engines.get_slice(ctx, ORG, [Form.PROMPTS], Span(1), lambda _: False)
    assert (found, reads) == (Slice((), more=False), 1)


async def test_section_8_the_draft_that_goes_with_an_agents_draft_is_held_first(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, agent = await pair(ctx)
    await engines.branch(ctx, ORG, agent.id, engines.AGENTS, 0)
    plain, held = stored.get, list[str]()

    def noted(tx: Tx, org: str, id_: str, **given: Any) -> Assistant | None:
        held.extend([id_] if given.get("lock") else [])
        return plain(tx, org, id_, **given)

    monkeypatch.setattr(stored, "get", noted)
    await engines.drop_version(ctx, ORG, agent.id, engines.AGENTS, 1)
    assert held == [agent.id, engine.id]
