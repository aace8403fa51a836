"""An assistant is a set of versions, one of which is main."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vivavoce.core.event import Millis
from vivavoce.core.tool import Tool


def _nothing() -> dict[str, Any]:
    return {}


MODEL_OPENS = "<assistant-speaks-first-with-model-generated-message>"
"""The greeting that asks the model to write the opening line."""


@dataclass(frozen=True, slots=True)
class Templating:
    """A vendor's rules for ``{{variables}}``, chosen by the API that wrote the version.

    ``prefix`` stands before the names of the system variables (current time, channel, targets).
    """

    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One complete configuration of an assistant.

    ``model`` None means the server's default. ``greeting`` is None (unset), empty (wait for the caller),
    ``MODEL_OPENS`` or a template. ``extra`` holds settings that are kept and given back unchanged.
    """

    id: str
    assistant_id: str
    name: str
    instructions: str
    created_at: Millis
    label: str = ""
    description: str | None = None
    model: str | None = None
    greeting: str | None = None
    tools: tuple[Tool, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=_nothing)
    templating: Templating = Templating()
    extra: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant and its main version."""

    id: str
    main: Version
    created_at: Millis
