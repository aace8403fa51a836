import pytest
from tests.support.store import NOW, ORG, a_conversation, ids

from vivavoce.core.scenario import Medium
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.storage import conversations, duties, keys, texts
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Wanted
from vivavoce.storage.keys import Key
from vivavoce.storage.page import Window
from vivavoce.storage.texts import AlreadyKept, TextFilter

OTHER = "org-b"
AGENT, USER, THIRD = "+15550100001", "+15550100002", "+15550100003"
_new_id = ids()


def went(**given: object) -> Text:
    return _text(Direction.OUTBOUND, AGENT, USER, TextStatus.SENDING, given)


def came(**given: object) -> Text:
    return _text(Direction.INBOUND, USER, AGENT, TextStatus.RECEIVED, given)


def _text(direction: Direction, sender: str, recipient: str, status: TextStatus, given: dict[str, object]) -> Text:
    chosen = {
        "id": _new_id(),
        "direction": direction,
        "medium": Medium.SMS_CHAT,
        "sender": sender,
        "recipient": recipient,
        "body": "Hi",
        "status": status,
        "created_at": NOW,
    }
    return Text(**chosen | given)  # type: ignore[arg-type]


def talk(tx: Tx, assistant_id: str, org: str = ORG) -> str:
    conversation = a_conversation(metadata={"assistant_id": assistant_id})
    conversations.add(tx, org, [conversation])
    return conversation.id


async def test_words_that_no_database_takes_are_kept_without_what_it_refuses(database: Database) -> None:
    """What an assistant says can hold anything."""
    text = went(body="a\x00b\ud800", reason="\x00")

    def work(tx: Tx) -> list[tuple[str, str]]:
        texts.add(tx, ORG, text)
        found = [texts.get(tx, ORG, text.id)]
        texts.put(tx, ORG, text)
        found.append(texts.get(tx, ORG, text.id))
        return [(one.body, one.reason) for one in found if one is not None]

    assert await database.write(work) == [("a\ufffdb\ufffd", "\ufffd")] * 2


async def test_a_text_is_kept_whole_and_changed_in_part(database: Database) -> None:
    text = went(conversation_id="c", reason="r", provider_id="p", medium=Medium.WHATSAPP_CHAT)

    def work(tx: Tx) -> None:
        texts.add(tx, ORG, text)
        assert texts.get(tx, ORG, text.id) == texts.get(tx, ORG, text.id, lock=True) == text
        assert texts.of_provider(tx, ORG, "p") == text
        changed = went(id=text.id, status=TextStatus.FAILED, reason="no", conversation_id="d", body="other")
        texts.put(tx, ORG, changed)
        found = texts.get(tx, ORG, text.id)
        assert found is not None
        assert (found.status, found.reason, found.conversation_id) == (TextStatus.FAILED, "no", "d")
        assert (found.body, found.provider_id) == ("Hi", None)
        texts.forget(tx, ORG, "d")
        assert texts.get(tx, ORG, text.id, lock=True) == went(
            id=text.id, status=TextStatus.FAILED, reason="no", conversation_id="d", body="", medium=text.medium
        )

        under_way = [went(conversation_id="d"), came(conversation_id="d")]
        for each in under_way:
            texts.add(tx, ORG, each)
        texts.forget(tx, ORG, "d")
        assert [texts.get(tx, ORG, each.id) for each in under_way] == under_way

    await database.write(work)


async def test_a_provider_s_id_is_kept_once_in_an_organisation(database: Database) -> None:
    def work(tx: Tx) -> None:
        texts.add(tx, ORG, came(provider_id="p"))
        texts.add(tx, OTHER, came(provider_id="p"))
        texts.add(tx, ORG, came())
        texts.add(tx, ORG, came())

    await database.write(work)
    with pytest.raises(AlreadyKept):
        await database.write(lambda tx: texts.add(tx, ORG, came(provider_id="p")))


