"""Two servers of one PostgreSQL do the same at once: the first has not committed yet when the second comes."""

import asyncio
from collections.abc import Awaitable, Generator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection
from tests.support.store import NOW, ORG, a_conversation, a_version, waits

from vivavoce.core.assistant import Assistant, Origin, Version
from vivavoce.core.event import Message, Speaker
from vivavoce.core.library import SharedTool
from vivavoce.core.mind import Mind
from vivavoce.core.tool import OtherTool
from vivavoce.services import assistants, chat, imports, incoming, library, messaging
from vivavoce.services.context import Context
from vivavoce.services.errors import Rejected
from vivavoce.services.incoming import Arrival
from vivavoce.services.messaging import Wish
from vivavoce.services.turns import Shared, Turns
from vivavoce.storage import conversations, tools
from vivavoce.storage.database import Tx, connect

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

T = TypeVar("T")
OURS, THEIRS = "+15550100001", "+15550100002"


def anything(*_given: object) -> None:
    """The rules that are looked at elsewhere."""


@pytest.fixture
def first(database_url: str) -> Generator[Connection]:
    """The transaction of the server that is first."""
    other = connect(database_url)
    with other._writers.connect() as tx:
        yield tx
    other.close()


async def second(ctx: Context, first: Connection, work: Awaitable[T]) -> T:
    """What the other server gets, which has to wait for the first to commit."""
    task = asyncio.ensure_future(work)
    await waits(ctx.database, task)
    assert not task.done()
    first.commit()
    return await task


def draft(**given: Any) -> Version:
    return a_version(**{"instructions": "Be kind.", "mind": Mind("scripted"), **given})


async def made(ctx: Context, **given: Any) -> Assistant:
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft(**given), anything))


async def test_two_first_imports_make_one_assistant(ctx: Context, first: Connection) -> None:
    def work(tx: Tx) -> str:
        (kept,) = imports.keep(ctx, tx, ORG, [(Origin("vapi", "theirs"), draft())], anything)
        return kept.id

    before = work(first)
    assert await second(ctx, first, ctx.database.write(work)) == before
    assert [one.id for one in await assistants.get_all(ctx, ORG)] == [before]


async def test_imports_of_two_organisations_do_not_wait_for_each_other(ctx: Context, first: Connection) -> None:
    imports.keep(ctx, first, ORG, [(Origin("vapi", "theirs"), draft())], anything)
    theirs = [(Origin("vapi", "theirs"), draft())]
    (kept,) = await ctx.database.write(lambda tx: imports.keep(ctx, tx, "org-b", theirs, anything))
    first.rollback()
    assert [one.id for one in await assistants.get_all(ctx, "org-b")] == [kept.id]


async def test_an_assistant_is_checked_with_its_tool_as_it_is_being_changed(ctx: Context, first: Connection) -> None:
    wanted = SharedTool("", "lookup", "odd", OtherTool("odd", name="lookup"), NOW)
    tool = await ctx.database.write(lambda tx: library.create(ctx, tx, ORG, wanted))
    seen: list[str] = []

    def check(version: Version) -> None:
        seen.extend(f"{one.name}" for one in version.library.values())

    assert tools.get(first, ORG, tool.id, lock=True) == tool
    tools.put(first, ORG, replace(tool, tool=OtherTool("odd", name="changed")))
    created = ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft(shared=(tool.id,)), check))
    await second(ctx, first, created)
    assert seen == ["changed"]


async def test_a_tool_is_checked_with_the_assistant_that_is_being_given_it(ctx: Context, first: Connection) -> None:
    wanted = SharedTool("", "lookup", "odd", OtherTool("odd", name="lookup"), NOW)
    tool = await ctx.database.write(lambda tx: library.create(ctx, tx, ORG, wanted))
    user = assistants.create(ctx, first, ORG, draft(shared=(tool.id,)), anything)

    def refuse(assistant_id: str, _version: Version) -> None:
        raise Rejected(f"{assistant_id} cannot have that")

    with pytest.raises(Rejected, match=user.id):
        await second(ctx, first, library.update(ctx, ORG, tool.id, lambda before: before, refuse))


async def test_two_first_texts_to_a_number_are_one_conversation(ctx: Context, first: Connection) -> None:
    assistant = await made(ctx)
    wish = Wish(OURS, THEIRS, "Hello")
    drafts = [await messaging.compose(ctx, ORG, assistant.id, wish) for _ in range(2)]
    begun = messaging.keep(ctx, first, ORG, drafts[0])
    text = await second(ctx, first, ctx.database.write(lambda tx: messaging.keep(ctx, tx, ORG, drafts[1])))
    assert text.conversation_id == begun.conversation_id
    told = await ctx.database.read(lambda tx: conversations.get_transcript(tx, begun.conversation_id or ""))
    assert [event.text for event in told.events if isinstance(event, Message)] == ["Hello", "Hello"]
    assert {event.speaker for event in told.events if isinstance(event, Message)} == {Speaker.ASSISTANT}


async def test_a_first_text_to_a_number_and_one_from_it_are_one_conversation(ctx: Context, first: Connection) -> None:
    assistant = await made(ctx)
    mapped = replace(ctx, numbers={OURS: assistant.id})
    wished = await messaging.compose(mapped, ORG, assistant.id, Wish(OURS, THEIRS, "Hello"))
    begun = messaging.keep(mapped, first, ORG, wished)
    came = await second(ctx, first, incoming.receive(mapped, ORG, Arrival(THEIRS, OURS, "Hi")))
    assert came.conversation_id == begun.conversation_id


async def test_messages_to_two_servers_are_answered_one_after_the_other(ctx: Context) -> None:
    assistant = await made(ctx, instructions='on hear /(.*)/: say "about {1}"')
    talk = a_conversation()
    await ctx.database.write(lambda tx: conversations.add(tx, ORG, [talk]))
    servers = [replace(ctx, turns=Turns(Shared(ctx.database, lambda name=name: name))) for name in ("one", "two")]
    words = [f"message {number}" for number in range(6)]

    async def say(server: Context, content: str) -> str:
        return await chat.reply(server, await chat.begin(server, ORG, assistant.id, talk.id), content)

    said = await asyncio.gather(*(say(servers[place % 2], content) for place, content in enumerate(words)))
    told = await ctx.database.read(lambda tx: conversations.get_transcript(tx, talk.id))
    heard = [event.text for event in told.events if isinstance(event, Message)]
    assert sorted(heard[::2]) == words
    assert dict(zip(heard[::2], heard[1::2], strict=True)) == dict(zip(words, said, strict=True))
