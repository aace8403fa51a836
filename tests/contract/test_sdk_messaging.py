"""Text messages through the vendor's own SDK: out, in on the loopback, and answered."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import telnyx
from telnyx import Telnyx
from tests.support.raw import send, send_json
from tests.support.server import Server

PATIENCE_S = 15.0
SCRIPT = 'on start: say "Your parcel is here."\non hear /(.+)/: say "You said $1."'


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key, base_url=f"{live_server.url}/v2", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def numbers() -> tuple[str, str]:
    """Two numbers that nobody else uses."""
    tail = f"{uuid4().int % 10**10:010}"
    return f"+1{tail}1", f"+1{tail}2"


def assistant(client: Telnyx, **given: Any) -> str:
    made = client.ai.assistants.create(name="desk", instructions=SCRIPT, model="scripted", **given)
    return made.id


def inbox(server: Server, **wanted: str) -> list[dict[str, Any]]:
    """Oldest first."""
    query = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in wanted.items())
    answer = send(server, "GET", f"/viva/v1/inbox?{query}")
    assert answer.status == 200, answer.body
    return list(reversed(answer.json["data"]))


def metadata_of(client: Telnyx, conversation_id: str) -> dict[str, str]:
    found = client.ai.conversations.retrieve(conversation_id).data
    assert found is not None
    return dict(found.metadata)


def until(look: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.mark.operation("ai.assistants.send_sms")
def test_a_conversation_by_text_messages(client: Telnyx, live_server: Server, numbers: tuple[str, str]) -> None:
    agent, user = numbers
    id_ = assistant(client, greeting="Hello from {{shop}}.", dynamic_variables={"shop": "Birch"})
    sent = client.ai.assistants.send_sms(
        id_, from_=agent, to=user, conversation_metadata={"order": "A-1", "vip": True, "count": 3}
    )
    assert sent.conversation_id
    until(lambda: inbox(live_server, number=user)[0]["status"] == "sent")
    arrived = send_json(live_server, "POST", "/viva/v1/inbox", {"from": user, "to": agent, "text": "thanks"})
    assert arrived.status == 201
    until(lambda: [one["status"] for one in inbox(live_server, number=user)] == ["sent", "handled", "sent"])
    found = inbox(live_server, conversation_id=sent.conversation_id)
    assert [(one["direction"], one["text"]) for one in found] == [
        ("outbound", "Hello from Birch."),
        ("inbound", "thanks"),
        ("outbound", "You said thanks."),
    ]
    said = [(one.role, one.text) for one in client.ai.conversations.messages.list(sent.conversation_id)]
    assert said == [("assistant", "Hello from Birch."), ("user", "thanks"), ("assistant", "You said thanks.")]
    metadata = metadata_of(client, sent.conversation_id)
    assert metadata["telnyx_conversation_channel"] == "sms_chat"
    assert (metadata["telnyx_agent_target"], metadata["telnyx_end_user_target"]) == (agent, user)
    assert (metadata["order"], metadata["vip"], metadata["count"]) == ("A-1", "true", "3")
    assert metadata["assistant_id"] == id_


@pytest.mark.operation("ai.assistants.send_sms")
def test_rule_5_1_send_sms_which_conversation_and_which_words(
    client: Telnyx, live_server: Server, numbers: tuple[str, str]
) -> None:
    agent, user = numbers
    id_ = assistant(client)

    def send_sms(**given: Any) -> str:
        conversation_id = client.ai.assistants.send_sms(id_, from_=agent, to=user, **given).conversation_id
        assert conversation_id
        return conversation_id

    first = send_sms()
    assert send_sms(text="As it is.", conversation_metadata={"a": 1}) == first
    assert metadata_of(client, first)["a"] == "1"
    second = send_sms(text="Anew.", should_create_conversation=True)
    assert second != first
    assert send_sms(text="More.") == second
    texts = [one["text"] for one in inbox(live_server, number=user)]
    assert texts == ["Your parcel is here.", "As it is.", "Anew.", "More."]


@pytest.mark.operation("ai.assistants.send_sms")
def test_a_repeated_request_sends_once(client: Telnyx, live_server: Server, numbers: tuple[str, str]) -> None:
    agent, user = numbers
    id_, key = assistant(client), uuid4().hex
    twice = [client.ai.assistants.send_sms(id_, from_=agent, to=user, text="Hi", idempotency_key=key) for _ in range(2)]
    assert twice[0] == twice[1]
    assert len(inbox(live_server, number=user)) == 1


@pytest.mark.operation("ai.assistants.whatsapp")
def test_rule_5_1_whatsapp(client: Telnyx, live_server: Server, numbers: tuple[str, str]) -> None:
    agent, user = numbers
    id_ = assistant(client)
    opened = client.ai.assistants.whatsapp(
        id_, from_=agent, to=user, content="Your code is 482913.", conversation_metadata={"order": "A-1"}
    )
    answer = send(live_server, "GET", f"/viva/v1/inbox/{opened.message_id}")
    assert answer.json["text"] == "Your code is 482913."
    assert (answer.json["channel"], answer.json["conversation_id"]) == ("whatsapp_chat", opened.conversation_id)
    metadata = metadata_of(client, opened.conversation_id)
    assert (metadata["telnyx_conversation_channel"], metadata["order"]) == ("whatsapp_chat", "A-1")
    send_json(live_server, "POST", "/viva/v1/inbox", {"from": user, "to": agent, "text": "thanks"})
    until(lambda: len(inbox(live_server, conversation_id=opened.conversation_id)) == 3)
    for key in ("telnyx_anything", "assistant_id"):
        with pytest.raises(telnyx.BadRequestError):
            client.ai.assistants.whatsapp(id_, from_=agent, to=user, content="x", conversation_metadata={key: "x"})
    forgetful = assistant(client, privacy_settings={"data_retention": False})
    with pytest.raises(telnyx.BadRequestError):
        client.ai.assistants.whatsapp(forgetful, from_=agent, to=user, content="x")


@pytest.mark.operation("ai.assistants.whatsapp")
def test_a_whatsapp_template_is_filled_in_by_the_model(
    client: Telnyx, live_server: Server, numbers: tuple[str, str]
) -> None:
    agent, user = numbers
    script = 'on hear /code (\\d+)/: say "Your code: $1."'
    tool = {"type": "whatsapp_template", "whatsapp_template": {"templates": [{"name": "code"}]}}
    # The SDK's own models do not know this type of tool.
    body = {"name": "desk", "instructions": script, "model": "scripted", "tools": [tool]}
    made = send_json(live_server, "POST", "/v2/ai/assistants", body).json
    opened = client.ai.assistants.whatsapp(made["id"], from_=agent, to=user, content="Send the code 482913.")
    answer = send(live_server, "GET", f"/viva/v1/inbox/{opened.message_id}")
    assert answer.json["text"] == "Your code: 482913."


def test_the_inbox_is_behind_the_same_keys(live_server: Server) -> None:
    for key in ("", "wrong"):
        answer = send(live_server, "GET", "/viva/v1/inbox", key=key)
        assert answer.status == 401
        assert answer.json["error"]["status"] == 401
    unsigned = send_json(live_server, "POST", "/webhooks/messages", {"data": {}})
    assert unsigned.status == 403
