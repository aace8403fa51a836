import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import Reply, Seen, Server, serving
from tests.support import providers
from tests.support.providers import KEY

from vivavoce.core.assistant import MODEL_OPENS
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.tool import (
    Act,
    Filler,
    FunctionTool,
    HangupTool,
    Header,
    LineTarget,
    LineTool,
    MessageTool,
    SettableVariable,
    SkipTool,
    StoredField,
    VariablesTool,
    WebhookTool,
)
from vivavoce.importing.collect import collect
from vivavoce.importing.provider import Down, Draft, KeyRefused, Provider, Unfit, Unknown, Unusable
from vivavoce.outbound.fetch import Session

ELEVENLABS, VAPI, RETELL = Provider.ELEVENLABS, Provider.VAPI, Provider.RETELL
ALL = {
    ELEVENLABS: [providers.ELEVENLABS_AGENT["agent_id"], "agent_two", "agent_odd"],
    VAPI: [providers.VAPI_ASSISTANT["id"], providers.VAPI_OTHER["id"]],
    RETELL: [providers.RETELL_AGENT["agent_id"], "agent_flow", "agent_chat"],
}


def stand_in(seen: Seen) -> web.Response:
    status, found = providers.answer(seen.method, seen.target, seen.headers)
    return web.json_response(found, status=status)


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving(stand_in) as found:
        yield found


async def got(
    session: Session, server: Server, provider: Provider, ids: Sequence[str] | None = None, key: str = KEY
) -> tuple[Draft | Unfit, ...]:
    return await collect(session, provider, server.url, key, ids, "our_")


async def one(session: Session, server: Server, provider: Provider, place: int = 0) -> Draft:
    [found] = await got(session, server, provider, [ALL[provider][place]])
    assert isinstance(found, Draft)
    return found


@pytest.mark.parametrize("provider", Provider)
async def test_the_whole_account_is_fetched_page_by_page(session: Session, server: Server, provider: Provider) -> None:
    assert [found.id for found in await got(session, server, provider)] == ALL[provider]


@pytest.mark.parametrize("provider", Provider)
async def test_only_what_is_named_is_fetched(session: Session, server: Server, provider: Provider) -> None:
    wanted = [ALL[provider][1], ALL[provider][0], ALL[provider][1]]
    assert [found.id for found in await got(session, server, provider, wanted)] == wanted[:2]
    assert not any("list" in seen.target or "page_size" in seen.target for seen in server.seen)


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("ids", [None, ["x"]])
async def test_a_key_that_is_not_taken(
    session: Session, server: Server, provider: Provider, ids: list[str] | None
) -> None:
    with pytest.raises(KeyRefused):
        await got(session, server, provider, ids, "wrong")


@pytest.mark.parametrize("provider", Provider)
async def test_an_id_that_is_not_known(session: Session, server: Server, provider: Provider) -> None:
    for id_ in ("none", "../secrets", "a/b?c=d", "é"):
        with pytest.raises(Unknown) as failure:
            await got(session, server, provider, [ALL[provider][0], id_])
        assert str(failure.value) == id_


# --- what becomes of them --------------------------------------------------------------------------------------------


