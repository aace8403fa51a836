"""Conversations and their messages on the wire (contract, section 5.15)."""

import json
from typing import Any

from pydantic import BaseModel, model_validator

from vivavoce.api.telnyx.wire.shape import Flag, omitted, sent, storable
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Left, Message, Millis, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.transcript import Transcript


class ConversationCreate(BaseModel, frozen=True, extra="ignore"):
    """A new conversation."""

    name: str = omitted()
    metadata: dict[str, str] = omitted()

    _storable = model_validator(mode="before")(storable)


class ConversationUpdate(BaseModel, frozen=True, extra="ignore"):
    """New metadata of a conversation."""

    metadata: dict[str, str] = omitted()

    _storable = model_validator(mode="before")(storable)


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
                messages.append(_message("user", event.text, event.at))
                speaking_at = None
            case Message():
                if event.text:
                    messages.append(_message("assistant", event.text, event.at))
                    speaking_at = event.at
            case ToolCalled():
                if speaking_at != event.at:
                    messages.append(_message("assistant", "", event.at))
                    speaking_at = event.at
                messages[-1].setdefault("tool_calls", []).append(_call(event.call))
            case ToolReturned():
                messages.append({**_message("tool", event.output, event.at), "metadata": _result(event)})
                speaking_at = None
            case Left():
                speaking_at = None
    return messages


def _message(role: str, text: str, at: Millis) -> dict[str, Any]:
    return {"role": role, "text": text, "created_at": iso(at), "sent_at": iso(at), "metadata": {}}


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False, default=dict)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _result(event: ToolReturned) -> dict[str, Any]:
    result: dict[str, Any] = {"tool_call_id": event.call_id, "tool_name": event.name, "ok": event.ok}
    if event.status_code is not None:
        result["status_code"] = event.status_code
    return result
