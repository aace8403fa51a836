"""One look at everything that is watched: what clients wish to know, and what the database says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vivavoce.core.event import Millis
from vivavoce.core.run import Run
from vivavoce.services.news import Changed, Missed, News, Seen
from vivavoce.storage import runs, watching
from vivavoce.storage.database import Tx
from vivavoce.storage.times import read_clock
from vivavoce.storage.watching import STEPS, Mark, RunState

NEAR_MS = 5_000
FAR_MS = 60_000
"""How far back a look goes behind the last one, and how far it goes every few seconds. A change is written with the
time of the host that makes it and seen when it is committed: hosts whose clocks differ by more, and transactions that
take longer, hide changes."""
MOST_MISSED = 5_000
"""How many changes are told again to somebody who comes back, and from how long ago: others look at the lists."""
OLDEST_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Wish:
    """Which runs of an organisation are of interest; None does not filter. ``states`` are those of ``news.STATES``."""

    scenario_id: str | None = None
    suite: str | None = None
    states: frozenset[str] | None = None

    def covers(self, state: RunState) -> bool:
        """Whether this is one of them."""
        return (
            self.scenario_id in (None, state.scenario_id)
            and self.suite in (None, state.suite)
            and (self.states is None or state.mark.state in self.states)
        )


Key = tuple[str, str | None]
"""An organisation, and a batch of it or all of its runs."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a look is to find out of many runs; ``whole`` asks for all of a batch's. ``joining`` are those who join: the
    place of each, and what it wishes."""

    key: Key
    known: Mapping[str, Mark] | None
    whole: bool
    joining: Sequence[tuple[Millis | None, Wish]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What it found: runs as they stand, those of them that changed, and what each of those who join is told first."""

    marks: Sequence[Mark]
    moved: Sequence[RunState]
    first: Sequence[Sequence[News]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found; ``good_keys`` where it was asked for."""

    now: Millis
    seen: Mapping[str, Seen]
    many: Sequence[Answer]
    good_keys: set[str] | None


def look(
    tx: Tx,
    first: Mapping[str, int],
    asks: Sequence[Ask],
    last: Millis | None,
    back: Millis,
    keys: set[str] | None,
) -> Look:
    """One look: all of it sees the same moment."""
    now = read_clock(tx)
    seen = _read_runs(tx, first)
    since = (now if last is None else min(last, now)) - back
    orgs = {ask.key[0] for ask in asks if ask.key[1] is None}
    batch_ids = {ask.key[1] for ask in asks if ask.key[1] is not None and not ask.whole}
    changed = watching.changed(tx, orgs, batch_ids, since)
    found = [_marks(tx, ask, changed) for ask in asks]
    moved = [_moved(ask, marks) for ask, marks in zip(asks, found, strict=True)]
    firsts = [
        [_first(tx, ask, place, marks, now) for place, _ in ask.joining] for ask, marks in zip(asks, found, strict=True)
    ]
    wanted = {mark.id for marks in moved for mark in marks}
    wanted |= {mark.id for ask in firsts for marks in ask for mark in marks or ()}
    states = watching.states(tx, sorted(wanted))
    many = [
        Answer(
            marks,
            [states[mark.id] for mark in new],
            [_told(place, wish, told, states) for (place, wish), told in zip(ask.joining, first_told, strict=True)],
        )
        for ask, marks, new, first_told in zip(asks, found, moved, firsts, strict=True)
    ]
    return Look(now, seen, many, watching.good_keys(tx, keys) if keys is not None else None)


def _read_runs(tx: Tx, first: Mapping[str, int]) -> Mapping[str, Seen]:
    if not first:
        return {}
    states = watching.states(tx, sorted(first))
    turns = watching.turns(tx, {state.conversation_id: first[id_] for id_, state in states.items()})
    whole: dict[str, Run] = {}
    for org in {state.mark.org for state in states.values()}:
        ids = [id_ for id_, one in states.items() if one.mark.org == org and (one.decided or one.mark.final)]
        whole |= {run.id: run for run in runs.get_many(tx, org, ids)} if ids else {}
    return {id_: Seen(state, turns.get(state.conversation_id, ()), whole.get(id_)) for id_, state in states.items()}


def _marks(tx: Tx, ask: Ask, changed: Sequence[Mark]) -> Sequence[Mark]:
    org, batch_id = ask.key
    if batch_id is not None and ask.whole:
        return watching.of_batch(tx, org, batch_id)
    return [mark for mark in changed if mark.org == org and batch_id in (None, mark.batch_id)]


def _moved(ask: Ask, marks: Sequence[Mark]) -> Sequence[Mark]:
    if ask.known is None:
        return ()
    return [mark for mark in marks if mark.id not in ask.known or ask.known[mark.id].step < mark.step]


def _first(tx: Tx, ask: Ask, place: Millis | None, marks: Sequence[Mark], now: Millis) -> Sequence[Mark] | None:
    """What somebody who joins at that place is told first; None where that is too much."""
    org, batch_id = ask.key
    if batch_id is not None:
        return [
            mark
            for mark in marks
            if (mark.step > STEPS if place is None else mark.updated_at >= min(place, now) - FAR_MS)
        ]
    if place is None:
        return ()
    if place < now - OLDEST_MS:
        return None
    missed = watching.changed(tx, [org], (), min(place, now) - FAR_MS, MOST_MISSED + 1)
    return missed if len(missed) <= MOST_MISSED else None


def _told(
    place: Millis | None, wish: Wish, marks: Sequence[Mark] | None, states: Mapping[str, RunState]
) -> Sequence[News]:
    if marks is None:
        return [Missed(place or 0)]
    return [Changed(states[mark.id]) for mark in marks if wish.covers(states[mark.id])]
