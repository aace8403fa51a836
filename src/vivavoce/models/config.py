"""What the settings say about models, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from vivavoce.models.limiter import Rates

OPENAI_BASE_URL = "https://api.openai.com/v1"
"""Where the provider ``openai`` is when nobody says otherwise."""

COMPATIBLE_VENDORS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cerebras": ("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
        "deepseek": ("https://api.deepseek.com", ("DEEPSEEK_API_KEY",)),
        "fireworks": ("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
        "moonshotai": ("https://api.moonshot.ai/v1", ("MOONSHOTAI_API_KEY",)),
        "openrouter": ("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
        "sambanova": ("https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
        "together": ("https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
        "xai": ("https://api.x.ai/v1", ("XAI_API_KEY",)),
    }
)
"""Vendors that speak chat completions: where they are, and the variables that may hold their key."""

OTHER_VENDORS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "anthropic": ("https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",)),
        "cohere": ("https://api.cohere.ai/compatibility/v1", ("CO_API_KEY",)),
        "google": ("https://generativelanguage.googleapis.com/v1beta/openai", ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
        "groq": ("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
        "huggingface": ("https://router.huggingface.co/v1", ("HF_TOKEN",)),
        "mistral": ("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    }
)
"""Vendors that pydantic-ai speaks to: where each takes chat completions as well, for requests that are handed on
unchanged, and the variables that may hold its key."""


@dataclass(frozen=True, slots=True, repr=False)
class Provider:
    """An OpenAI-compatible endpoint.

    ``base_url`` is what stands before ``/chat/completions``; empty means OpenAI's own. ``concurrency`` is how many
    requests may be under way at once, ``timeout_s`` the seconds one attempt may take from connecting to its last
    byte, ``max_attempts`` how often one request is sent at most. ``requests_per_minute`` and ``tokens_per_minute`` hold
    over all processes of a database; 0 sets no limit.
    """

    name: str
    base_url: str
    api_key: str = ""
    concurrency: int = 256
    timeout_s: float = 60.0
    max_attempts: int = 4
    requests_per_minute: int = 0
    tokens_per_minute: int = 0

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.max_attempts < 1 or self.timeout_s <= 0:
            raise ValueError(f"provider {self.name}: concurrency, max_attempts and timeout_s must be positive")
        if self.requests_per_minute < 0 or self.tokens_per_minute < 0:
            raise ValueError(f"provider {self.name}: requests_per_minute and tokens_per_minute must not be negative")

    @property
    def rates(self) -> Rates:
        """What it allows."""
        return Rates(self.concurrency, self.requests_per_minute, self.tokens_per_minute)

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
