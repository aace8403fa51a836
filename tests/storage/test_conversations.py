import asyncio
from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, a_conversation, said

from vivavoce.core.event import Ending, Left, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.filter import Filter
from vivavoce.storage import conversations, search
from vivavoce.storage.conversations import TurnTaken
from vivavoce.storage.database import Database, Tx

TALK = (
    said("hello"),
    said("one moment", Speaker.ASSISTANT),
    ToolCalled(ToolCall("c1", "find", {"a": [1, None]}), NOW),
    ToolReturned("c1", "find", "{}", ok=True, at=NOW, variables={"b": "c"}),
    Left(Ending.HANGUP, NOW, Speaker.ASSISTANT, "done"),
)


async def test_conversations_come_back(database: Database) -> None:
    kept = [a_conversation(name="é", metadata={"a": "1", "": "x"}), a_conversation(last_message_at=NOW + 5)]
    await database.write(lambda tx: conversations.add(tx, ORG, kept))
    for one in kept:
        assert await database.read(lambda tx, one=one: conversations.get(tx, ORG, one.id)) == one
    assert await database.read(lambda tx: conversations.get(tx, ORG, "none")) is None


async def test_name_and_metadata_are_overwritten(database: Database) -> None:
    kept, bystander = a_conversation(metadata={"a": "b"}), a_conversation(metadata={"a": "b"})
    await database.write(lambda tx: conversations.add(tx, ORG, [kept, bystander]))
    changed = replace(kept, name="n", metadata={"c": "d"}, last_message_at=1, created_at=2)
    await database.write(lambda tx: conversations.set_metadata(tx, changed))
    found = await database.read(lambda tx: search.get_filtered(tx, ORG, Filter(), 10))
    assert found == (bystander, replace(kept, name="n", metadata={"c": "d"}))


async def test_events_are_written_behind_those_that_are_there(database: Database) -> None:
    kept, other = a_conversation(), a_conversation()

    def write(tx: Tx) -> None:
        conversations.add(tx, ORG, [kept, other])
        conversations.append(tx, kept.id, TALK[:1], NOW + 1)
        conversations.append(tx, other.id, TALK[1:2], NOW + 1)
        conversations.append(tx, kept.id, TALK[1:], NOW + 7)

    await database.write(write)
    transcript = await database.read(lambda tx: conversations.get_transcript(tx, kept.id))
    assert transcript.events == TALK
    found = await database.read(lambda tx: conversations.get(tx, ORG, kept.id))
    assert found == replace(kept, last_message_at=NOW + 7)
    assert (await database.read(lambda tx: conversations.get_transcript(tx, "none"))).events == ()


async def test_more_than_ten_turns_stay_in_order(database: Database) -> None:
    kept = a_conversation()
    words = [said(f"{place}") for place in range(25)]
    await database.write(lambda tx: conversations.add(tx, ORG, [kept]))
    await database.write(lambda tx: conversations.append(tx, kept.id, words, NOW))
    assert (await database.read(lambda tx: conversations.get_transcript(tx, kept.id))).events == tuple(words)


async def test_nothing_new_is_no_event(database: Database) -> None:
    kept = a_conversation()
    await database.write(lambda tx: conversations.add(tx, ORG, [kept]))
    await database.write(lambda tx: conversations.append(tx, kept.id, (), NOW + 3))
    assert (await database.read(lambda tx: conversations.get_transcript(tx, kept.id))).events == ()


async def test_a_turn_is_written_once_however_many_write_it(database: Database) -> None:
    """On a server, two may read the same last turn; one of them is told."""
    kept = a_conversation()
    await database.write(lambda tx: conversations.add(tx, ORG, [kept]))
    done = await asyncio.gather(
        *(database.write(lambda tx, n=n: conversations.append(tx, kept.id, [said(f"{n}")], NOW)) for n in range(30)),
        return_exceptions=True,
    )
    written = [f"{n}" for n, outcome in enumerate(done) if outcome is None]
    assert all(isinstance(outcome, TurnTaken) for outcome in done if outcome is not None)
    assert written
    transcript = await database.read(lambda tx: conversations.get_transcript(tx, kept.id))
    assert sorted(message.text for _, message in transcript.messages()) == sorted(written)


async def test_an_event_needs_its_conversation(database: Database) -> None:
    with pytest.raises(TurnTaken):
        await database.write(lambda tx: conversations.append(tx, "nobody", [said("hello")], NOW))


async def test_a_list_is_cut_at_the_smaller_of_both_limits(database: Database) -> None:
    kept = [a_conversation(created_at=NOW + place) for place in range(5)]
    await database.write(lambda tx: conversations.add(tx, ORG, kept))
    newest = tuple(reversed(kept))
    for limit, most, expected in [(None, 3, 3), (2, 3, 2), (4, 3, 3), (9, 9, 5)]:
        found = await database.read(
            lambda tx, limit=limit, most=most: search.get_filtered(tx, ORG, Filter(limit=limit), most)
        )
        assert found == newest[:expected]


async def test_whoever_knows_what_was_written_is_told_of_more(database: Database) -> None:
    """Two servers that answered in one conversation used to write into each other's turns."""
    kept = a_conversation()
    await database.write(lambda tx: conversations.add(tx, ORG, [kept]))
    await database.write(lambda tx: conversations.append(tx, kept.id, [said("a"), said("b")], NOW, turn=0))
    await database.write(lambda tx: conversations.append(tx, kept.id, [said("c")], NOW, turn=2))
    for turn in (0, 2, 4):
        with pytest.raises(TurnTaken):
            await database.write(lambda tx, turn=turn: conversations.append(tx, kept.id, [said("d")], NOW, turn=turn))
    transcript = await database.read(lambda tx: conversations.get_transcript(tx, kept.id))
    assert [message.text for _, message in transcript.messages()] == ["a", "b", "c"]
