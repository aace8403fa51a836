"""Conversations and their messages (contract, section 5.15), driven by the vendor's own Python SDK."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from telnyx import BadRequestError, NotFoundError, Telnyx
from telnyx.types.ai import Conversation, InferenceEmbedding
from tests.support.raw import send, send_json
from tests.support.server import Server

PATIENCE_S = 30.0


def a_call(id_: str = "abc") -> dict[str, object]:
    arguments = '{"number":"A-1",  "n": 1.50}'
    return {"id": id_, "type": "function", "function": {"name": "find_order", "arguments": arguments}}


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key,
        base_url=f"{live_server.url}/v2",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.fixture
def assistant(client: Telnyx) -> InferenceEmbedding:
    return client.ai.assistants.create(
        name="clerk", instructions='on hear /(.*)/: say "You said $1"', model="scripted", greeting="Hello"
    )


def talk(client: Telnyx, **metadata: str) -> Conversation:
    return client.ai.conversations.create(name="talk", metadata=metadata)


def kept(client: Telnyx, conversation_id: str) -> Conversation:
    found = client.ai.conversations.retrieve(conversation_id).data
    assert found is not None
    return found


def changed(client: Telnyx, conversation_id: str, **given: Any) -> Conversation:
    found = client.ai.conversations.update(conversation_id, **given).data
    assert found is not None
    return found


def messages(client: Telnyx, conversation_id: str) -> list[Any]:
    return list(client.ai.conversations.messages.list(conversation_id))


def found(client: Telnyx, **query: Any) -> list[str]:
    listed = client.ai.conversations.list(**query).data
    assert listed is not None
    return [one.id for one in listed]


@pytest.mark.operation("ai.conversations.create", "ai.conversations.retrieve", "ai.conversations.update")
def test_rule_5_15_metadata_is_replaced(client: Telnyx) -> None:
    made = talk(client, topic="orders", ai_disabled="true")
    after = changed(client, made.id, metadata={"topic": "returns"})
    assert after.metadata == {"topic": "returns"}
    assert (after.id, after.name, after.created_at) == (made.id, "talk", made.created_at)
    assert changed(client, made.id) == after
    assert kept(client, made.id) == after
    with pytest.raises(NotFoundError):
        client.ai.conversations.update(str(uuid4()), metadata={})


@pytest.mark.operation("ai.conversations.update", "ai.assistants.chat")
def test_rule_5_15_ai_disabled_silences_the_assistant_until_it_is_removed(
    client: Telnyx, assistant: InferenceEmbedding
) -> None:
    made = talk(client, ai_disabled="true")

    def chat() -> str:
        return client.ai.assistants.chat(assistant.id, content="hi", conversation_id=made.id).content

    with pytest.raises(BadRequestError):
        chat()
    client.ai.conversations.update(made.id, metadata={"ai_disabled": "false"})
    assert chat() == "You said hi"
    client.ai.conversations.update(made.id, metadata={"ai_disabled": "true"})
    with pytest.raises(BadRequestError):
        chat()
    client.ai.conversations.update(made.id, metadata={})
    assert chat() == "You said hi"
    # What the server noted of the conversation is still there.
    noted = kept(client, made.id).metadata
    assert noted["assistant_id"] == assistant.id
    assert noted["telnyx_conversation_channel"] == "web_chat"


@pytest.mark.operation("ai.conversations.list", "ai.assistants.chat")
def test_rule_5_15_conversations_are_found_by_their_typed_metadata(
    client: Telnyx, assistant: InferenceEmbedding
) -> None:
    made = talk(client, telnyx_end_user_target=f"+1{uuid4().int % 10**10}", call_control_id=f"v3:{uuid4().hex}")
    client.ai.assistants.chat(assistant.id, content="hi", conversation_id=made.id)
    noted = kept(client, made.id).metadata
    assert noted["assistant_version_id"] == assistant.version_id
    assert found(client, metadata_assistant_id=f"eq.{assistant.id}") == [made.id]
    assert found(client, metadata_assistant_version_id=f"eq.{assistant.version_id}") == [made.id]
    assert found(client, metadata_assistant_version_id="eq.another", metadata_assistant_id=f"eq.{assistant.id}") == []
    assert found(client, metadata_call_control_id=f"eq.{noted['call_control_id']}") == [made.id]
    assert found(client, metadata_telnyx_end_user_target=f"eq.{noted['telnyx_end_user_target']}") == [made.id]
    of_mine = {"metadata_assistant_id": f"eq.{assistant.id}"}
    assert found(client, metadata_telnyx_conversation_channel="eq.web_chat", **of_mine) == [made.id]
    assert found(client, metadata_telnyx_conversation_channel="eq.phone_call", **of_mine) == []


@pytest.mark.operation("ai.conversations.delete", "ai.conversations.add_message")
def test_a_conversation_is_removed_with_its_messages(client: Telnyx) -> None:
    made = talk(client)
    client.ai.conversations.add_message(made.id, role="user", content="hi")
    assert client.ai.conversations.delete(made.id) is None
    for attempt in (
        lambda: client.ai.conversations.retrieve(made.id),
        lambda: client.ai.conversations.messages.list(made.id),
        lambda: client.ai.conversations.delete(made.id),
        lambda: client.ai.conversations.add_message(made.id, role="user", content="hi"),
    ):
        with pytest.raises(NotFoundError):
            attempt()


@pytest.mark.operation("ai.conversations.add_message", "ai.conversations.messages.list")
def test_rule_5_15_what_was_written_is_read_back(client: Telnyx) -> None:
    made, sent_at = talk(client), datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
    add = client.ai.conversations.add_message
    metadata: Any = {"a": "b", "n": 3, "yes": True, "many": ["x", 1, False]}
    assert add(made.id, role="user", content="Where is it?", name="Ann", sent_at=sent_at, metadata=metadata) is None
    add(made.id, role="assistant", tool_calls=[a_call()], tool_choice={"type": "function"})
    add(made.id, role="tool", content='{"arrival": "today"}', tool_call_id="abc", metadata={"source": "shop"})
    add(made.id, role="assistant", content="Today.")
    add(made.id, role="user")
    user, asks, tool, last, silent = messages(client, made.id)
    assert (user.role, user.text, user.sent_at, user.metadata) == ("user", "Where is it?", sent_at, metadata)
    assert user.created_at > sent_at
    assert (asks.role, asks.text, asks.metadata) == ("assistant", "", {})
    assert [call.to_dict() for call in asks.tool_calls] == [a_call()]
    assert (tool.role, tool.text, tool.metadata) == ("tool", '{"arrival": "today"}', {"source": "shop"})
    assert (last.role, last.text, last.tool_calls, last.sent_at) == ("assistant", "Today.", None, last.created_at)
    assert (silent.role, silent.text) == ("user", "")
    after = kept(client, made.id)
    assert after.last_message_at == silent.created_at > after.created_at


@pytest.mark.operation("ai.conversations.add_message")
def test_messages_that_make_no_sense(client: Telnyx) -> None:
    made, add = talk(client), client.ai.conversations.add_message
    add(made.id, role="assistant", tool_calls=[a_call()])
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"role": "system", "content": "x"}, "/role"),
        ({"role": "tool", "content": "x"}, "/tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": "other"}, "/tool_call_id"),
        ({"role": "user", "tool_call_id": "abc"}, "/tool_call_id"),
        ({"role": "user", "tool_calls": [a_call("new")]}, "/tool_calls"),
        ({"role": "assistant", "tool_calls": [a_call()]}, "/tool_calls"),
    ]
    for body, pointer in wrong:
        with pytest.raises(BadRequestError) as caught:
            add(made.id, **body)
        answer: Any = caught.value.body
        assert answer["errors"][0]["source"]["pointer"] == pointer
    assert len(messages(client, made.id)) == 1


def test_adding_a_message_answers_with_nothing(client: Telnyx, live_server: Server) -> None:
    made = talk(client)
    path = f"/v2/ai/conversations/{made.id}/message"
    first = send_json(live_server, "POST", path, {"role": "user", "content": "hi"}, [("Idempotency-Key", "k")])
    again = send_json(live_server, "POST", path, {"role": "user", "content": "hi"}, [("Idempotency-Key", "k")])
    assert (first.status, first.body) == (again.status, again.body) == (200, b"")
    assert again.headers["idempotent-replayed"] == "true"
    assert len(messages(client, made.id)) == 1


@pytest.mark.operation("ai.conversations.add_message", "ai.assistants.chat", "ai.conversations.messages.list")
def test_the_assistant_goes_on_from_what_was_written(client: Telnyx, assistant: InferenceEmbedding) -> None:
    made = talk(client)
    client.ai.conversations.add_message(made.id, role="user", content="I am Ann.")
    client.ai.conversations.add_message(made.id, role="assistant", content="Hello Ann.")
    client.ai.assistants.chat(assistant.id, content="bye", conversation_id=made.id)
    assert [one.text for one in messages(client, made.id)] == ["I am Ann.", "Hello Ann.", "bye", "You said bye"]
    assert kept(client, made.id).metadata["assistant_id"] == assistant.id


@pytest.mark.operation("ai.conversations.delete")
def test_a_run_s_conversation_is_written_by_the_run_and_kept_until_its_end(
    client: Telnyx, assistant: InferenceEmbedding
) -> None:
    test = client.ai.assistants.tests.create(
        name="hello",
        destination=assistant.id,
        instructions='on start: say "hi"; hang up',
        rubric=[{"name": "greets", "criteria": 'says "hi"'}],
    )
    run = client.ai.assistants.tests.runs.trigger(test.test_id)
    deadline = time.monotonic() + PATIENCE_S
    while run.status not in {"passed", "failed", "error"}:
        assert time.monotonic() < deadline
        run = client.ai.assistants.tests.runs.retrieve(run.run_id, test_id=test.test_id)
    assert run.conversation_id
    with pytest.raises(BadRequestError):
        client.ai.conversations.add_message(run.conversation_id, role="user", content="hi")
    client.ai.conversations.delete(run.conversation_id)
    again = client.ai.assistants.tests.runs.retrieve(run.run_id, test_id=test.test_id)
    assert (again.status, again.logs) == (run.status, run.logs)


def test_nothing_of_this_was_a_surprise(live_server: Server) -> None:
    assert send(live_server, "GET", "/healthz").status == 200
    assert "request failed" not in live_server.log
    assert json.dumps(live_server.log).count("Traceback") == 0
