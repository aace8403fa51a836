"""What the tester and the judge are asked, as data, and the shapes of their answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vivavoce.core.scenario import Criterion
from vivavoce.core.transcript import Transcript


@dataclass(frozen=True, slots=True)
class TesterTask:
    """The subject of the tester's prompt. The rubric is not in it."""

    brief: str
    transcript: Transcript
    persona: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What the tester plays: the fields of the scenario with these names."""

    brief: str
    persona: str | None = None
    lines: tuple[str | None, ...] = ()
    hangs_up: bool = False


@dataclass(frozen=True, slots=True)
class TesterMove:
    """What the caller does next. Hanging up is an answer of its own; ``message`` are then the last words, or empty."""

    action: Literal["say", "hang_up"]
    message: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JudgeTask:
    """The subject of the judge's prompt. The tester's brief is not in it.

    ``tools_recorded`` is false for an assistant elsewhere whose tool calls nobody saw.
    """

    criteria: tuple[Criterion, ...]
    transcript: Transcript
    tools_recorded: bool = True


@dataclass(frozen=True, slots=True)
class SheetAnswer:
    """The judge's answer for the criterion of that number, counted from 1 in the order of the question.

    ``quote`` are words of the transcript and ``turn`` the number of the event they stand in; both None only
    where the decision rests on something that did not happen.
    """

    criterion: int
    decision: Literal["met", "unmet", "inconclusive"]
    reason: str
    quote: str | None = None
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The judge's answers, one for each criterion."""

    answers: tuple[SheetAnswer, ...]


@dataclass(frozen=True, slots=True)
class InsightTask:
    """The subject of an insight's prompt: the question with its variables filled in.

    ``schema`` is the JSON Schema of the answer; None asks for plain text. ``assistant`` are the assistant's own
    instructions, only where the question is about them.
    """

    question: str
    transcript: Transcript
    schema: Mapping[str, Any] | None = None
    assistant: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """The answer to an insight, in words."""

    result: str


@dataclass(frozen=True, slots=True)
class Record:
    """The answer to an insight, as the object that its schema describes."""

    result: Mapping[str, Any]
