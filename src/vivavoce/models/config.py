"""What the settings say about models, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

OPENAI_BASE_URL = "https://api.openai.com/v1"
"""Where the provider ``openai`` is when nobody says otherwise."""


@dataclass(frozen=True, slots=True, repr=False)
class Provider:
    """An OpenAI-compatible endpoint.

    ``base_url`` is what stands before ``/chat/completions``; empty means OpenAI's own. ``concurrency`` is how many
    requests may be under way at once, ``timeout_s`` the seconds one attempt may take from connecting to its last
    byte, ``max_attempts`` how often one request is sent at most.
    """

    name: str
    base_url: str
    api_key: str = ""
    concurrency: int = 256
    timeout_s: float = 60.0
    max_attempts: int = 4

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.max_attempts < 1 or self.timeout_s <= 0:
            raise ValueError(f"provider {self.name}: concurrency, max_attempts and timeout_s must be positive")

    def __repr__(self) -> str:
        # A base URL may carry a password or a key in its query, so only its public parts are shown.
        url = urlsplit(self.base_url)
        place = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        return f"Provider(name={self.name!r}, base_url={place!r}, api_key={'set' if self.api_key else 'unset'})"


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which models there are and which one each role takes.

    ``providers`` and ``aliases`` are by name (VIVA_PROVIDERS, VIVA_MODEL_ALIASES). ``fallback`` ``default`` lets the
    default model stand in for names that nobody serves here (VIVA_MODEL_FALLBACK). ``environment`` is where the
    vendors' own key variables are looked up.
    """

    providers: Mapping[str, Provider] = field(default_factory=dict[str, Provider])
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    default_model: str | None = None
    tester_model: str | None = None
    judge_model: str | None = None
    fallback: Literal["off", "default"] = "off"
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
