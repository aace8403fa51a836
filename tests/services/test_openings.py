"""Section 6.3 of the contract: what a conversation starts with, asked of a real webhook."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import insert
from tests.outbound.local_server import LOCAL, Reply, Seen, always, serving
from tests.support.store import NOW, ORG, Hand, a_conversation, a_version, said

from vivavoce.assistant.variables import render
from vivavoce.core.assistant import Opener, Templating, Version
from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.depth import MAX_DEPTH
from vivavoce.core.event import Speaker
from vivavoce.core.scenario import Medium
from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.guard import Guard
from vivavoce.outbound.signing import signed
from vivavoce.services import conversations, openings
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.openings import MAX_MEMORY, MOST_REMEMBERED, opened, preview
from vivavoce.storage import conversations as kept_talks
from vivavoce.storage.tables import finding_results, findings

DEFAULTS = {"name": "default", "shop": "default", "city": "default"}


@pytest.fixture
async def ctx(ctx: Context, hand: Hand) -> AsyncGenerator[Context]:
    """A server that may call this machine."""
    async with open_session(LOCAL, ticks=hand.ticks) as session:
        yield replace(ctx, outbound=session)


def a_clerk(url: str | None = None, **given: Any) -> Version:
    opener = Opener(url) if url else None
    return a_version(**{"variables": DEFAULTS, "opener": opener, "templating": Templating("acme_"), **given})


async def a_talk(ctx: Context, org: str = ORG, **given: Any) -> Conversation:
    conversation = a_conversation(**given)
    await ctx.database.write(lambda tx: kept_talks.add(tx, org, [conversation]))
    return conversation


async def open_(ctx: Context, version: Version, talk: Conversation, **given: Any) -> Conversation:
    chosen: dict[str, Any] = {"medium": Medium.SMS_CHAT, "agent_target": "+1312", "user_target": "+1777"}
    return await opened(ctx, ORG, version, talk, **{**chosen, **given})


def variables(conversation: Conversation) -> Mapping[str, Any]:
    assert conversation.opening is not None
    return conversation.opening.variables


async def started(ctx: Context, reply: Reply, **given: Any) -> Conversation:
    """A conversation that was opened with a webhook that replies so."""
    async with serving(reply) as server:
        return await open_(ctx, a_clerk(server.url), await a_talk(ctx), **given)


def own(conversation: Conversation) -> dict[str, Any]:
    """Its variables besides the system's."""
    return {name: value for name, value in variables(conversation).items() if not name.startswith("acme_")}


# what the webhook is asked


async def test_rule_6_3_the_webhook_is_asked_once_signed_and_in_the_documented_form(ctx: Context, hand: Hand) -> None:
    async with serving(always({})) as server:
        version, talk = a_clerk(f"{server.url}/open?a=b"), await a_talk(ctx)
        hand.turn(2)
        first = await open_(ctx, version, talk)
        assert await open_(ctx, version, first) == first
        [seen] = server.seen
    assert (seen.method, seen.target) == ("POST", "/open?a=b")
    assert seen.headers["content-type"] == "application/json"
    data = seen.json["data"]
    assert data.pop("id")
    assert data == {
        "record_type": "event",
        "event_type": "assistant.initialization",
        "occurred_at": "2027-01-15T08:00:02.000Z",
        "payload": {
            "acme_conversation_channel": "sms_chat",
            "acme_agent_target": "+1312",
            "acme_end_user_target": "+1777",
            "acme_end_user_target_verified": False,
            "call_control_id": None,
            "assistant_id": version.assistant_id,
        },
    }
    timestamp, signature = seen.headers["acme-timestamp"], seen.headers["acme-signature-ed25519"]
    assert signed(ctx.signer.public_key, timestamp, signature, seen.body, hand.now())


async def test_what_is_not_known_is_null_and_the_assistant_stands_for_its_own_target(ctx: Context) -> None:
    async with serving(always({})) as server:
        version = a_clerk(server.url, templating=Templating())
        await open_(ctx, version, await a_talk(ctx), agent_target=None, user_target=None)
        payload = server.seen[0].json["data"]["payload"]
        assert server.seen[0].headers["timestamp"]
    assert payload["agent_target"] == version.assistant_id
    assert payload["end_user_target"] is None


