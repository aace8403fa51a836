"""From whom assistants can be imported, what comes of it, and what can go wrong."""

from dataclasses import dataclass
from enum import StrEnum

from vivavoce.core.assistant import Version


class Provider(StrEnum):
    """Where the assistants are now."""

    ELEVENLABS = "elevenlabs"
    VAPI = "vapi"
    RETELL = "retell"


BASE_URLS = {
    Provider.ELEVENLABS: "https://api.elevenlabs.io",
    Provider.VAPI: "https://api.vapi.ai",
    Provider.RETELL: "https://api.retellai.com",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """An assistant that was fetched: ``id`` is the provider's, those of the version are empty. ``voice`` is the
    provider's, as ``maker.model.id`` with what is known of it."""

    id: str
    version: Version
    voice: str = ""


@dataclass(frozen=True, slots=True)
class Unfit:
    """An assistant that cannot be had here; ``reason`` is for a person."""

    id: str
    reason: str


class Unusable(Exception):
    """One assistant is something that there is no equal to here; the message is for a person."""


class KeyRefused(Exception):
    """The provider does not take the key."""


class Unknown(Exception):
    """The provider has no such assistant."""


class Down(Exception):
    """The provider cannot be asked, or answers nonsense; the message is for a person and holds no secret."""
