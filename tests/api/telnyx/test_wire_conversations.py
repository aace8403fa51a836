import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from telnyx.types.ai import Conversation as SdkConversation
from telnyx.types.ai.conversations import MessageListResponse

from vivavoce.api.telnyx.errors import Refused
from vivavoce.api.telnyx.wire.conversations import (
    ChatBody,
    ConversationCreate,
    ConversationUpdate,
    MessageCreate,
    dump_conversation,
    dump_messages,
    to_conversation,
    to_written,
)
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.transcript import Transcript
from vivavoce.services.conversations import Written
from vivavoce.storage.codec import event_codec


def caller(text: str, at: int) -> Message:
    return Message(Speaker.CALLER, text, at)


def assistant(text: str, at: int) -> Message:
    return Message(Speaker.ASSISTANT, text, at)


def test_a_conversation():
    body = ConversationCreate.model_validate({"name": "n", "metadata": {"ai_disabled": "true"}})
    conversation = to_conversation(body, id="c", now=1)
    assert conversation == Conversation("c", 1, 1, "n", {"ai_disabled": "true"})
    wire = dump_conversation(conversation)
    assert wire == {
        "id": "c",
        "name": "n",
        "created_at": "1970-01-01T00:00:00.001Z",
        "last_message_at": "1970-01-01T00:00:00.001Z",
        "metadata": {"ai_disabled": "true"},
    }
    assert SdkConversation.model_validate(wire).metadata == {"ai_disabled": "true"}
    empty = to_conversation(ConversationCreate.model_validate({}), id="c", now=1)
    assert (empty.name, empty.metadata) == (None, {})


BAD: list[tuple[type[BaseModel], dict[str, Any], tuple[int | str, ...]]] = [
    (ConversationCreate, {"name": None}, ("name",)),
    (ConversationCreate, {"metadata": {"a": 1}}, ("metadata", "a")),
    (ConversationCreate, {"metadata": {"a": "\x00"}}, ("metadata", "a")),
    (ConversationUpdate, {"metadata": None}, ("metadata",)),
    (ConversationUpdate, {"metadata": {"a": "\ud800"}}, ("metadata", "a")),
    (ChatBody, {"conversation_id": "c"}, ("content",)),
    (ChatBody, {"content": "c"}, ("conversation_id",)),
    (ChatBody, {"content": "c", "conversation_id": "c", "stream": "yes"}, ("stream",)),
    (ChatBody, {"content": "\x00", "conversation_id": "c"}, ("content",)),
    (MessageCreate, {}, ("role",)),
    (MessageCreate, {"role": 1}, ("role",)),
    (MessageCreate, {"role": "user", "content": None}, ("content",)),
    (MessageCreate, {"role": "user", "sent_at": "yesterday"}, ("sent_at",)),
    (MessageCreate, {"role": "user", "metadata": {"a": ["\ud800"]}}, ("metadata", "a", 0)),
    (MessageCreate, {"role": "assistant", "tool_calls": [{"id": "c"}]}, ("tool_calls", 0, "function")),
]


@pytest.mark.parametrize(("model", "body", "loc"), BAD)
def test_bad_bodies(model: type[BaseModel], body: dict[str, Any], loc: tuple[int | str, ...]):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert [error["loc"] for error in caught.value.errors()] == [loc]


def test_chat():
    body = ChatBody.model_validate({"content": "Hi", "conversation_id": "c", "unknown": 1})
    assert (body.content, body.conversation_id, body.stream) == ("Hi", "c", False)


def test_messages():
    weather = ToolCall("call-1", "weather", {"city": "Zürich", "days": [1]})
    clock = ToolCall("call-2", "clock", {})
    transcript = Transcript(
        (
            assistant("Hello", 0),
            caller("How is the weather?", 1000),
            assistant("One moment.", 2000),
            ToolCalled(weather, 2000),
            ToolCalled(clock, 2000),
            ToolReturned("call-1", "weather", "sunny", True, 2500, status_code=200),
            ToolReturned("call-2", "clock", "no clock", False, 2600),
            assistant("Sunny.", 3000),
            caller("Bye", 4000),
            assistant("", 5000),
            ToolCalled(ToolCall("call-3", "hangup", {}), 5000),
            Left(Ending.HANGUP, 5000, Speaker.ASSISTANT),
        )
    )
    messages = dump_messages(transcript)
    assert [(one["role"], one["text"]) for one in messages] == [
        ("assistant", "Hello"),
        ("user", "How is the weather?"),
        ("assistant", "One moment."),
        ("tool", "sunny"),
        ("tool", "no clock"),
        ("assistant", "Sunny."),
        ("user", "Bye"),
        ("assistant", ""),
    ]
    calls = messages[2]["tool_calls"]
    assert [(call["id"], call["type"], call["function"]["name"]) for call in calls] == [
        ("call-1", "function", "weather"),
        ("call-2", "function", "clock"),
    ]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Zürich", "days": [1]}
    assert messages[3]["metadata"] == {
        "tool_call_id": "call-1",
        "tool_name": "weather",
        "ok": True,
        "status_code": 200,
    }
    assert messages[4]["metadata"] == {"tool_call_id": "call-2", "tool_name": "clock", "ok": False}
    assert (messages[1]["created_at"], messages[1]["sent_at"]) == ("1970-01-01T00:00:01.000Z",) * 2
    assert [call["id"] for call in messages[7]["tool_calls"]] == ["call-3"]
    assert [MessageListResponse.model_validate(one).role for one in messages] == [one["role"] for one in messages]