async def test_without_a_webhook_nobody_is_asked(ctx: Context) -> None:
    conversation = await open_(ctx, a_clerk(), await a_talk(ctx))
    assert own(conversation) == DEFAULTS


async def test_rule_6_3_skipped_where_the_start_brings_its_variables(ctx: Context) -> None:
    async with serving(always({"dynamic_variables": {"name": "webhook"}})) as server:
        conversation = await open_(ctx, a_clerk(server.url), await a_talk(ctx), given={"name": "given"}, ask=False)
        assert server.seen == []
    assert own(conversation) == {**DEFAULTS, "name": "given"}


# what wins


async def test_rule_6_3_precedence_start_then_webhook_then_defaults(ctx: Context) -> None:
    told = {"name": "webhook", "shop": "webhook", "extra": [1, {"a": None}]}
    conversation = await started(ctx, always({"dynamic_variables": told}), given={"name": "start"})
    assert own(conversation) == {"name": "start", "shop": "webhook", "city": "default", "extra": [1, {"a": None}]}


async def test_rule_6_3_the_prefix_is_reserved_for_the_system(ctx: Context) -> None:
    mine = {"acme_conversation_channel": "mine", "acme_new": "mine"}
    conversation = await started(ctx, always({"dynamic_variables": mine}), given=mine)
    known = variables(conversation)
    assert known["acme_conversation_channel"] == "sms_chat"
    assert known["acme_agent_target"] == "+1312"
    assert known["acme_end_user_target"] == "+1777"
    assert known["acme_conversation_id"] == conversation.id
    assert known["acme_current_year"] == "2027"
    assert "acme_new" not in known


async def test_rule_6_3_syntax_and_what_is_not_resolved_stays(ctx: Context) -> None:
    conversation = await started(ctx, always({"dynamic_variables": {"name": "Ann", "user": {"city": "Ulm"}}}))
    template = "{{name}} {{ name }} {{user.city}} {{acme_conversation_channel}} {{unknown}} {{ acme_unknown }}"
    assert render(template, variables(conversation)) == "Ann Ann Ulm sms_chat {{unknown}} {{ acme_unknown }}"
    assert render("to {{name}}, {{unknown}}", variables(conversation), unset="empty") == "to Ann, "


# what goes wrong


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "x"


