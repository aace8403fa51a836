"""Templates with ``{{variables}}``: one function fills them in, by the rules that the assistant's version names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vivavoce.assistant import braces
from vivavoce.assistant.variables import as_text, render
from vivavoce.core.assistant import Rules, Templating
from vivavoce.core.event import Millis


@dataclass(frozen=True, slots=True)
class Filling:
    """What fills templates, and by which rules. ``now`` is for variables that tell the time."""

    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    templating: Templating = Templating()
    now: Millis = 0

    def as_texts(self) -> "Filling":
        """The same with every value as a text, as tools are given them."""
        return replace(self, variables={name: as_text(value) for name, value in self.variables.items()})


def fill(template: str, filling: Filling, *, unset: Literal["keep", "empty"] = "keep") -> str:
    """The template with its variables filled in. Never raises.

    ``unset="empty"`` is for words that a person hears, who has no use for braces; under rules by which names of nobody
    always stay, they do.
    """
    if filling.templating.rules is Rules.NESTED:
        return braces.render(template, filling.variables, now_ms=filling.now, zone=filling.templating.zone)
    return render(template, filling.variables, unset=unset)


def filled(template: str, filling: Filling) -> str | None:
    """What the template becomes, or None where it names something that is not set. Never raises."""
    if filling.templating.rules is Rules.NESTED:
        return braces.filled(template, filling.variables, now_ms=filling.now, zone=filling.templating.zone)
    text = render(template, filling.variables)
    # What is not set is all that the two differ in.
    return text if text == render(template, filling.variables, unset="empty") else None
