"""Who drives which run: claim, renew, give back, take back from the dead. Times are the database's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, func, literal_column, select, update

from vivavoce.core.status import FINAL, Status
from vivavoce.core.verdict import Fault
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Lease
from vivavoce.storage.tables import events, runs

LEASE_MS = 15_000
"""How long a worker may be silent before its runs are taken from it."""
MAX_STALLS = 5
"""How often a run may lose its worker without a single new event before it is given up."""

_UNFINISHED = [status.value for status in Status if status not in FINAL]
_DRIVEN = [Status.STARTING.value, Status.RUNNING.value]


@dataclass(frozen=True, slots=True)
class Job:
    """A run to be driven; ``dispatch`` counts how often it was handed out, so that an old hand-out is recognised."""

    run_id: str
    dispatch: int


def database_now(tx: Tx) -> ColumnElement[int]:
    """Milliseconds since the epoch by the database's clock."""
    if tx.dialect.name == "postgresql":
        return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
    return literal_column("CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", BigInteger)


def claim(tx: Tx, job: Job, token: str) -> Lease | None:
    """Take a run that waits. None when it was handed out anew, taken, finished or deleted meanwhile."""
    now = database_now(tx)
    done = tx.execute(
        update(runs)
        .where(
            runs.c.id == job.run_id,
            runs.c.dispatch == job.dispatch,
            runs.c.status == Status.PENDING.value,
            runs.c.lease_token.is_(None),
        )
        .values(
            status=Status.STARTING.value,
            lease_token=token,
            lease_until=now + LEASE_MS,
            started_at=func.coalesce(runs.c.started_at, now),
            updated_at=now,
        )
    )
    return Lease(job.run_id, token) if done.rowcount else None


def renew(tx: Tx, leases: Sequence[Lease]) -> None:
    """Renew all leases of a worker at once; those that are lost already are not brought back."""
    tx.execute(update(runs).where(runs.c.id.in_(_held(tx, leases))).values(lease_until=database_now(tx) + LEASE_MS))


def give_back(tx: Tx, leases: Sequence[Lease]) -> None:
    """A worker that stops hands its runs to the others, as they are."""
    tx.execute(
        update(runs)
        .where(runs.c.id.in_(_held(tx, leases)))
        .values(status=Status.PENDING.value, lease_token=None, lease_until=None, dispatch=runs.c.dispatch + 1)
    )


def _held(tx: Tx, leases: Sequence[Lease]) -> Sequence[str]:
    """The runs whose leases hold. They are locked in the journal's order, or both could wait for each other."""
    ids, tokens = [lease.run_id for lease in leases], [lease.token for lease in leases]
    query = select(runs.c.id).where(runs.c.id.in_(ids), runs.c.lease_token.in_(tokens))
    return tx.execute(query.order_by(runs.c.id).with_for_update()).scalars().all()


def take_back(tx: Tx, *, everything: bool = False) -> None:
    """Runs whose worker died wait again, handed out anew.

    ``everything`` is for a process that knows it is alone (it holds the lock of its data directory): every unfinished
    run is handed out anew. A run that stalled too often, without a new event in between, ends as an error.
    """
    reached = select(func.count()).where(events.c.conversation_id == runs.c.conversation_id).scalar_subquery()
    query = select(runs.c.id, runs.c.status, runs.c.progress, runs.c.stalls, reached.label("reached"))
    if everything:
        query = query.where(runs.c.status.in_(_UNFINISHED))
    else:
        query = query.where(runs.c.status.in_(_DRIVEN), runs.c.lease_until < database_now(tx))
    for row in tx.execute(query.order_by(runs.c.id).with_for_update(skip_locked=True, of=runs)).all():
        # A run that was still waiting, or was given back, had no part in the end of its worker.
        stalls = row.stalls + (row.status in _DRIVEN) if row.reached == row.progress else 0
        changes: dict[str, Any] = {"progress": row.reached, "stalls": stalls, "lease_token": None, "lease_until": None}
        if stalls > MAX_STALLS:
            now = database_now(tx)
            reason = f"given up: {stalls} workers in a row died without getting any further"
            changes |= {"status": Status.ERROR.value, "fault": Fault.INFRASTRUCTURE.value, "reason": reason}
            changes |= {"completed_at": now, "updated_at": now, "story": reason}
        else:
            changes |= {"status": Status.PENDING.value, "dispatch": runs.c.dispatch + 1}
        tx.execute(update(runs).where(runs.c.id == row.id).values(**changes))


def waiting(tx: Tx) -> tuple[Job, ...]:
    """Every run that waits for a worker, oldest first."""
    query = select(runs.c.id, runs.c.dispatch).where(runs.c.status == Status.PENDING.value).order_by(runs.c.id)
    return tuple(Job(row.id, row.dispatch) for row in tx.execute(query))


def hand_out_anew(tx: Tx, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Runs that wait although their hand-out is gone: the next one gets a number of its own, because a workflow id
    that was used is never run again."""
    renewed: list[Job] = []
    for job in jobs:
        mine = (runs.c.id == job.run_id, runs.c.dispatch == job.dispatch, runs.c.status == Status.PENDING.value)
        done = tx.execute(update(runs).where(*mine).values(dispatch=job.dispatch + 1))
        if done.rowcount:
            renewed.append(Job(job.run_id, job.dispatch + 1))
    return tuple(renewed)
