"""What those who watch runs are told, and where in that they are.

A place in the story of one run is made from what is kept of it, so every process finds the same story behind it,
exactly. A place among the changes of many runs is a time of the database: some of what was told shortly before it may
be told again behind it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from vivavoce.core.event import Event, Millis
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.verdict import Verdict
from vivavoce.storage.watching import STEPS, Mark, RunState

END = "end"
"""The place behind everything."""
STATES = (*(status.value for status in Status), "cancelled")
"""How a run can stand."""

_RUN_PLACE = re.compile(r"(\d{1,9})\.(\d{1,9})\.([01])", re.ASCII)
_TIME = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Changed:
    """A run's status is another one."""

    state: RunState


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something happened in a run's conversation; a turn is its place there, counted from 0."""

    run_id: str
    turn: int
    event: Event


@dataclass(frozen=True, slots=True)
class Decided:
    """The judge has spoken."""

    run_id: str
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class Over:
    """The run is over."""

    run: Run


@dataclass(frozen=True, slots=True)
class Counted:
    """How many runs of a batch stand how; all of ``STATES`` are there. ``over`` where no run can change any more."""

    batch_id: str
    counts: Mapping[str, int]
    over: bool


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was watched is no longer there."""

    id: str


@dataclass(frozen=True, slots=True)
class Missed:
    """Too much was changed since then to be told again: whoever wants to know must look it up."""

    since: Millis


News = Changed | Recorded | Decided | Over | Counted | Deleted | Missed


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is told, and the place behind it."""

    place: str
    news: News


@dataclass(frozen=True, slots=True)
class RunPlace:
    """A place in the story of a run: how many turns were told, the last step of its status, and whether it was told
    what the judge decided."""

    turns: int = 0
    step: int = 0
    decided: bool = False

    def __str__(self) -> str:
        return f"{self.turns}.{self.step}.{int(self.decided)}"


def run_place(text: str) -> RunPlace | None:
    """The place that is written like this, or None where it is none."""
    found = _RUN_PLACE.fullmatch(text)
    return RunPlace(int(found[1]), int(found[2]), found[3] == "1") if found else None


def time_place(text: str) -> Millis | None:
    """The same for changes of many runs."""
    return int(text) if _TIME.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Seen:
    """A run at one look: what was recorded of it from some turn on, and all of it where it is decided or over."""

    state: RunState
    events: Sequence[tuple[int, Event]]
    run: Run | None


def story(place: RunPlace, seen: Seen) -> tuple[tuple[Item, ...], RunPlace]:
    """What is told behind that place, and the place behind that. ``END`` is the last where the run is over."""
    items: list[Item] = []
    mark, at = seen.state.mark, place
    moves = mark.step > place.step and not mark.final
    # What a run that waits again has said, it said before that.
    waits = mark.step % STEPS == 0

    def change() -> None:
        nonlocal at
        at = replace(at, step=mark.step)
        items.append(Item(str(at), Changed(seen.state)))

    if moves and not waits:
        change()
    for turn, event in seen.events:
        if turn >= at.turns:
            at = replace(at, turns=turn + 1)
            items.append(Item(str(at), Recorded(mark.id, turn, event)))
    if moves and waits:
        change()
    if seen.run is not None and seen.state.decided and not at.decided:
        at = replace(at, decided=True)
        items.append(Item(str(at), Decided(mark.id, seen.run.verdicts)))
    if seen.run is not None and mark.final:
        items.append(Item(END, Over(seen.run)))
    return tuple(items), at


def counted(batch_id: str, marks: Collection[Mark]) -> Counted:
    """How the runs of a batch stand."""
    counts = dict.fromkeys(STATES, 0)
    for mark in marks:
        counts[mark.state] += 1
    return Counted(batch_id, counts, all(mark.final for mark in marks))


def placed(told: Sequence[News], before: Millis, now: Millis) -> tuple[Item, ...]:
    """What a look found, each with the place behind it: only the last has everything behind it that the look found."""
    return tuple(Item(str(now if one is told[-1] else before), one) for one in told)
