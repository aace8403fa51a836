"""Runs that are stopped before they are over: found, held against everybody else, and settled without their driver."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, insert, literal_column, select, update

from vivavoce.core.event import Left, Millis, Usage
from vivavoce.core.run import Run
from vivavoce.core.status import FINAL, Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome, Verdict
from vivavoce.storage.codec import usage_codec, verdicts_codec
from vivavoce.storage.conversations import get_transcripts, rows_of
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Lease, LeaseLost
from vivavoce.storage.runs import RunFilter, get_many
from vivavoce.storage.tables import conversations, events, runs

_unfinished = runs.c.status.in_([literal_column(f"'{status.value}'") for status in Status if status not in FINAL])


@dataclass(frozen=True, slots=True)
class Held:
    """An unfinished run that nobody else can change until the commit, with what was recorded of it; ``name`` is its
    conversation's."""

    run: Run
    name: str
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Stop:
    """How a held run ends. ``left`` goes to the end of its conversation, where that has begun and is not over."""

    held: Held
    left: Left
    records: bool
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    usage: Usage
    story: str


def find(tx: Tx, org: str, wanted: RunFilter, after: str, most: int) -> tuple[str, ...]:
    """The ids of unfinished runs, in their order, behind the one with the id ``after``. The filter's statuses are not
    looked at."""
    query = select(runs.c.id).where(*_matching(org, wanted), _unfinished, runs.c.id > after)
    return tuple(tx.execute(query.order_by(runs.c.id).limit(most)).scalars())


def is_any(tx: Tx, org: str, wanted: RunFilter) -> bool:
    """Whether there is a run that matches, finished or not."""
    return tx.execute(select(runs.c.id).where(*_matching(org, wanted)).limit(1)).first() is not None


def _matching(org: str, wanted: RunFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [runs.c.org == org]
    for column in ("scenario_id", "suite", "batch_id"):
        value = getattr(wanted, column)
        if value is not None:
            where.append(runs.c[column] == value)
    return where


def hold(tx: Tx, org: str, ids: Sequence[str]) -> tuple[Held, ...]:
    """Those of the runs that are unfinished. They are locked in the journal's order, and nobody takes, records or
    settles them before the commit."""
    query = select(runs.c.id, runs.c.conversation_id).where(runs.c.org == org, runs.c.id.in_(ids), _unfinished)
    locked = tx.execute(query.order_by(runs.c.id).with_for_update()).all()
    # What whoever was waited for has written is seen by later statements only.
    talks = [row.conversation_id for row in locked]
    named = tx.execute(select(conversations.c.id, conversations.c.name).where(conversations.c.id.in_(talks)))
    names = {row.id: row.name or "" for row in named}
    held = get_many(tx, org, [row.id for row in locked])
    recorded = get_transcripts(tx, [run.conversation_id for run in held if run.started_at is not None])
    return tuple(
        Held(run, names.get(run.conversation_id, ""), recorded.get(run.conversation_id, Transcript())) for run in held
    )


_COLUMNS = (
    "status",
    "fault",
    "reason",
    "ending",
    "verdicts",
    "usage",
    "story",
    "talked_ms",
    "updated_at",
    "completed_at",
)
_settled = (
    update(runs)
    .where(runs.c.id == bindparam("the_id"))
    .values(lease_token=None, lease_until=None, worker_id=None, **{name: bindparam(f"new_{name}") for name in _COLUMNS})
)
_ended = update(conversations).where(conversations.c.id == bindparam("the_id")).values(ended_at=bindparam("the_time"))
_touched = _ended.values(last_message_at=bindparam("the_time"))


def settle(tx: Tx, stops: Sequence[Stop], at: Millis) -> None:
    """Settle held runs. Their leases are gone, so whoever drives them can write nothing more."""
    if not stops:
        return
    for statement, wanted in ((_touched, True), (_ended, False)):
        talks = [one.held.run.conversation_id for one in stops if one.records is wanted]
        if talks:
            tx.execute(statement, [{"the_id": id_, "the_time": at} for id_ in talks])
    rows = [
        row
        for one in stops
        if one.records
        for row in rows_of(one.held.run.conversation_id, len(one.held.transcript.events), (one.left,))
    ]
    if rows:
        tx.execute(insert(events), rows)
    tx.execute(_settled, [_row(one, at) for one in stops])


def _row(stop: Stop, at: Millis) -> dict[str, object]:
    changes: dict[str, object] = {
        "status": stop.outcome.status.value,
        "fault": stop.outcome.fault.value if stop.outcome.fault else None,
        "reason": stop.outcome.reason,
        "ending": stop.left.ending.value,
        "verdicts": verdicts_codec.dumps(stop.verdicts),
        "usage": usage_codec.dumps(stop.usage),
        "story": stop.story.replace("\x00", "\N{REPLACEMENT CHARACTER}"),  # no text to PostgreSQL
        "talked_ms": stop.held.transcript.talked_ms,
        "updated_at": at,
        "completed_at": at,
    }
    return {"the_id": stop.held.run.id, **{f"new_{name}": value for name, value in changes.items()}}


def require(tx: Tx, lease: Lease) -> None:
    """Hold the run for whoever drives it until the commit. Raises ``LeaseLost`` where it is no longer theirs."""
    query = select(runs.c.id).where(runs.c.id == lease.run_id, runs.c.lease_token == lease.token)
    if tx.execute(query.with_for_update()).first() is None:
        raise LeaseLost(lease.run_id)