async def test_an_agent_of_elevenlabs(session: Session, server: Server) -> None:
    found = await one(session, server, ELEVENLABS)
    version = found.version
    assert (found.id, found.voice) == (ALL[ELEVENLABS][0], "ElevenLabs.eleven_turbo_v2.21m00Tcm4TlvDq8ikWAM")
    assert version.name == "Clinic desk"
    assert version.instructions == "It is {{our_current_time}}. {{our_end_user_target}} calls about {{topic}}."
    assert version.greeting == "Hi {{ name }}, this is the clinic."
    assert version.mind == Mind("google/gemini-2.0-flash")
    assert version.variables == {"name": "Ann", "visits": 2}
    clinic = "{{#integration_secret}}clinic{{/integration_secret}}"
    assert version.tools == (
        WebhookTool(
            "book",
            "Books a visit.",
            "https://clinic.example/north/visits/{id}",
            "POST",
            (
                Header("X-Plain", "yes"),
                Header("X-Secret", "{{#integration_secret}}abc{{/integration_secret}}"),
                Header("X-Variable", "{{site_key}}"),
                Header("Authorization", f"Bearer {clinic}"),
            ),
            {
                "type": "object",
                "properties": {"id": {"type": "string", "description": "The visit"}},
                "required": ["id"],
            },
            {"type": "object", "properties": {"lang": {"type": "string"}}, "required": ["lang"]},
            {
                "type": "object",
                "properties": {
                    "day": {"type": "string", "description": "The day"},
                    "notes": {"type": "array", "items": {"type": "object", "properties": {"text": {"type": "string"}}}},
                },
                "required": ["day"],
            },
            {"who": "{{our_end_user_target}}"},
            {"dry": False},
            (StoredField("visit", "visit.id"),),
            60_000,
        ),
        FunctionTool(
            "show_map",
            "Shows the way.",
            {
                "type": "object",
                "properties": {"place": {"type": "string", "description": "Where"}},
                "required": ["place"],
            },
            by_client=True,
        ),
        HangupTool(""),
        LineTool(
            Act.TRANSFER,
            "transfer",
            (
                LineTarget("+15550100", "billing"),
                LineTarget("+15550101", "emergency"),
                LineTarget("sip:a@b.example"),
            ),
            "",
            "When asked for a person.",
        ),
        SkipTool(""),
        LineTool(Act.TONES, "send_dtmf"),
    )


async def test_an_agent_of_elevenlabs_with_a_model_of_its_own(session: Session, server: Server) -> None:
    found = await one(session, server, ELEVENLABS, 1)
    assert (found.version.name, found.voice, found.version.greeting) == ("agent_two", "", "")
    assert found.version.mind == Mind(endpoint=Endpoint("https://llm.example/v1", "mine"))


async def test_an_assistant_of_vapi(session: Session, server: Server) -> None:
    found = await one(session, server, VAPI)
    version = found.version
    assert (found.voice, version.name) == ("ElevenLabs.eleven_turbo_v2_5.sarah", "Pet hospital")
    assert version.instructions == (
        'Today is {{our_current_time | date: "%A, %B %d", "America/New_York"}}.\n\n'
        "{{our_end_user_target}} calls {{our_agent_target}} for {{pet}}."
    )
    assert version.greeting == "Hello, you called on {{our_current_date}}."
    assert version.mind == Mind("openai/gpt-4o-mini")
    assert version.tools == (
        WebhookTool(
            "find_pet",
            "Finds a pet.",
            "https://hospital.example/pets",
            "POST",
            (Header("X-Team", "vets"),),
            body_parameters={
                "type": "object",
                "properties": {"name": {"type": "string", "description": "The pet's name"}},
                "required": ["name"],
            },
            preset_body={"kind": "{{kind}}"},
            stored=(StoredField("owner", "owner.name"),),
            timeout_ms=10_000,
            fillers=(Filler("Let me look."), Filler("Still looking.", 2000)),
        ),
        LineTool(
            Act.TRANSFER,
            "transfer",
            (LineTarget("+15550100", "The desk", "One moment."), LineTarget("sip:vet@hospital.example")),
        ),
        HangupTool(""),
        LineTool(Act.TONES, "send_dtmf"),
        MessageTool(),
        WebhookTool("note", "Takes a note.", "https://hospital.example/vapi", timeout_ms=20_000, waits_ms=300),
    )


async def test_an_assistant_of_vapi_with_a_model_of_its_own(session: Session, server: Server) -> None:
    found = await one(session, server, VAPI, 1)
    assert (found.version.name, found.version.greeting) == (found.id, MODEL_OPENS)
    assert found.version.mind == Mind(endpoint=Endpoint("https://llm.example/v1", "mine"))
    assert found.version.tools == (LineTool(Act.TRANSFER, "transfer", (LineTarget("+15550102"),)),)


