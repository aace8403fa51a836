"""What the scripted model answers to an insight: what the question itself says, or facts that can be counted."""

import re
from collections.abc import Mapping
from typing import Any, cast

from vivavoce.core.event import Speaker
from vivavoce.core.transcript import Transcript
from vivavoce.examination.checks.literals import Data, LiteralError, Words, read_literal
from vivavoce.examination.tasks import InsightTask, Record, Remark

NOT_KNOWN = "N/A"
_ANSWER = re.compile(r"\s*(?:[-*•]\s+)?answer\s+(?=[\"“„«{])", re.IGNORECASE)


def remark(task: InsightTask) -> Remark:
    """The words of the question's line ``answer "words"``, or what can be counted."""
    given = _given(task.question)
    return Remark(given.text if isinstance(given, Words) else summary(task.transcript))


def record(task: InsightTask) -> Record | None:
    """The object of the question's line ``answer {...}``.

    Without one, the required keys of the schema that can be honestly filled: ``N/A`` where it may be chosen, and what
    can be counted where there is room for words. None where something else is required.
    """
    given = _given(task.question)
    if isinstance(given, Data):
        return Record(given.value)
    schema = task.schema or {}
    properties, required = schema.get("properties"), schema.get("required", ())
    filled: dict[str, Any] = {}
    for name in cast("list[str]", required):
        value = _filled(cast("Mapping[str, Any]", properties or {}).get(name), task.transcript)
        if value is None:
            return None
        filled[name] = value
    return Record(filled)


def summary(transcript: Transcript) -> str:
    """What can be counted: who said how much, which tools were called, how it ended."""
    heard, said = (len(transcript.said(who)) for who in (Speaker.CALLER, Speaker.ASSISTANT))
    calls = len(transcript.tool_calls())
    ending = f"ended by {transcript.ending.value}" if transcript.ending else "did not end"
    return f"scripted: {heard} messages of the caller, {said} of the assistant, {calls} tool calls; it {ending}."


def _filled(schema: object, transcript: Transcript) -> str | None:
    if not isinstance(schema, Mapping):
        return None
    known = cast("Mapping[str, Any]", schema)
    if "enum" in known:
        return NOT_KNOWN if NOT_KNOWN in known["enum"] else None
    return summary(transcript) if known.get("type") == "string" else None


def _given(question: str) -> Words | Data | None:
    for line in question.splitlines():
        found = _ANSWER.match(line)
        if found is None:
            continue
        try:
            given, _ = read_literal(line, found.end())
        except LiteralError:
            continue
        assert isinstance(given, Words | Data)  # a pattern begins otherwise
        return given
    return None
