from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, Hand, a_version

from vivavoce.core.assistant import Assistant, Templating, Version
from vivavoce.core.library import SharedTool
from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot
from vivavoce.core.tool import HangupTool
from vivavoce.services import assistants, rollouts
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import tools

OTHER = "org-b"


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


async def made(ctx: Context, *names: str, **given: object) -> tuple[Assistant, list[Version]]:
    """An assistant, and a version beside main for each of the names."""
    kept = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, a_version(**given), anything))
    beside = [
        (await assistants.update(ctx, ORG, kept.id, lambda v, n=n: replace(v, name=n), anything, promote=False)).main
        for n in names
    ]
    return kept, beside


async def begin(ctx: Context, assistant: Assistant, *rules: Rule, org: str = ORG) -> Rollout:
    return await ctx.database.write(lambda tx: rollouts.create(ctx, tx, org, assistant.id, rules))


async def chosen(
    ctx: Context,
    assistant: Assistant,
    draw: float = 0.5,
    target: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Version:
    return await ctx.database.read(
        lambda tx: rollouts.chosen(
            ctx, tx, ORG, assistant, user_target=target, metadata=metadata or {}, draw=draw
        )
    )  # fmt: skip


async def test_a_rollout_is_begun_replaced_and_ended(ctx: Context, hand: Hand) -> None:
    kept, [a, b] = await made(ctx, "a", "b")
    begun = await begin(ctx, kept, Rule(version_id=a.id))
    assert begun == Rollout((Rule(version_id=a.id),), NOW, NOW)
    assert await rollouts.retrieve(ctx, ORG, kept.id) == begun
    hand.turn(60)
    rules = (Rule(slots=(Slot(b.id, 50),)),)
    replaced = await rollouts.update(ctx, ORG, kept.id, rules)
    assert replaced == Rollout(rules, NOW, NOW + 60_000) == await rollouts.retrieve(ctx, ORG, kept.id)
    await rollouts.delete(ctx, ORG, kept.id)
    assert await chosen(ctx, kept) == kept.main


async def test_there_is_one_rollout_at_most_and_none_to_begin_with(ctx: Context) -> None:
    kept, [a] = await made(ctx, "a")
    for attempt in (
        rollouts.retrieve(ctx, ORG, kept.id),
        rollouts.update(ctx, ORG, kept.id, ()),
        rollouts.delete(ctx, ORG, kept.id),
    ):
        with pytest.raises(NotFound) as failure:
            await attempt
        assert failure.value.noun == "rollout of the assistant"
    begun = await begin(ctx, kept)
    with pytest.raises(Rejected):
        await begin(ctx, kept, Rule(version_id=a.id))
    assert await rollouts.retrieve(ctx, ORG, kept.id) == begun


async def test_an_assistant_that_is_not_ones_own_or_was_deleted_is_not_found(ctx: Context) -> None:
    kept, [a] = await made(ctx, "a")
    await begin(ctx, kept, Rule(version_id=a.id))
    await assistants.delete(ctx, ORG, kept.id, hard=False)
    for org in (OTHER, ORG):
        for attempt in (
            begin(ctx, kept, org=org),
            rollouts.retrieve(ctx, org, kept.id),
            rollouts.update(ctx, org, kept.id, ()),
            rollouts.delete(ctx, org, kept.id),
        ):
            with pytest.raises(NotFound) as failure:
                await attempt
            assert failure.value.noun == "assistant"
    await assistants.restore(ctx, ORG, kept.id)
    assert (await rollouts.retrieve(ctx, ORG, kept.id)).served() == (a.id,)


async def test_a_rule_serves_versions_of_the_assistant_beside_main(ctx: Context) -> None:
    kept, [a] = await made(ctx, "a")
    _, [stranger] = await made(ctx, "x")
    for id_ in (kept.main.id, stranger.id, "none"):
        for rule in (Rule(version_id=id_), Rule(slots=(Slot(a.id, 1), Slot(id_, 1)))):
            with pytest.raises(Rejected) as failure:
                await begin(ctx, kept, Rule(version_id=a.id), rule)
            assert failure.value.part == "rules"
    begun = await begin(ctx, kept, Rule(version_id=a.id))
    with pytest.raises(Rejected):
        await rollouts.update(ctx, ORG, kept.id, (Rule(version_id="none"),))
    assert await rollouts.retrieve(ctx, ORG, kept.id) == begun


async def test_a_new_conversation_gets_what_the_draw_says(ctx: Context) -> None:
    kept, [a, b] = await made(ctx, "a", "b")
    assert await chosen(ctx, kept) == kept.main
    await begin(ctx, kept, Rule(slots=(Slot(a.id, 25), Slot(b.id, 25))))
    assert [(await chosen(ctx, kept, draw)).name for draw in (0.0, 0.3, 0.5)] == ["a", "b", "clerk"]


async def test_rules_ask_for_the_other_end_by_both_names_and_for_any_metadata(ctx: Context) -> None:
    kept, [a, b, c] = await made(ctx, "a", "b", "c", templating=Templating("x_"))
    await begin(
        ctx,
        kept,
        Rule((Clause("end_user_target", Operator.STARTS_WITH, ("+1",)),), a.id),
        Rule((Clause("x_end_user_target", Operator.IN, ("+49",)),), b.id),
        Rule((Clause("plan", Operator.IN, ("gold",)),), c.id),
    )
    assert await chosen(ctx, kept, target="+15") == a
    assert await chosen(ctx, kept, target="+49") == b
    assert await chosen(ctx, kept, metadata={"x_end_user_target": "+15"}) == a
    assert await chosen(ctx, kept, target="+49", metadata={"x_end_user_target": "+15", "plan": "gold"}) == b
    assert await chosen(ctx, kept, metadata={"plan": "gold"}) == c
    assert await chosen(ctx, kept, metadata={"plan": "tin"}) == kept.main


async def test_what_is_chosen_is_complete(ctx: Context) -> None:
    shared = SharedTool("t", "bye", "hangup", HangupTool(), NOW)
    await ctx.database.write(lambda tx: tools.add(tx, ORG, shared))
    kept, [a] = await made(ctx, "a", shared=("t",))
    assert (await chosen(ctx, kept)).library == {"t": HangupTool()}
    await begin(ctx, kept, Rule(version_id=a.id))
    assert await chosen(ctx, kept) == a
    assert a.library == {"t": HangupTool()}


async def test_a_version_that_is_gone_gives_main(ctx: Context) -> None:
    kept, [a] = await made(ctx, "a")
    await begin(ctx, kept, Rule(version_id=a.id))
    await ctx.database.write(lambda tx: kept_assistants.drop_version(tx, kept.id, a.id))
    assert await chosen(ctx, kept) == kept.main


async def test_rule_6_2_test_runs_ignore_rollouts(ctx: Context) -> None:
    kept, [a] = await made(ctx, "a")
    await begin(ctx, kept, Rule(version_id=a.id))
    assert await ctx.database.read(lambda tx: assistants.choose(tx, ORG, kept.id, None)) == kept.main
    assert await ctx.database.read(lambda tx: assistants.choose(tx, ORG, kept.id, a.id)) == a
