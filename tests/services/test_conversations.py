from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, Hand, a_conversation, said

from vivavoce.core.filter import Comparison, Field, Filter, Op
from vivavoce.services import conversations
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.storage import conversations as kept_talks


async def test_a_new_conversation_gets_an_id_and_times(ctx: Context, hand: Hand) -> None:
    hand.turn(2)
    draft = a_conversation(id="x", created_at=1, last_message_at=1, name="n", metadata={"a": "b"})
    kept = await ctx.database.write(lambda tx: conversations.create(ctx, tx, ORG, draft))
    assert kept == replace(draft, id=kept.id, created_at=NOW + 2000, last_message_at=NOW + 2000)
    assert kept.id != "x"
    assert await conversations.retrieve(ctx, ORG, kept.id) == kept
    wanted = Filter((Comparison(Field("a", metadata=True), Op.EQ, "b"),))
    assert await conversations.get_filtered(ctx, ORG, wanted) == (kept,)
    assert await conversations.get_filtered(ctx, "org-b", wanted) == ()


async def test_a_list_has_a_limit(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "MOST", 3)
    some = [a_conversation() for _ in range(5)]
    await ctx.database.write(lambda tx: kept_talks.add(tx, ORG, some))
    assert len(await conversations.get_filtered(ctx, ORG, Filter())) == 3
    assert len(await conversations.get_filtered(ctx, ORG, Filter(limit=4))) == 3


async def test_a_transcript_is_its_organisations_own(ctx: Context) -> None:
    kept = a_conversation()
    await ctx.database.write(lambda tx: kept_talks.add(tx, ORG, [kept]))
    await ctx.database.write(lambda tx: kept_talks.append(tx, kept.id, [said("hello")], NOW))
    assert (await conversations.get_transcript(ctx, ORG, kept.id)).events == (said("hello"),)
    for org, id_ in (("org-b", kept.id), (ORG, "none")):
        for attempt in (conversations.get_transcript(ctx, org, id_), conversations.retrieve(ctx, org, id_)):
            with pytest.raises(NotFound) as failure:
                await attempt
            assert (failure.value.noun, failure.value.id) == ("conversation", id_)