async def test_an_agent_of_retell(session: Session, server: Server) -> None:
    found = await one(session, server, RETELL)
    version = found.version
    assert (found.voice, version.name) == ("ElevenLabs.Adrian", "Bike shop")
    assert version.instructions == (
        "You sell bikes to {{our_end_user_target}}. It is {{our_current_time_Europe/Berlin}}.\n\n"
        "## greet\nGreet.\n- Go on with 'sell' when: they want a bike\n\n## sell\nSell."
    )
    assert (version.greeting, version.mind) == (MODEL_OPENS, Mind("openai/gpt-4.1"))
    assert version.variables == {"shop": "Birch"}
    assert version.tools == (
        HangupTool("End it."),
        LineTool(Act.TRANSFER, "transfer", (LineTarget("+15550103", "to_workshop"),), "", "For repairs."),
        LineTool(Act.TONES, "send_dtmf"),
        MessageTool("Thanks, {{name}}!"),
        WebhookTool(
            "stock",
            "Looks up the stock.",
            "https://bikes.example/stock",
            "GET",
            (Header("X-Shop", "{{shop}}"),),
            query_parameters={"type": "object", "properties": {"model": {"type": "string"}}, "required": ["model"]},
            preset_query={"v": "2", "region": "eu"},
            stored=(StoredField("left", "$.left"),),
            timeout_ms=60_000,
        ),
        VariablesTool(
            "remember",
            "Notes the customer.",
            (
                SettableVariable("name", "string", "The name"),
                SettableVariable("size", "string", "The size"),
                SettableVariable("age", "number", "The age"),
            ),
        ),
        WebhookTool(
            "order",
            "",
            "https://bikes.example/orders",
            body_parameters={"type": "object", "properties": {"bike": {"type": "string"}}},
        ),
    )
    assert any(seen.target == "/get-retell-llm/llm_234sdertfsdsfsdf?version=3" for seen in server.seen)


async def test_an_agent_of_retell_for_chat_waits_where_it_was_told_to(session: Session, server: Server) -> None:
    found = await one(session, server, RETELL, 2)
    assert (found.version.greeting, found.version.instructions) == ("", "Chat.")
    assert found.version.mind == Mind("anthropic/claude-4.5-haiku")


# --- what goes wrong -------------------------------------------------------------------------------------------------


async def test_what_cannot_be_had_here_does_not_keep_the_others_away(session: Session, server: Server) -> None:
    for provider, place in ((ELEVENLABS, 2), (RETELL, 1)):
        found = await got(session, server, provider)
        unfit = found[place]
        assert isinstance(unfit, Unfit)
        assert unfit.reason
        assert all(isinstance(other, Draft) for other in found if other is not unfit)


async def test_an_assistant_whose_parts_are_missing_is_unfit(session: Session, server: Server) -> None:
    server.reply = lambda seen: (
        web.json_response({}, status=404) if "/tool" in seen.target or "llm" in seen.target else stand_in(seen)
    )
    for provider in Provider:
        [found] = await got(session, server, provider, ALL[provider][:1])
        assert isinstance(found, Unfit)


def _says(body: Any, status: int = 200) -> Reply:
    return lambda _seen: web.Response(body=json.dumps(body), status=status)


ODD: dict[str, Reply] = {
    "an error": _says({}, 500),
    "too many requests": _says({}, 429),
    "elsewhere": _says({}, 302),
    "no JSON": lambda _seen: web.Response(text="<html>"),
    "endless nesting": lambda _seen: web.Response(text="[" * 100_000),
}


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("odd", ODD)
async def test_a_provider_that_fails(session: Session, server: Server, provider: Provider, odd: str) -> None:
    server.reply = ODD[odd]
    for ids in (None, ["x"]):
        with pytest.raises(Down):
            await got(session, server, provider, ids)


@pytest.mark.parametrize("provider", Provider)
async def test_a_provider_that_cannot_be_reached(session: Session, provider: Provider) -> None:
    for url in ("http://127.0.0.1:9", "http://10.0.0.1", "ftp://x.example"):
        with pytest.raises(Down):
            await collect(session, provider, url, KEY, None, "")