GARBAGE: dict[str, Reply] = {
    "an error": always({"dynamic_variables": {"name": "x"}}, 500),
    "a refusal": always({"dynamic_variables": {"name": "x"}}, 404),
    "a redirect": lambda _: web.Response(status=302, headers={"location": "/other"}),
    "no JSON": lambda _: web.Response(text="name=x"),
    "nothing": lambda _: web.Response(status=204),
    "not UTF-8": lambda _: web.Response(body=b'{"dynamic_variables": {"name": "\xff"}}'),
    "a list": always([{"dynamic_variables": {"name": "x"}}]),
    "null": always(None),
    "not a number": lambda _: web.Response(text='{"dynamic_variables": {"name": NaN}}'),
    "too deep": always({"dynamic_variables": {"name": nested(MAX_DEPTH - 1)}}),
    "much too deep": lambda _: web.Response(text='{"dynamic_variables": ' + "[" * 100_000),
    "too much": always({"dynamic_variables": {"name": "x" * openings.MAX_ANSWER}}),
    "rule 6.3: a flat object": always({"name": "x"}),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_rule_6_3_an_answer_that_is_none_leaves_the_defaults(
    ctx: Context, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation = await started(ctx, GARBAGE[what])
    assert own(conversation) == DEFAULTS
    assert await conversations.retrieve(ctx, ORG, conversation.id) == conversation
    assert "the variables webhook told nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer", [{}, {"dynamic_variables": None}, {"dynamic_variables": "x"}, {"memory": 1, "conversation": [1]}]
)
async def test_all_parts_of_an_answer_are_optional(
    ctx: Context, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert own(await started(ctx, always(answer))) == DEFAULTS
    assert capsys.readouterr().out == ""


async def test_a_variable_as_deep_as_can_be_is_read_back(ctx: Context) -> None:
    shallow = nested(MAX_DEPTH - 2)
    conversation = await started(ctx, always({"dynamic_variables": {"name": shallow}}))
    assert variables(await conversations.retrieve(ctx, ORG, conversation.id))["name"] == shallow


async def test_text_that_no_database_takes_is_mended(ctx: Context) -> None:
    answer = rb'{"dynamic_variables": {"name": "a\u0000\ud800"}, "conversation": {"metadata": {"k\u0000": "v\u0000"}}}'
    conversation = await started(ctx, lambda _: web.Response(body=answer))
    assert variables(conversation)["name"] == "a\ufffd\ufffd"
    assert conversation.metadata == {"k\ufffd": "v\ufffd"}


async def test_rule_6_3_a_webhook_that_is_late_is_not_waited_for(
    ctx: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    free = asyncio.Event()

    async def late(_: Seen) -> web.Response:
        await free.wait()
        return web.json_response({"dynamic_variables": {"name": "late"}})

    async with serving(late) as server:
        version = a_clerk(opener=Opener(f"{server.url}/?token=sesame", timeout_ms=50))
        conversation = await open_(ctx, version, await a_talk(ctx))
        free.set()
    assert own(conversation) == DEFAULTS
    told = capsys.readouterr().out
    assert "Unreachable: timeout" in told
    assert "sesame" not in told


async def test_addresses_that_may_not_be_called_are_not(ctx: Context, hand: Hand) -> None:
    async with serving(always({})) as server, open_session(Guard(), ticks=hand.ticks) as session:
        guarded = replace(ctx, outbound=session)
        assert own(await open_(guarded, a_clerk(server.url), await a_talk(ctx))) == DEFAULTS
        assert server.seen == []


async def test_encrypted_variables_are_left_out_and_not_told(ctx: Context, capsys: pytest.CaptureFixture[str]) -> None:
    conversation = await started(ctx, always({"encrypted_dynamic_variables": {"pin": "sesame"}}))
    assert own(conversation) == DEFAULTS
    told = capsys.readouterr().out
    assert "encrypted variables" in told
    assert "sesame" not in told


# what is kept


async def test_rule_6_3_metadata_is_kept_with_the_conversation_but_not_what_the_server_notes(ctx: Context) -> None:
    told = {
        "tier": "gold",
        "count": 3,
        "vip": True,
        "none": None,
        "ai_disabled": False,
        "assistant_id": "somebody else",
        "assistant_version_id": "x",
        "acme_conversation_channel": "x",
        "run_id": "x",
    }
    async with serving(always({"conversation": {"metadata": told}})) as server:
        talk = await a_talk(ctx, metadata={"tier": "silver", "assistant_id": "a", "topic": "orders"})
        conversation = await open_(ctx, a_clerk(server.url), talk)
    assert conversation.metadata == {
        "tier": "gold",
        "assistant_id": "a",
        "topic": "orders",
        "count": "3",
        "vip": "true",
        "ai_disabled": "false",
    }
    assert await conversations.retrieve(ctx, ORG, talk.id) == conversation


async def test_it_is_the_same_after_a_restart(ctx: Context, hand: Hand) -> None:
    async with serving(always({"dynamic_variables": {"name": "first"}})) as server:
        version, talk = a_clerk(server.url), await a_talk(ctx)
        first = await open_(ctx, version, talk)
        server.reply = always({"dynamic_variables": {"name": "second"}})
        hand.turn(3600)
        again = await open_(ctx, version, await conversations.retrieve(ctx, ORG, talk.id), medium=Medium.WEB_CHAT)
        assert len(server.seen) == 1
    assert again == first
    assert variables(again)["name"] == "first"


async def test_who_waited_for_the_first_to_open_it_asks_nobody(ctx: Context) -> None:
    async with serving(always({"dynamic_variables": {"name": "first"}})) as server:
        version, talk = a_clerk(server.url), await a_talk(ctx)
        first = await open_(ctx, version, talk)
        assert await open_(ctx, version, talk) == first
        assert len(server.seen) == 1


async def test_another_server_that_was_faster_wins(ctx: Context) -> None:
    talk, first = await a_talk(ctx), Opening({"name": "faster"}, "its memory")

    async def meanwhile(_: Seen) -> web.Response:
        await ctx.database.write(lambda tx: kept_talks.set_opening(tx, talk.id, first))
        return web.json_response({"dynamic_variables": {"name": "slower"}, "conversation": {"metadata": {"a": "b"}}})

    async with serving(meanwhile) as server:
        conversation = await open_(ctx, a_clerk(server.url), talk)
    assert (conversation.opening, conversation.metadata) == (first, {})
    assert await conversations.retrieve(ctx, ORG, talk.id) == conversation


async def test_what_changed_meanwhile_stays_changed_and_what_was_removed_removed(ctx: Context) -> None:
    talk, gone = await a_talk(ctx), await a_talk(ctx)

    async def meanwhile(_: Seen) -> web.Response:
        await conversations.update(ctx, ORG, talk.id, {"new": "yes"}, "acme_")
        await conversations.delete(ctx, ORG, gone.id)
        return web.json_response({"conversation": {"metadata": {"a": "b"}}})

    async with serving(meanwhile) as server:
        assert (await open_(ctx, a_clerk(server.url), talk)).metadata == {"new": "yes", "a": "b"}
    with pytest.raises(NotFound):
        await open_(ctx, a_clerk(), gone)


# memory


async def remembered(ctx: Context, **wanted: Any) -> str:
    conversation = await started(ctx, always({"memory": wanted}))
    assert conversation.opening is not None
    return conversation.opening.memory


async def an_earlier(ctx: Context, *words: str, org: str = ORG, at: int = NOW - 1000, **given: Any) -> Conversation:
    talk = await a_talk(ctx, org, created_at=at, **given)
    speakers = (Speaker.CALLER, Speaker.ASSISTANT) * len(words)
    events = [said(text, speaker) for text, speaker in zip(words, speakers, strict=False)]
    await ctx.database.write(lambda tx: kept_talks.append(tx, talk.id, events, at))
    return talk


ANN = {"acme_end_user_target": "+1777"}


async def test_rule_6_3_memory_asks_in_the_language_of_the_list(ctx: Context) -> None:
    await an_earlier(ctx, "I am Ann.", "Hello Ann.", "", metadata=ANN)
    await an_earlier(ctx, "Me again.", at=NOW - 500, metadata=ANN)
    await an_earlier(ctx, "I am Bob.", metadata={"acme_end_user_target": "+1888"})
    await an_earlier(ctx, "I am another Ann.", org="org-b", metadata=ANN)
    query = "metadata->acme_end_user_target=eq.+1777&created_at=lt.2027-01-15T09:00:00+01:00"
    assert await remembered(ctx, conversation_query=query) == (
        "Conversation of 2027-01-15T07:59:59.500Z:\ncaller: Me again.\n\n"
        "Conversation of 2027-01-15T07:59:59.000Z:\ncaller: I am Ann.\nassistant: Hello Ann."
    )
    encoded = "?metadata-%3Eacme_end_user_target=eq.%2B1777&order=created_at.asc&limit=1"
    assert await remembered(ctx, conversation_query=encoded) == (
        "Conversation of 2027-01-15T07:59:59.000Z:\ncaller: I am Ann.\nassistant: Hello Ann."
    )


async def test_the_conversation_that_begins_is_not_remembered(ctx: Context) -> None:
    await an_earlier(ctx, "Hi.")
    assert await remembered(ctx, conversation_query="limit=1") == (
        "Conversation of 2027-01-15T07:59:59.000Z:\ncaller: Hi."
    )


async def test_memory_is_bounded(ctx: Context) -> None:
    for number in range(MOST_REMEMBERED + 2):
        await an_earlier(ctx, f"talk {number}", at=NOW - 100 + number, metadata=ANN)
    told = await remembered(ctx, conversation_query="metadata->acme_end_user_target=eq.+1777&limit=1000")
    assert told.count("Conversation of") == MOST_REMEMBERED
    assert "talk 1\n" not in told
    for number in range(3):
        words = f"begins {number} " + "long " * (MAX_MEMORY // 8) + f"ends {number}"
        await an_earlier(ctx, words, metadata={"long": "yes"}, at=NOW + number)
    told = await remembered(ctx, conversation_query="metadata->long=eq.yes")
    assert len(told) < MAX_MEMORY + 200
    assert "begins 2" in told
    assert "begins 1" not in told
    assert "ends 1" in told
    assert "ends 0" not in told


async def test_rule_6_3_an_insight_query_tells_of_insights_instead_of_words(ctx: Context) -> None:
    talk, other = await an_earlier(ctx, "I am Ann.", metadata=ANN), await an_earlier(ctx, "Hm.", metadata=ANN)
    results = [("i1", "mood", "glad"), ("i2", "topic", "orders"), ("i3", "score", "9")]

    def work(tx: Any) -> None:
        for org, conversation in ((ORG, talk), ("org-b", other)):
            row = {"id": f"f{org}", "org": org, "conversation_id": conversation.id, "group_id": "g", "created_at": NOW}
            tx.execute(insert(findings).values(**row, status="completed", reason=""))
            for place, (id_, name, result) in enumerate(results):
                row = {"finding_id": f"f{org}", "position": place, "insight_id": id_, "insight_name": name}
                tx.execute(insert(finding_results).values(**row, result=result))

    await ctx.database.write(work)
    query = "metadata->acme_end_user_target=eq.+1777"
    assert await remembered(ctx, conversation_query=query, insight_query="insight_ids=i3,i1") == (
        "Conversation of 2027-01-15T07:59:59.000Z:\nmood: glad\nscore: 9"
    )
    assert await remembered(ctx, conversation_query=query, insight_query="insight_ids=i9") == ""
    assert await remembered(ctx, insight_query="insight_ids=i1") == ""
    many = ",".join(["i1", *(f"i{number}" for number in range(4, 50_000)), "i2"])[: openings.MAX_ANSWER // 2]
    assert (await remembered(ctx, conversation_query=query, insight_query=f"insight_ids={many}")).endswith("mood: glad")
    assert await remembered(ctx, conversation_query="name=eq.%00%FF", insight_query="insight_ids=%00") == ""


@pytest.mark.parametrize("query", ["color=eq.red", "limit=0", "or=(", "created_at=gte.yesterday"])
async def test_a_query_that_makes_no_sense_remembers_nothing(
    ctx: Context, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await an_earlier(ctx, "Hi.")
    conversation = await started(
        ctx, always({"memory": {"conversation_query": query}, "dynamic_variables": {"name": "told"}})
    )
    assert conversation.opening is not None
    assert conversation.opening.memory == ""
    assert variables(conversation)["name"] == "told"
    assert "memory query makes no sense" in capsys.readouterr().out


# looking without opening


async def test_rule_5_1_a_preview_resolves_and_keeps_nothing(ctx: Context) -> None:
    async with serving(always({"dynamic_variables": {"name": "told", "acme_x": "x"}})) as server:
        version = a_clerk(server.url)
        assert await preview(ctx, ORG, version) == {**DEFAULTS, "name": "told"}
        await preview(ctx, ORG, version, agent_target="+1312", user_target="+1777", call_control_id="v3:1")
        payloads = [seen.json["data"]["payload"] for seen in server.seen]
        server.reply = always({}, 500)
        assert await preview(ctx, ORG, version) == DEFAULTS
    assert [payload["acme_conversation_channel"] for payload in payloads] == ["web_chat", "phone_call"]
    assert [payload["call_control_id"] for payload in payloads] == [None, "v3:1"]
    assert payloads[1]["acme_agent_target"] == "+1312"
    assert payloads[1]["acme_end_user_target"] == "+1777"
    assert await preview(ctx, ORG, a_clerk()) == DEFAULTS
