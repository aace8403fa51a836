"""The port to language models: what is asked, what is answered, how it fails.

``Model`` is implemented in ``vivavoce.models``; the assistant, the tester and the judge only know this port.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Literal, Protocol, TypeVar

from vivavoce.core.event import ToolCall, Usage

T = TypeVar("T")
Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class PromptLine:
    """One message of a prompt. ``calls`` only for an assistant's line, ``call_id`` only for a tool's."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it; ``parameters`` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything a model is told.

    ``subject`` carries the same facts as the lines, as data, for a provider that computes instead of reading
    (the scripted model): an ``AssistantTask``, ``TesterTask`` or ``JudgeTask`` of the room that asks. ``temperature``
    None leaves it to the provider; with ``must_call`` the answer has to be a tool call.
    """

    lines: tuple[PromptLine, ...]
    tools: tuple[ToolSpec, ...] = ()
    subject: object | None = None
    temperature: float | None = None
    must_call: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Words and/or tool calls. The ids of the calls are the provider's own."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """One typed answer."""

    value: T
    usage: Usage = Usage()


class Trouble(StrEnum):
    """Why a model gave no answer."""

    UNRESOLVED = "unresolved"  # nobody serves this name here: a setting is missing
    REFUSED = "refused"  # the provider will not answer this request (4xx)
    UNAVAILABLE = "unavailable"  # limits, faults, timeouts, after the last retry
    GARBLED = "garbled"  # it answered, and not in the shape asked for


class ModelFailure(Exception):
    """A model call failed for good, after so many attempts; the message is for a person and holds no key.

    It may repeat the provider's words, which may repeat what was said: ``plain`` does not, and is for logs. ``status``
    is the provider's, 0 where there was none.
    """

    def __init__(self, trouble: Trouble, message: str, *, attempts: int = 1, status: int = 0) -> None:
        super().__init__(message)
        self.trouble, self.attempts = trouble, attempts
        self.plain = f"{trouble.value} (HTTP status {status})" if status else trouble.value


class Model(Protocol):
    """A language model. Every method may raise ``ModelFailure``."""

    @property
    def name(self) -> str:
        """As a person should read it in a verdict, for example ``openai/gpt-4o`` or ``scripted``."""
        ...

    async def reply(self, prompt: Prompt) -> Reply:
        """The next thing an assistant says or calls."""
        ...

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        """One answer of the given frozen dataclass, checked against its fields."""
        ...

    def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        """Pieces of text as they come, then the whole ``Reply`` as the last item."""
        ...