@pytest.mark.parametrize("provider", Provider)
async def test_a_provider_that_refuses_to_list(session: Session, server: Server, provider: Provider) -> None:
    server.reply = _says({}, 400)
    with pytest.raises(Down):
        await got(session, server, provider)
    with pytest.raises(Unknown):
        await got(session, server, provider, ["not an id"])


STRANGE: list[Any] = [None, 17, "x", [], [[]], [None], {}, {"items": {}, "agents": 3}, [{"id": 3}]]


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("strange", STRANGE, ids=json.dumps)
async def test_strange_answers_are_an_empty_account_or_unfit(
    session: Session, server: Server, provider: Provider, strange: Any
) -> None:
    server.reply = _says(strange)
    assert await got(session, server, provider) == ()
    [found] = await got(session, server, provider, ["x"])
    assert isinstance(found, Unfit)


async def test_an_agent_that_is_gone_before_it_is_fetched(session: Session, server: Server) -> None:
    server.reply = lambda seen: stand_in(seen) if "?" in seen.target else web.json_response({}, status=404)
    found = await got(session, server, RETELL)
    assert [type(one) for one in found] == [Unfit] * 3


NOTHING: dict[Provider, list[dict[str, Any]]] = {
    ELEVENLABS: [
        {"type": "webhook", "name": "no_address"},
        {"type": "webhook", "api_schema": {"url": "https://a.example"}},
        {"type": "system", "name": "transfer_to_number", "params": {"transfers": [{"condition": "never"}]}},
        {"type": "later"},
    ],
    VAPI: [
        {"type": "function", "server": {"url": "https://a.example"}},
        {"type": "apiRequest", "name": "no_address"},
        {"type": "transferCall"},
        {"type": "later"},
    ],
    RETELL: [
        {"type": "custom", "name": "no_address"},
        {"type": "custom", "url": "https://a.example"},
        {"type": "extract_dynamic_variable", "name": "nothing", "variables": [{"type": "string"}]},
        {"type": "later"},
    ],
}
TWICE: dict[Provider, list[dict[str, Any]]] = {
    ELEVENLABS: [
        {"type": "client", "name": "show", "parameters": {}},
        {"type": "client", "name": "show", "description": "again"},
        {"type": "system", "name": "end_call"},
        {"type": "system", "name": "end_call", "description": "again"},
    ],
    VAPI: [
        {"type": "function", "function": {"name": "f"}},
        {"type": "apiRequest", "name": "f", "url": "https://a.example", "method": "GET"},
        {"type": "transferCall", "destinations": [{"number": "+1"}]},
        {"type": "transferCall", "destinations": [{"number": "+2"}, {"number": "+1"}]},
    ],
    RETELL: [
        {"type": "extract_dynamic_variable", "name": "x", "variables": [{"name": "a", "description": "old"}]},
        {
            "type": "extract_dynamic_variable",
            "name": "y",
            "variables": [{"name": "a", "type": "boolean"}, {"name": "b"}],
        },
    ],
}
JOINED: dict[Provider, tuple[Any, ...]] = {
    ELEVENLABS: (
        FunctionTool("show", "", {"type": "object", "properties": {}}, by_client=True),
        HangupTool(""),
    ),
    VAPI: (
        FunctionTool("f"),
        LineTool(Act.TRANSFER, "transfer", (LineTarget("+1"), LineTarget("+2"))),
    ),
    RETELL: (VariablesTool("x", "", (SettableVariable("a", "boolean"), SettableVariable("b"))),),
}


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("twice", [False, True])
async def test_tools_that_are_nothing_and_tools_that_are_there_twice(
    session: Session, server: Server, provider: Provider, twice: bool
) -> None:
    tools = [*NOTHING[provider], *(TWICE[provider] if twice else [])]
    bodies: dict[Provider, dict[str, Any]] = {
        ELEVENLABS: {"conversation_config": {"agent": {"prompt": {"prompt": "x", "tools": tools}}}},
        VAPI: {"model": {"tools": tools}},
        RETELL: {
            "response_engine": {"type": "retell-llm", "llm_id": "l"},
            "start_speaker": "user",
            "begin_message": "Not said.",
            "general_tools": tools,
        },
    }
    server.reply = _says(bodies[provider])
    [found] = await got(session, server, provider, ["x"])
    assert isinstance(found, Draft)
    assert found.version.tools == (JOINED[provider] if twice else ())
    assert (found.version.greeting, found.version.mind, found.voice) == ("", Mind(), "")


