"""A scenario: who calls, what they want, and the rubric they never see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vivavoce.core.event import Millis
from vivavoce.core.tool import ToolMock


def _nothing() -> dict[str, Any]:
    return {}


class Medium(StrEnum):
    """How the caller reaches the assistant."""

    PHONE_CALL = "phone_call"
    WEB_CALL = "web_call"
    SMS_CHAT = "sms_chat"
    WEB_CHAT = "web_chat"
    WHATSAPP_CHAT = "whatsapp_chat"

    @property
    def spoken(self) -> bool:
        """Whether this medium carries a voice."""
        return self in (Medium.PHONE_CALL, Medium.WEB_CALL)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the rubric. What is ``computed`` was written as a statement about the record, and is decided from
    that, words included, wherever the statement leaves nothing open."""

    name: str
    text: str
    computed: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A test of an assistant. ``brief`` is for the tester only, ``criteria`` for the judge only.

    ``target`` is where the assistant is: an assistant's id, a URL, a mapped number. ``max_duration_s`` is in
    seconds of conversation; None takes the server's default, as do ``turn_limit`` (messages of the caller) and
    ``utterance_limit`` (messages of both). ``tester_model`` None is the server's tester.

    ``persona`` is who the caller is, whatever they want. ``lines`` are what they say, word for word: the n-th message
    of the caller is the n-th line, and at None, and behind the last, the tester's model speaks freely; where the caller
    ``hangs_up``, they do so behind the last instead. ``repeats`` is how often a batch runs it, unless that says.
    """

    id: str
    name: str
    target: str
    brief: str
    criteria: tuple[Criterion, ...]
    created_at: Millis
    medium: Medium = Medium.WEB_CHAT
    description: str | None = None
    suite: str | None = None
    max_duration_s: int | None = None
    turn_limit: int | None = None
    utterance_limit: int | None = None
    tester_model: str | None = None
    mocks: tuple[ToolMock, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=_nothing)
    changed_at: Millis | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    persona: str | None = None
    lines: tuple[str | None, ...] = ()
    hangs_up: bool = False
    repeats: int = 1

    @property
    def free(self) -> bool:
        """Whether the tester's model ever speaks, so that it needs a brief."""
        return not self.hangs_up or None in self.lines
