"""Questions that are asked of conversations when they are over, and what came of it (contract, sections 5.16, 6.7)."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from vivavoce.core.event import Millis
from vivavoce.core.filter import Field


@dataclass(frozen=True, slots=True)
class Insight:
    """A question. ``instructions`` are a template.

    ``schema`` is the JSON Schema of the answer, an object, or its text as its author wrote it; None or blank means that
    the answer is plain text. ``webhook`` hears of every answer to this question. ``managed`` ones come with the server
    and are everybody's; ``informed``: whoever answers is shown what the assistant was instructed to do.
    """

    id: str
    name: str
    instructions: str
    created_at: Millis
    webhook: str = ""
    schema: str | Mapping[str, Any] | None = None
    managed: bool = False
    informed: bool = False


@dataclass(frozen=True, slots=True)
class InsightGroup:
    """Insights that are asked together. ``managed`` are the ids of those of the server's own that are in it; they come
    first in ``insights``, the others in the order in which they were put in."""

    id: str
    name: str
    created_at: Millis
    description: str = ""
    webhook: str = ""
    managed: tuple[str, ...] = ()
    insights: tuple[Insight, ...] = ()


class FindingStatus(StrEnum):
    """How far a finding has come. The last two are final."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


FINAL = frozenset({FindingStatus.COMPLETED, FindingStatus.FAILED})


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one insight: text, or a JSON object as text where the insight has a schema."""

    insight_id: str
    insight_name: str
    result: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A group of insights asked of a conversation. ``results`` are the answers that there are, in the group's order;
    ``reason`` says why some or all of them are missing."""

    id: str
    conversation_id: str
    group_id: str
    status: FindingStatus
    created_at: Millis
    reason: str = ""
    completed_at: Millis | None = None
    results: tuple[Found, ...] = ()


SCALE = ("Excellent", "Good", "Fair", "Poor", "N/A")
_RATING = {
    "type": "object",
    "properties": {
        "score": {"type": "string", "enum": list(SCALE)},
        "explanation": {"type": "string", "description": "One or two sentences that say why."},
    },
    "required": ["score", "explanation"],
    "additionalProperties": False,
}
MANAGED = (
    Insight(
        id="00000000-0000-8000-8000-000000000001",
        name="Agent Instruction Following",
        instructions="Rate how well the assistant did what its own instructions ask of it, and kept to what they"
        " forbid. Excellent: in everything. Good: in all that matters. Fair: it missed or broke something that matters."
        " Poor: it did not follow them. N/A: the conversation gave it no occasion to.",
        created_at=0,
        schema=_RATING,
        managed=True,
        informed=True,
    ),
    Insight(
        id="00000000-0000-8000-8000-000000000002",
        name="User Satisfaction",
        instructions="Rate how content the caller was with the conversation, by what the caller said and by whether the"
        " caller got what it came for. Excellent: delighted. Good: content. Fair: partly content. Poor: annoyed, or"
        " left without help. N/A: the caller said too little to tell.",
        created_at=0,
        schema=_RATING,
        managed=True,
    ),
)
"""The insights that come with the server (contract, section 6.7)."""


def schema_of(written: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON Schema that was given as an object or as its text, None where there is none. Raises ``ValueError``."""
    if not isinstance(written, str):
        return written
    if not written.strip():
        return None
    try:
        schema = json.loads(written)
    except RecursionError as failure:
        raise ValueError("it is nested too deeply") from failure
    if not isinstance(schema, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # what was sent is wrong, not how this was called
    return cast("dict[str, Any]", schema)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many answers have these values in the fields that were asked for; None where an answer has no such value."""

    values: tuple[Any, ...]
    count: int


def tally(found: Iterable[tuple[str, Mapping[str, str]]], fields: Sequence[Field]) -> tuple[Tally, ...]:
    """Answers counted by the values of fields, the most frequent first (contract, section 5.16, Aggregates).

    Each answer comes with its conversation's metadata. A field is a key of the metadata, or of the answer's JSON
    object; an answer that is plain text has one key, ``result``. Without fields all answers are one row.
    """
    asked = any(not field.metadata for field in fields)
    counts: dict[str, int] = {} if fields else {"[]": 0}
    for result, metadata in found:
        answer = _object(result) if asked else None
        values = [_value(field, answer or {}, metadata) for field in fields]
        # An escape in a model's words can spell half a letter, which no answer of ours can carry.
        key = json.dumps(values, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace").decode()
        counts[key] = counts.get(key, 0) + 1
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Tally(tuple(json.loads(key)), count) for key, count in ranked)


def _value(field: Field, answer: Mapping[str, Any], metadata: Mapping[str, str]) -> Any:
    return metadata.get(field.name) if field.metadata else answer.get(field.name)


def _object(result: str) -> Mapping[str, Any]:
    try:
        value = json.loads(result, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        value = None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"result": result}


def _finite(written: str) -> float | None:
    value = float(written)
    return value if math.isfinite(value) else None