async def test_deep_nesting_is_nobody_s_recursion(session: Session, server: Server) -> None:
    deep = '{"properties":{"a":' * 400 + "{}" + "}}" * 400
    tool = '{"type":"function","function":{"name":"f","parameters":' + deep + "}}"
    server.reply = lambda _seen: web.Response(text='{"model":{"tools":[' + tool + "]}}")
    [found] = await got(session, server, VAPI, ["x"])
    assert isinstance(found, Draft)


@pytest.mark.parametrize("huge", ["1e400", "-Infinity", "NaN", "1" + "0" * 400])
@pytest.mark.parametrize("provider", Provider)
async def test_numbers_that_nobody_can_reckon_with_are_none(
    session: Session, server: Server, provider: Provider, huge: str
) -> None:
    bodies: dict[Provider, str] = {
        ELEVENLABS: """{"conversation_config": {"agent": {"prompt": {"prompt": "x", "tools": [
            {"type": "webhook", "name": "f", "api_schema": {"url": "https://f.example"}, "response_timeout_secs": HUGE}
        ]}}}}""",
        VAPI: """{"model": {"tools": [{
            "type": "function", "function": {"name": "f"},
            "server": {"url": "https://f.example", "timeoutSeconds": HUGE},
            "messages": [{"type": "request-response-delayed", "content": "Wait.", "timingMilliseconds": HUGE}]
        }]}}""",
        RETELL: """{"response_engine": {"type": "retell-llm", "llm_id": "l", "version": HUGE}, "general_tools": [
            {"type": "custom", "name": "f", "url": "https://f.example", "timeout_ms": HUGE}
        ]}""",
    }
    server.reply = lambda _seen: web.Response(text=bodies[provider].replace("HUGE", huge))
    [found] = await got(session, server, provider, ["x"])
    assert isinstance(found, Draft)
    [tool] = found.version.tools
    assert isinstance(tool, WebhookTool)
    assert tool.timeout_ms == {VAPI: 20_000}.get(provider, 5000)
    assert tool.fillers == ((Filler("Wait.", 1000),) if provider is VAPI else ())


@pytest.mark.parametrize("provider", Provider)
async def test_pages_without_end_come_to_an_end(session: Session, server: Server, provider: Provider) -> None:
    count = 0

    def page(_seen: Seen) -> web.Response:
        nonlocal count
        count += 1
        ids = [f"{count}-{number}" for number in range(1000)]
        items = [{"agent_id": id_, "id": id_, "createdAt": f"2026-{1000 - count:04}"} for id_ in ids]
        more = {"has_more": True, "next_cursor": str(count), "pagination_key": str(count)}
        return web.json_response(items if provider is VAPI else {"agents": items, "items": items, **more})

    server.reply = page
    with pytest.raises(Unusable, match="1000"):
        await got(session, server, provider)
    assert count == 2


@pytest.mark.parametrize("provider", Provider)
async def test_a_page_that_leads_to_itself_is_the_last(session: Session, server: Server, provider: Provider) -> None:
    item = {"agent_id": "", "id": "", "createdAt": "2026"}
    items = [item] * 1000
    more = {"has_more": True, "next_cursor": "same", "pagination_key": "same"}
    server.reply = _says(items[:1000] if provider is VAPI else {"agents": [], "items": [], **more})
    assert await got(session, server, provider) == ()
    assert len(server.seen) == 2
