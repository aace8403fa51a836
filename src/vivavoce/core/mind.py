"""Which language model speaks for an assistant."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody's own OpenAI-compatible endpoint; ``key_ref`` names a stored secret.

    ``forwards`` sends the conversation's variables along as ``extra_metadata`` (contract, section 2.1, ExternalLLM).
    """

    base_url: str
    model: str
    key_ref: str | None = None
    forwards: bool = False


@dataclass(frozen=True, slots=True)
class Mind:
    """A model by name, or an endpoint, which wins. Neither is the server's default. ``key_ref`` names the stored secret
    that pays for ``model``. ``temperature`` None leaves it to the provider."""

    model: str | None = None
    key_ref: str | None = None
    endpoint: Endpoint | None = None
    temperature: float | None = None
