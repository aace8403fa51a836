"""What becomes of a tool's answer: how much of it the model reads, and which parts of it are kept as variables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from vivavoce.assistant.variables import as_text
from vivavoce.core.tool import StoredField
from vivavoce.outbound.answer import parsed

MODEL_READS = 64 * 1024
"""Characters of an answer that the model is given; the rest is cut, and the cut is told."""

SUBMITTED = "Submitted"
"""What the model is told of a call that goes on without it (contract, section 3)."""


def cut(text: str, longest: int | None = None) -> str:
    """The text as the model is given it. A tool's own bound holds for the note about the cut too."""
    if len(text) <= (MODEL_READS if longest is None else longest):
        return text
    note = f"\n[cut: the answer has {len(text)} characters]"
    if longest is None:
        return text[:MODEL_READS] + note
    return text[: longest - len(note)] + note if longest > len(note) else text[:longest]


def kept(stored: Sequence[StoredField], answer: Any) -> dict[str, str]:
    """The fields to keep that are in this JSON value."""
    found = {field.name: _at(answer, field.path.split(".")) for field in stored}
    return {name: as_text(value) for name, value in found.items() if value is not None}


def kept_of(stored: Sequence[StoredField], written: str | bytes) -> dict[str, str]:
    """The same of an answer as it was written; one that is not JSON has none."""
    if not stored:
        return {}
    try:
        return kept(stored, parsed(written))
    except ValueError:
        return {}


def _at(value: Any, path: Iterable[str]) -> Any:
    for step in path:
        if isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(step)
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 10:
            items = cast("list[Any]", value)
            value = items[int(step)] if int(step) < len(items) else None
        else:
            return None
    return value
