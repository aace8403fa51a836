"""Text messages that an assistant is asked to send (contract, section 5.1, send_sms and whatsapp)."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from vivavoce.api.shape import Flag, omitted, sent, storable
from vivavoce.core.scenario import Medium
from vivavoce.services.messaging import Wish

Target = Annotated[str, Field(min_length=1, max_length=256)]
"""A phone number, or what else a carrier takes for one."""

MetadataValue = Annotated[str | int | bool, Field(union_mode="smart")]
Metadata = dict[str, MetadataValue]


class SmsSend(BaseModel, frozen=True, extra="ignore"):
    """A text message to be sent; without a text it is the greeting, or the assistant writes it."""

    from_: Target = Field(alias="from")
    to: Target
    text: str = omitted()
    conversation_metadata: Metadata = omitted()
    should_create_conversation: Flag = False

    _storable = model_validator(mode="before")(storable)


class WhatsappSend(BaseModel, frozen=True, extra="ignore"):
    """A WhatsApp conversation to be opened with what the ``content`` asks for."""

    content: Annotated[str, Field(min_length=1)]
    from_: Target = Field(alias="from")
    to: Target
    conversation_metadata: Metadata = omitted()

    _storable = model_validator(mode="before")(storable)


def as_metadata(given: Mapping[str, str | int | bool]) -> dict[str, str]:
    """Metadata of a conversation, which is text throughout."""
    return {key: value if isinstance(value, str) else str(value).lower() for key, value in given.items()}


def to_sms(body: SmsSend) -> Wish:
    """The message; an empty text counts as none."""
    metadata = as_metadata(sent(body).get("conversation_metadata", {}))
    return Wish(body.from_, body.to, body.text or None, metadata, anew=body.should_create_conversation)


def to_whatsapp(body: WhatsappSend) -> Wish:
    """The message, without its words."""
    metadata = as_metadata(sent(body).get("conversation_metadata", {}))
    return Wish(body.from_, body.to, None, metadata, anew=True, medium=Medium.WHATSAPP_CHAT)