async def test_nobody_finds_the_texts_of_others(database: Database) -> None:
    def work(tx: Tx) -> None:
        conversation_id = talk(tx, "assistant-1")
        text = came(provider_id="p", conversation_id=conversation_id)
        texts.add(tx, ORG, text)
        duties.want(tx, Wanted("d", ORG, "reply", text.id, NOW))
        for org, found in ((ORG, True), (OTHER, False)):
            assert (texts.get(tx, org, text.id) is not None) is found
            assert (texts.of_provider(tx, org, "p") is not None) is found
            assert texts.get_page(tx, org, TextFilter(), Window()).total == found
            assert (texts.last_between(tx, org, AGENT, USER) is not None) is found
            assert (texts.last_of(tx, org, AGENT) is not None) is found
            assert (texts.first_waiting(tx, org, conversation_id, "reply") == text.id) is found
        texts.put(tx, OTHER, went(id=text.id))
        texts.forget(tx, OTHER, conversation_id)
        assert texts.get(tx, ORG, text.id) == text

    await database.write(work)


async def test_a_page_is_filtered_and_newest_first(database: Database) -> None:
    one, two, three = went(conversation_id="c"), came(conversation_id="d"), went(recipient=THIRD)

    def work(tx: Tx) -> None:
        for text in (one, two, three):
            texts.add(tx, ORG, text)

        def found(**given: object) -> list[Text]:
            page = texts.get_page(tx, ORG, TextFilter(**given), Window())  # type: ignore[arg-type]
            assert page.total == len(page.items)
            return list(page.items)

        assert found() == [three, two, one]
        assert found(number=USER) == [two, one]
        assert found(number=THIRD) == [three]
        assert found(direction=Direction.INBOUND) == [two]
        assert found(conversation_id="c", number=AGENT) == [one]
        assert found(number="+1") == []
        assert texts.get_page(tx, ORG, TextFilter(), Window(2, 2)).items == (one,)

    await database.write(work)


async def test_the_last_text_between_two_numbers(database: Database) -> None:
    def work(tx: Tx) -> None:
        first, second = talk(tx, "assistant-1"), talk(tx, "assistant-2")
        old = went(conversation_id=first)
        whatsapp = came(conversation_id=first, medium=Medium.WHATSAPP_CHAT)
        new = came(conversation_id=second)
        for text in (
            old,
            whatsapp,
            new,
            went(conversation_id=second, recipient=THIRD),
            went(sender=USER, recipient=AGENT, conversation_id=second),  # the other way round
            went(),  # belongs to no conversation
        ):
            texts.add(tx, ORG, text)
        assert texts.last_between(tx, ORG, AGENT, USER) == new
        assert texts.last_between(tx, ORG, AGENT, USER, assistant_id="assistant-1") == whatsapp
        assert texts.last_between(tx, ORG, AGENT, USER, medium=Medium.SMS_CHAT, assistant_id="assistant-1") == old
        assert texts.last_between(tx, ORG, AGENT, USER, assistant_id="assistant-3") is None
        last = texts.last_of(tx, ORG, AGENT)
        assert last is not None
        assert last.recipient == THIRD
        assert texts.last_of(tx, ORG, THIRD) is None

    await database.write(work)


async def test_who_waits_is_the_oldest_that_somebody_will_answer(database: Database) -> None:
    def work(tx: Tx) -> None:
        given_up, heard, later = (came(conversation_id="c", status=status) for status in _WAITING)
        for text in (given_up, heard, later, came(conversation_id="c", status=TextStatus.HANDLED), went()):
            texts.add(tx, ORG, text)
        for text in (heard, later):
            duties.want(tx, Wanted(f"duty {text.id}", ORG, "reply", text.id, NOW))
        assert texts.first_waiting(tx, ORG, "c", "reply") == heard.id
        assert texts.first_waiting(tx, ORG, "c", "text") is None
        duties.hasten(tx, "reply", later.id, NOW - 5)
        assert duties.next_due(tx) == NOW - 5

    await database.write(work)


_WAITING = (TextStatus.RECEIVED, TextStatus.HEARD, TextStatus.RECEIVED)


async def test_every_organisation_has_a_key(database: Database) -> None:
    def work(tx: Tx) -> None:
        assert list(texts.orgs(tx)) == []
        for number, org in enumerate((OTHER, ORG, ORG)):
            keys.add(tx, Key(f"k{number}", org, "key", "hint", NOW), f"secret {number}")
        assert list(texts.orgs(tx)) == [ORG, OTHER]

    await database.write(work)