def test_tool_calls_of_another_moment_are_another_message():
    first, second = ToolCall("1", "a", {}), ToolCall("2", "b", {})
    events = (
        assistant("Let me see.", 10),
        ToolCalled(first, 20),
        ToolReturned("1", "a", "x", True, 20),
        ToolCalled(second, 20),
    )
    messages = dump_messages(Transcript(events))
    assert [(one["text"], len(one.get("tool_calls", ()))) for one in messages] == [
        ("Let me see.", 0),
        ("", 1),
        ("x", 0),
        ("", 1),
    ]


def test_silence_and_the_end_are_no_messages():
    assert dump_messages(Transcript((assistant("", 0), Left(Ending.SILENCE, 1)))) == []


# messages that a client writes itself


def a_call(arguments: str, **given: Any) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "find", "arguments": arguments}, **given}


def written(**body: Any) -> Written:
    return to_written(MessageCreate.model_validate(body))


@pytest.mark.parametrize(
    "arguments",
    ["", "x", "[]", "null", '"{}"', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\u0000"}', '{"a": "\\ud800"}', "{" * 9],
)
def test_arguments_that_are_no_object(arguments: str):
    with pytest.raises(ValidationError) as caught:
        written(role="assistant", tool_calls=[a_call(arguments)])
    for error in caught.value.errors():
        assert error["loc"][:4] == ("tool_calls", 0, "function", "arguments")


@pytest.mark.parametrize("depth", [101, 500, 100_000])
def test_arguments_that_are_nested_too_deeply(depth: int):
    deep = '{"a": ' + "[" * depth + "]" * depth + "}"
    with pytest.raises(ValidationError):
        written(role="assistant", tool_calls=[a_call(deep)])


def test_roles():
    assert written(role="user") == Written(Speaker.CALLER, "")
    assert written(role="assistant", content="hi") == Written(Speaker.ASSISTANT, "hi")
    assert written(role="tool", content="x", tool_call_id="c") == Written(None, "x", call_id="c")
    for other in ("system", "developer", "User", ""):
        with pytest.raises(Refused) as caught:
            written(role=other)
        assert (caught.value.problem.status, caught.value.problem.pointer) == (400, "/role")


simple = st.text("ab é") | st.integers(-(2**70), 2**70) | st.booleans()
kept = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text("ab é"),
        "metadata": st.dictionaries(st.text("ab é"), simple | st.lists(simple)),
        "tool_choice": st.text("ab é") | st.dictionaries(st.text("ab"), simple),
    },
)


@given(kept, st.text("ab é"))
def test_rule_5_15_what_a_client_wrote_is_read_back_as_it_was(sent: dict[str, Any], text: str):
    calls = [a_call('{"b":1, "a" : [1.50]}')]
    assistant = {"role": "assistant", "content": text, "tool_calls": calls, "sent_at": "2027-01-15T09:00+01:00"}
    told = written(**assistant, **sent)
    answer = written(role="tool", content=text, tool_call_id="c", **sent)
    assert told.calls == (ToolCall("c", "find", {"b": 1, "a": [1.5]}),)
    events = (
        Message(Speaker.ASSISTANT, told.text, 5, extra=told.extra),
        ToolCalled(told.calls[0], 5),
        ToolReturned("c", "find", answer.text, True, 6, extra=answer.extra),
        Message(Speaker.CALLER, text, 7, extra=written(role="user", **sent).extra),
    )
    messages = dump_messages(Transcript(tuple(event_codec.loads(event_codec.dumps(event)) for event in events)))
    assert [one["role"] for one in messages] == ["assistant", "tool", "user"]
    for one in messages:
        assert one["text"] == text
        assert one["metadata"] == sent.get("metadata", {})
        assert {name: one[name] for name in ("name", "tool_choice") if name in one} == {
            name: value for name, value in sent.items() if name != "metadata"
        }
    assert messages[0]["tool_calls"] == calls
    assert (messages[0]["sent_at"], messages[0]["created_at"]) == (
        "2027-01-15T08:00:00.000Z",
        "1970-01-01T00:00:00.005Z",
    )
    assert messages[1]["tool_call_id"] == "c"
    assert messages[1]["sent_at"] == messages[1]["created_at"] == "1970-01-01T00:00:00.006Z"


def test_two_written_messages_of_one_moment_are_two():
    first = Message(Speaker.ASSISTANT, "One moment.", 5, extra={})
    second = Message(Speaker.ASSISTANT, "", 5, extra={"tool_calls": [a_call("{}")]})
    messages = dump_messages(Transcript((first, second, ToolCalled(ToolCall("c", "find", {}), 5))))
    assert [(one["text"], len(one.get("tool_calls", ()))) for one in messages] == [("One moment.", 0), ("", 1)]
