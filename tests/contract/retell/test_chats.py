"""Chats with chat agents (contract, section 9)."""

from collections.abc import Iterator
from typing import Any

import pytest
import retell
from tests.support.retell_scenes import llm
from tests.support.retell_sdk import connected, engine_of, raw
from tests.support.server import Server

SHOP = """You are the desk of {{shop}}.
on hear "shop": say "This is {{shop}}."
on hear "note": call note {"topic": "tea"}
on result note: say "Noted: {{topic}}."
on hear "bye": say "Goodbye."; call end_call
on hear /.+/: say "Yes?\""""
NOTE = {
    "type": "extract_dynamic_variable",
    "name": "note",
    "description": "Notes.",
    "variables": [{"type": "string", "name": "topic", "description": "What it is about."}],
}
END = {"type": "end_call", "name": "end_call"}


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


@pytest.fixture
def agent(client: Any) -> Any:
    engine = llm(
        client,
        SHOP,
        begin_message="Hello from {{shop}}.",
        general_tools=[NOTE, END],
        default_dynamic_variables={"shop": "Birch"},
    )
    return client.chat_agent.create(response_engine=engine_of(engine))


@pytest.fixture
def chat(client: Any, agent: Any) -> Any:
    return client.chat.create(agent_id=agent.agent_id)


def words(messages: Any) -> list[str]:
    return [f"{one.role}: {one.content}" for one in messages if one.role in ("agent", "user")]


def say(client: Any, chat_: Any, content: str) -> Any:
    return client.chat.create_chat_completion(chat_id=chat_.chat_id, content=content).messages


@pytest.mark.operation("chat.create")
def test_section_9_a_chat_begins_with_the_begin_message(client: Any, agent: Any) -> None:
    chat = client.chat.create(
        agent_id=agent.agent_id,
        agent_version=0,
        metadata={"customer": [1, None]},
        retell_llm_dynamic_variables={"shop": "Oak"},
    )
    assert chat.chat_id.startswith("chat_")
    assert (chat.agent_id, chat.chat_status, chat.chat_type) == (agent.agent_id, "ongoing", "api_chat")
    assert words(chat.message_with_tool_calls) == ["agent: Hello from Oak."]
    assert chat.transcript == "Agent: Hello from Oak."
    assert chat.metadata == {"customer": [1, None]}
    assert chat.retell_llm_dynamic_variables == {"shop": "Oak"}
    assert chat.chat_cost.combined_cost == 0
    assert chat.end_timestamp is None


@pytest.mark.operation("chat.create_chat_completion", "chat.retrieve")
def test_section_9_a_completion_answers_only_this_turn(client: Any, chat: Any) -> None:
    assert words(say(client, chat, "Which shop?")) == ["agent: This is Birch."]
    noted = say(client, chat, "Take a note.")
    assert [one.role for one in noted] == ["tool_call_invocation", "tool_call_result", "agent"]
    assert words(noted) == ["agent: Noted: tea."]
    found = client.chat.retrieve(chat.chat_id)
    assert [one.message_id for one in found.message_with_tool_calls[-3:]] == [one.message_id for one in noted]
    assert found.collected_dynamic_variables == {"topic": "tea"}
    assert found.transcript.splitlines()[1:3] == ["User: Which shop?", "Agent: This is Birch."]


def test_section_9_a_chat_that_the_agent_ended_answers_422(client: Any, chat: Any) -> None:
    assert say(client, chat, "bye")[-1].name == "end_call"
    found = client.chat.retrieve(chat.chat_id)
    assert found.chat_status == "ended"
    assert found.end_timestamp >= found.start_timestamp
    with pytest.raises(retell.UnprocessableEntityError, match="ended"):
        say(client, chat, "Hello?")


@pytest.mark.operation("chat.end")
def test_section_9_a_chat_is_ended_and_ending_it_again_changes_nothing(client: Any, chat: Any) -> None:
    client.chat.end(chat.chat_id)
    before = client.chat.retrieve(chat.chat_id)
    client.chat.end(chat.chat_id)
    assert client.chat.retrieve(chat.chat_id) == before
    assert before.chat_status == "ended"


@pytest.mark.operation("chat.update")
def test_section_9_variables_can_be_overridden_and_more_be_kept(client: Any, chat: Any) -> None:
    changed = client.chat.update(
        chat.chat_id,
        metadata={"a": 1},
        override_dynamic_variables={"shop": "Elm"},
        custom_attributes={"tier": "gold", "score": 1.5, "vip": True},
        data_storage_setting="basic_attributes_only",
    )
    assert changed.metadata == {"a": 1}
    assert changed.custom_attributes == {"tier": "gold", "score": 1.5, "vip": True}
    assert words(say(client, chat, "Which shop?")) == ["agent: This is Elm."]
    assert client.chat.update(chat.chat_id, override_dynamic_variables=None).metadata == {"a": 1}
    assert words(say(client, chat, "Which shop?")) == ["agent: This is Birch."]
    with pytest.raises(retell.BadRequestError, match="data_storage_setting"):
        client.chat.update(chat.chat_id, data_storage_setting="everything")
    with pytest.raises(retell.BadRequestError, match="50000"):
        client.chat.update(chat.chat_id, metadata={"a": "x" * 60_000})


