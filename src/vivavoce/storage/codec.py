"""Frozen objects ⇄ JSON text. Unknown fields in stored text are ignored, so an older server reads a newer row."""

from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, TypeAdapter

from vivavoce.core.assistant import Version
from vivavoce.core.component import Component
from vivavoce.core.conversation import Opening
from vivavoce.core.event import Event, Usage
from vivavoce.core.knowledge import Library
from vivavoce.core.scenario import Scenario
from vivavoce.core.tool import Tool
from vivavoce.core.verdict import Verdict

T = TypeVar("T")


class Codec(Generic[T]):
    """Both directions for one type. It is prepared when it is first used: a server would start a tenth of a second
    later for what it may never read."""

    def __init__(self, type_: Any) -> None:
        self._type = type_

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._type)

    def loads(self, text: str) -> T:
        """The value that this JSON text tells."""
        return self._adapter.validate_json(text)

    def dumps(self, value: T) -> str:
        """JSON text, always the same for the same value."""
        return self._adapter.dump_json(value).decode()


event_codec: Codec[Event] = Codec(Annotated[Event, Field(discriminator="kind")])
version_codec: Codec[Version] = Codec(Version)
versions_codec: Codec[tuple[Version, ...]] = Codec(tuple[Version, ...])
component_codec: Codec[Component] = Codec(Component)
tool_codec: Codec[Tool] = Codec(Annotated[Tool, Field(discriminator="kind")])
opening_codec: Codec[Opening] = Codec(Opening)
scenario_codec: Codec[Scenario] = Codec(Scenario)
library_codec: Codec[Library] = Codec(Library)
usage_codec: Codec[Usage] = Codec(Usage)
text_codec: Codec[str] = Codec(str)
verdicts_codec: Codec[tuple[Verdict, ...]] = Codec(tuple[Verdict, ...])


def digest(text: str) -> str:
    """The key under which a snapshot is kept."""
    return sha256(text.encode()).hexdigest()
