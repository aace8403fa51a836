"""Conversations and their messages on the wire (contract, section 5.15)."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from vivavoce.api.shape import Flag, Whole, omitted, sent, storable
from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire.times import iso, millis
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import (
    HandedOver,
    Left,
    Message,
    Millis,
    Moved,
    Recalled,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.transcript import Transcript
from vivavoce.services.conversations import Written


class ConversationCreate(BaseModel, frozen=True, extra="ignore"):
    """A new conversation."""

    name: str = omitted()
    metadata: dict[str, str] = omitted()

    _storable = model_validator(mode="before")(storable)


class ConversationUpdate(BaseModel, frozen=True, extra="ignore"):
    """New metadata of a conversation."""

    metadata: dict[str, str] = omitted()

    _storable = model_validator(mode="before")(storable)


def _moment(text: str) -> str:
    millis(text)
    return text


def _arguments(text: str) -> str:
    try:
        found = storable(json.loads(text))
    except RecursionError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("Input should be a JSON object")  # noqa: TRY004  # pydantic takes only this for a refusal
    return text


_Simple = str | Whole | Flag


class CallFunction(BaseModel, frozen=True, extra="ignore"):
    """What is called; ``arguments`` is the text of a JSON object."""

    name: str = Field(min_length=1)
    arguments: Annotated[str, AfterValidator(_arguments)] = "{}"


class MessageCall(BaseModel, frozen=True, extra="ignore"):
    """A tool call that the assistant made."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: CallFunction


class MessageCreate(BaseModel, frozen=True, extra="ignore"):
    """A message to be put into a conversation."""

    # Its type is any text (contract, section 5.15), so that another role is refused with 400.
    role: str = Field(json_schema_extra={"enum": ["user", "assistant", "tool"]})
    content: str = ""
    name: str = omitted()
    metadata: dict[str, _Simple | list[_Simple]] = omitted()
    sent_at: Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})] = omitted()
    tool_call_id: str = omitted()
    tool_calls: list[MessageCall] = omitted()
    tool_choice: str | dict[str, Any] = omitted()

    _storable = model_validator(mode="before")(storable)


_SPEAKERS: Mapping[str, Speaker | None] = {"user": Speaker.CALLER, "assistant": Speaker.ASSISTANT, "tool": None}
_KEPT = ("name", "metadata", "sent_at", "tool_calls", "tool_choice")


def to_written(body: MessageCreate) -> Written:
    """The message. Raises ``Refused`` for a role that nobody has."""
    if body.role not in _SPEAKERS:
        raise bad_request(f"There is no role {body.role!r}; it is user, assistant or tool", pointer="/role")
    wire = sent(body)
    calls = tuple(
        ToolCall(call.id, call.function.name, json.loads(call.function.arguments)) for call in body.tool_calls or ()
    )
    extra = {name: wire[name] for name in _KEPT if name in wire}
    if calls:
        extra["tool_calls"] = [call.model_dump() for call in body.tool_calls]
    return Written(_SPEAKERS[body.role], body.content, calls, wire.get("tool_call_id"), extra)


class ChatBody(BaseModel, frozen=True, extra="ignore"):
    """One message to an assistant in an existing conversation."""

    content: str
    conversation_id: str
    name: str = omitted()
    stream: Flag = False

    _storable = model_validator(mode="before")(storable)


def to_conversation(body: ConversationCreate, *, id: str, now: Millis) -> Conversation:  # noqa: A002  # the noun's own
    """A new conversation."""
    wire = sent(body)
    return Conversation(id, now, now, wire.get("name"), wire.get("metadata", {}))


def dump_conversation(conversation: Conversation) -> dict[str, Any]:
    """The response object of a conversation."""
    return {
        "id": conversation.id,
        "name": conversation.name,
        "created_at": iso(conversation.created_at),
        "last_message_at": iso(conversation.last_message_at),
        "metadata": dict(conversation.metadata),
    }


def dump_messages(transcript: Transcript) -> list[dict[str, Any]]:
    """The messages of a conversation, oldest first.

    An assistant's words and the tool calls that follow at the same moment are one message. Its silences and the end
    of the conversation are none.
    """
    messages: list[dict[str, Any]] = []
    speaking_at: Millis | None = None  # when the last message was the assistant's, and may still get tool calls
    for event in transcript.events:
        match event:
            case Message(speaker=Speaker.CALLER):
                messages.append(_message("user", event.text, event.at, event.extra))
                speaking_at = None
            case Message():
                if event.text or event.extra is not None:
                    messages.append(_message("assistant", event.text, event.at, event.extra))
                    speaking_at = event.at
            case ToolCalled():
                if speaking_at != event.at:
                    messages.append(_message("assistant", "", event.at))
                    speaking_at = event.at
                calls: list[dict[str, Any]] = messages[-1].get("tool_calls", [])
                if all(known["id"] != event.call.id for known in calls):  # it may stand there as a client wrote it
                    messages[-1]["tool_calls"] = [*calls, _call(event.call)]
            case ToolReturned():
                metadata = {"metadata": _result(event)} if event.extra is None else event.extra
                messages.append({**_message("tool", event.output, event.at, metadata), "tool_call_id": event.call_id})
                speaking_at = None
            case Left() | Moved() | HandedOver() | Recalled():
                speaking_at = None
    return messages


def _message(role: str, text: str, at: Millis, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``extra`` is what a client that wrote the message itself sent with it."""
    known = extra or {}
    moment = millis(known["sent_at"]) if "sent_at" in known else at
    message: dict[str, Any] = {
        "role": role,
        "text": text,
        "created_at": iso(at),
        "sent_at": iso(moment),
        "metadata": {},
    }
    return {**message, **{name: value for name, value in known.items() if name != "sent_at"}}


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False, default=dict)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _result(event: ToolReturned) -> dict[str, Any]:
    result: dict[str, Any] = {"tool_call_id": event.call_id, "tool_name": event.name, "ok": event.ok}
    if event.status_code is not None:
        result["status_code"] = event.status_code
    return result