@pytest.mark.operation("chat.list")
def test_section_9_chats_are_listed_without_their_transcripts(client: Any, agent: Any) -> None:
    made = [client.chat.create(agent_id=agent.agent_id).chat_id for _ in range(3)]
    client.chat.end(made[0])
    mine: dict[str, Any] = {"agent": [{"agent_id": agent.agent_id}]}
    page = client.chat.list(filter_criteria=mine, include_total=True, limit=2)
    assert [one.chat_id for one in page.items] == made[:0:-1]
    assert (page.has_more, page.total) == (True, 3)
    assert page.items[0].message_with_tool_calls is None
    rest = client.chat.list(filter_criteria=mine, limit=2, pagination_key=page.pagination_key)
    assert ([one.chat_id for one in rest.items], rest.has_more, rest.pagination_key) == ([made[0]], False, None)
    oldest = client.chat.list(filter_criteria=mine, sort_order="ascending", skip=1)
    assert [one.chat_id for one in oldest.items] == made[1:]
    start = rest.items[0].start_timestamp
    for more, expected in (
        ({"chat_status": {"type": "enum", "op": "in", "value": ["ended"]}}, made[:1]),
        ({"chat_status": {"type": "enum", "op": "in", "value": ["error"]}}, []),
        ({"chat_id": {"type": "string", "op": "eq", "value": made[1]}}, made[1:2]),
        ({"chat_id": {"type": "string", "op": "ne", "value": made[1]}}, [made[2], made[0]]),
        ({"chat_id": {"type": "enum", "op": "in", "value": [made[1], made[2]]}}, made[:0:-1]),
        ({"chat_type": {"type": "enum", "op": "in", "value": ["sms_chat"]}}, []),
        ({"chat_type": {"type": "enum", "op": "in", "value": ["api_chat"]}}, made[::-1]),
        ({"start_timestamp": {"type": "number", "op": "lt", "value": start}}, []),
        ({"start_timestamp": {"type": "range", "op": "bt", "value": [start, start]}}, None),
        ({"end_timestamp": {"type": "number", "op": "ge", "value": start}}, made[:1]),
    ):
        found = [one.chat_id for one in client.chat.list(filter_criteria={**mine, **more}).items]
        assert made[0] in found if expected is None else found == expected, more


def test_what_this_server_cannot_filter_by_is_refused_by_its_name(client: Any) -> None:
    bodies: list[dict[str, Any]] = [
        {"filter_criteria": {"user_sentiment": {"type": "enum", "op": "in", "value": ["Positive"]}}},
        {"filter_criteria": {"chat_id": {"type": "string", "op": "co", "value": "a"}}},
        {"filter_criteria": {"start_timestamp": {"type": "number", "op": "ge", "value": 1e300}}},
        {"filter_criteria": {"agent": [{"agent_id": "a", "version": [10**30]}]}},
        {"limit": 0},
        {"limit": 1001},
        {"pagination_key": "x"},
        {"sort_order": "up"},
    ]
    for body in bodies:
        name = next(iter(body.get("filter_criteria", body)))
        with pytest.raises(retell.BadRequestError, match=name):
            client.chat.list(**body)


@pytest.mark.operation("legacy.list_chat")
def test_section_1_3_the_old_list_is_an_array_of_whole_chats(client: Any, agent: Any) -> None:
    made = [client.chat.create(agent_id=agent.agent_id).chat_id for _ in range(2)]
    found = raw(client, "GET", "/list-chat", query={"limit": 2})
    assert [one["chat_id"] for one in found] == made[::-1]
    assert found[0]["message_with_tool_calls"][0]["content"] == "Hello from Birch."
    (behind,) = raw(client, "GET", "/list-chat", query={"limit": 1, "pagination_key": made[1]})
    assert behind["chat_id"] == made[0]


@pytest.mark.operation("chat.delete")
def test_section_9_a_deleted_chat_is_gone(client: Any, chat: Any) -> None:
    client.chat.delete(chat.chat_id)
    with pytest.raises(retell.UnprocessableEntityError):
        client.chat.retrieve(chat.chat_id)


@pytest.mark.parametrize("version", [10**30, -1, 1.5, True, "x" * 65, None])
def test_a_version_that_is_none_is_refused(client: Any, agent: Any, version: Any) -> None:
    with pytest.raises(retell.BadRequestError, match="agent_version: "):
        client.chat.create(agent_id=agent.agent_id, agent_version=version)


def test_section_1_1_what_is_not_there_is_422(client: Any, agent: Any) -> None:
    engine = llm(client, SHOP)
    voice = client.agent.create(response_engine=engine_of(engine), voice_id="platform-anna")
    for wrong in (
        {"agent_id": voice.agent_id},
        {"agent_id": "agent_nobody"},
        {"agent_id": agent.agent_id, "agent_version": 9},
        {"agent_id": agent.agent_id, "agent_version": "prod"},
    ):
        with pytest.raises(retell.UnprocessableEntityError, match="cannot be started"):
            client.chat.create(**wrong)
    calls: list[Any] = [client.chat.retrieve, client.chat.end, client.chat.delete, client.chat.update]
    for call in calls:
        with pytest.raises(retell.UnprocessableEntityError, match="chat_nobody"):
            call("chat_nobody")
    with pytest.raises(retell.UnprocessableEntityError, match="chat_nobody"):
        client.chat.create_chat_completion(chat_id="chat_nobody", content="Hi.")


def test_a_version_can_be_named_as_the_latest(client: Any, agent: Any) -> None:
    assert client.chat.create(agent_id=agent.agent_id, agent_version="latest").chat_status == "ongoing"
