"""What the assistant's runtime needs from outside, and what it tells a model that computes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from vivavoce.assistant.templating import Filling
from vivavoce.core.mind import Mind
from vivavoce.core.model import Model
from vivavoce.core.passage import Recall
from vivavoce.core.tool import Tool
from vivavoce.core.transcript import Transcript


@dataclass(frozen=True, slots=True)
class AssistantTask:
    """The subject of an assistant's prompt: its instructions with variables filled in, and all that happened. ``says``
    is what it was told to say now, ``calls`` the name of the tool that it was told to call."""

    instructions: str
    transcript: Transcript
    says: str = ""
    calls: str = ""


@dataclass(frozen=True, slots=True)
class RoutingTask:
    """The subject of the question which of these conditions hold of the conversation."""

    conditions: tuple[str, ...]
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Routing:
    """The numbers of the conditions that hold, counted from 1 in the order of the question."""

    holding: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool answered. ``text`` is what the model reads; ``variables`` are those the answer sets."""

    text: str
    ok: bool
    status_code: int | None = None
    mocked: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Models(Protocol):
    """Finds the model that speaks."""

    async def chosen(self, mind: Mind, fallback: Mind | None, variables: Mapping[str, Any]) -> Model:
        """The model for this choice, backed by the fallback where the first one's provider is down. ``variables`` are
        for an endpoint that wants to know them. Raises ``ModelFailure`` where nobody serves it here."""
        ...


class Tools(Protocol):
    """Calls tools. A tool that fails is an output with ``ok`` false: the model hears of it, nobody raises."""

    async def call(self, tool: Tool, arguments: Mapping[str, Any], *, key: str, filling: Filling) -> ToolOutput:
        """Call the tool once. ``key`` is the idempotency key of an outside effect (``run:attempt:call``). ``filling``
        fills its templates."""
        ...

    async def recalled(self, recall: Recall, about: str) -> tuple[str, ...]:
        """Passages of documents that bear on this text, the best first; none where nothing can be searched."""
        ...
