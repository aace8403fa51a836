"""What a server tells, as frozen dataclasses. Fields that a newer server adds are passed over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")

FINAL = frozenset({"passed", "failed", "error", "cancelled"})
"""The statuses after which a run does not change any more."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list, numbered from 1; ``total`` counts the items of all pages."""

    items: tuple[T, ...]
    page: int
    size: int
    total: int


@dataclass(frozen=True, slots=True)
class Named:
    """Something with an id and a name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of the transcript; ``turn`` is their place in it, counted from 0."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One criterion decided: ``decision`` is ``met``, ``unmet`` or ``inconclusive``."""

    criterion: str
    decision: str
    reason: str
    decided_by: str
    quote: Quote | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What models cost, in tokens."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Run:
    """One examination. ``status`` is ``pending``, ``starting``, ``running``, ``passed``, ``failed``, ``error`` or
    ``cancelled``; ``fault`` tells whose fault it is that it did not pass (docs/reference/runs-api.md). ``story`` is
    there where one run was asked for. Times are UTC."""

    id: str
    test_id: str
    status: str
    conversation_id: str
    created_at: datetime
    test: Named | None = None
    assistant: Named | None = None
    batch_id: str | None = None
    suite: str | None = None
    version_id: str | None = None
    trigger: str = ""
    priority: str = ""
    fault: str | None = None
    reason: str = ""
    ending: str | None = None
    verdicts: tuple[Verdict, ...] = ()
    criteria: tuple[str, ...] = ()
    attempts: int = 1
    setbacks: tuple[str, ...] = ()
    talked_seconds: float | None = None
    usage: Usage | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    story: str | None = None

    @property
    def over(self) -> bool:
        """Whether it does not change any more."""
        return self.status in FINAL

    @property
    def seconds(self) -> float | None:
        """How long it took from its beginning to its end, judge included; None where one of them is missing."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that happened in a conversation, at its place there.

    ``kind`` is ``message``, ``tool_called``, ``tool_returned``, ``moved``, ``handed_over``, ``recalled`` or ``left``;
    which fields belong to which kind stands in docs/reference/events.md, and the others keep their defaults.
    """

    turn: int
    kind: str
    at: datetime | None = None
    took_ms: int = 0
    speaker: str | None = None
    text: str = ""
    fills: bool = False
    name: str = ""
    call_id: str = ""
    arguments: Mapping[str, Any] | None = None
    output: str = ""
    ok: bool = True
    mocked: bool = False
    status_code: int | None = None
    node: str = ""
    passages: tuple[str, ...] = ()
    ending: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The conversation of a run, oldest first."""

    run_id: str
    conversation_id: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Spending:
    """A batch's budget and what of it is spent; money is in the currency of the server's prices."""

    tokens: int | None
    money: float | None
    spent_tokens: int
    spent_money: float
    exhausted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs that were triggered together; ``counts`` tells how many stand how. ``runs`` are there where it was just
    made."""

    id: str
    total: int
    counts: Mapping[str, int]
    over: bool
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    budget: Spending | None = None
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class AppliedAssistant:
    """What became of an assistant of a suite document; ``change`` as in ``AppliedTest``."""

    id: str
    name: str
    version_id: str
    change: str


@dataclass(frozen=True, slots=True)
class AppliedTest:
    """What became of a test of a suite document: ``change`` is ``created``, ``changed``, ``unchanged`` or ``retired``.
    ``repeats`` is how often the document wants it run."""

    id: str
    name: str
    change: str
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Applied:
    """A suite document as the server took it."""

    suite: str
    assistants: tuple[AppliedAssistant, ...]
    tests: tuple[AppliedTest, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a batch of a suite came out, as lists of suites show it; ``pass_rate`` is from 0 to 1."""

    batch_id: str
    at: datetime
    total: int
    passed: int
    failed: int
    errors: int
    cancelled: int
    over: bool
    pass_rate: float | None


@dataclass(frozen=True, slots=True)
class SuiteSummary:
    """A suite, how many tests it has, and its last batch."""

    name: str
    tests: int
    last: Standing | None


@dataclass(frozen=True, slots=True)
class Point:
    """One batch in the history of a suite. ``response_ms`` holds ``p50``, ``p95`` and ``max`` of how long the assistant
    took to answer, ``talked_ms`` the same of how long conversations took."""

    standing: Standing
    response_ms: Mapping[str, float] | None
    talked_ms: Mapping[str, float] | None
    input_tokens: int | None
    output_tokens: int | None
    money: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """A criterion that came out otherwise on the right than on the left: ``kind`` is ``broke``, ``fixed``, ``new``,
    ``gone`` or ``changed``."""

    test: str
    criterion: str | None
    left: Any
    right: Any
    kind: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a version that differs; ``path`` names it."""

    path: str
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, batches or versions beside each other: what changed, most important first, and how many criteria came
    out the same. ``document`` is all that the server said."""

    changes: tuple[Change, ...]
    same: int
    fields: tuple[FieldChange, ...]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """Which model serves a role, and why not where none does."""

    role: str
    model: str | None
    ok: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Chat:
    """What came of a chat since it was last asked; ``over`` where the assistant has left."""

    id: str
    turns: tuple[Turn, ...]
    over: bool
