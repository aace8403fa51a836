"""Who drives which run: take, renew, give back, take back from the dead. Times are the database's own.

The runs' own rows are the queue. A run waits while its status is pending; who takes it holds its lease until the run is
settled, given back, or until the lease runs out because its worker died. Whoever lost a lease can write nothing more:
the journal asks for the token with every entry (``vivavoce.storage.journal``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, literal_column, select, text, update

from vivavoce.core.event import Millis
from vivavoce.core.run import Priority
from vivavoce.core.status import FINAL, Status
from vivavoce.core.verdict import Fault
from vivavoce.storage import hooks
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Lease
from vivavoce.storage.runs import FORMAT
from vivavoce.storage.tables import events, runs
from vivavoce.storage.times import database_now

LEASE_MS = 15_000
"""How long a worker may be silent before its runs are taken from it."""
MAX_STALLS = 5
"""How often a run may lose its worker without a single new event before it is given up."""

_UNFINISHED = [status.value for status in Status if status not in FINAL]
# As the index has it.
_driven = runs.c.status.in_([literal_column(f"'{status.value}'") for status in (Status.STARTING, Status.RUNNING)])
_COSTLY = ("enable_sort", "enable_seqscan", "jit")
"""What a look for runs is never worth, whatever PostgreSQL's planner believes."""
_TAKING = 720_261_123
"""The advisory lock of those who take runs where limits are counted over all workers."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """How many runs may be driven at the same time, over all workers: ``everywhere``, to each ``destination``, and to
    single ones of them by what a scenario's target says. None sets no limit."""

    everywhere: int | None = None
    destination: int | None = None
    destinations: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def any(self) -> bool:
        """Whether there is anything to count."""
        return self.everywhere is not None or self.by_destination

    @property
    def by_destination(self) -> bool:
        """Whether it matters where runs go."""
        return self.destination is not None or bool(self.destinations)

    def of(self, target: str) -> int | None:
        """The ceiling of one destination."""
        return self.destinations.get(target, self.destination)


def any_waiting(tx: Tx) -> bool:
    """Whether there is a run that may be taken."""
    _by_index(tx)
    query = select(runs.c.id).where(*_takeable(tx)).order_by(runs.c.priority, runs.c.id).limit(1)
    return tx.execute(query).first() is not None


_index_only = text("SELECT " + ", ".join(f"set_config('{one}', 'off', true)" for one in _COSTLY))


def _by_index(tx: Tx) -> None:
    """What waits comes and goes faster than the planner's statistics: where it believed that next to nothing waits, it
    would rather sort all that does than read the first from an index. Only the indexes have the orders asked for
    here."""
    if tx.dialect.name == "postgresql":
        tx.execute(_index_only)


def _takeable(tx: Tx, table: FromClause = runs) -> Sequence[ColumnElement[bool]]:
    return (
        # As the index has it; a parameter would not be known to be this status when the query is planned.
        table.c.status == literal_column(f"'{Status.PENDING.value}'"),
        table.c.format <= FORMAT,
        table.c.due_at <= database_now(tx),
        table.c.lease_token.is_(None),
    )


def take(
    tx: Tx, worker_id: str, token: str, room: int, urgent_room: int = 0, ceilings: Ceilings | None = None
) -> tuple[Lease, ...]:
    """Take runs that wait: the most urgent first, and of these the oldest. ``urgent_room`` places more are for
    interactive ones only.

    Ceilings hold over all workers that have the same ones: whoever takes keeps others from doing so until it is done,
    and who finds somebody at it takes nothing.
    """
    _by_index(tx)
    room, urgent = max(room, 0), max(urgent_room, 0)
    if ceilings is not None and ceilings.any:
        if tx.dialect.name == "postgresql":
            alone = tx.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _TAKING}).scalar_one()
            if not alone:
                return ()
        driven = busy(tx)
        if ceilings.everywhere is not None:
            left = max(ceilings.everywhere - sum(driven.values()), 0)
            room, urgent = min(room, left), min(urgent, left - min(room, left))
        if ceilings.by_destination:
            return _start(tx, _lock(tx, _below(tx, ceilings, driven, room, urgent)), worker_id, token)
    taken = _start(tx, _first(tx, room), worker_id, token)
    if urgent and len(taken) == room:
        taken += _start(tx, _first(tx, urgent, Priority.INTERACTIVE), worker_id, token)
    return taken


def _start(tx: Tx, ids: Sequence[str], worker_id: str, token: str) -> tuple[Lease, ...]:
    """These runs, whose rows are locked, are driven from now on."""
    if ids:
        now = database_now(tx)
        tx.execute(
            update(runs)
            .where(runs.c.id.in_(ids))
            .values(
                status=Status.STARTING.value,
                worker_id=worker_id,
                lease_token=token,
                lease_until=now + LEASE_MS,
                started_at=func.coalesce(runs.c.started_at, now),
                updated_at=now,
            )
        )
    return tuple(Lease(id_, token) for id_ in ids)


def _first(tx: Tx, most: int, priority: Priority | None = None) -> Sequence[str]:
    """The first that wait, wherever they go; those that somebody else is about to take are left to them."""
    if not most:
        return ()
    query = select(runs.c.id).where(*_takeable(tx)).order_by(runs.c.priority, runs.c.id).limit(most)
    if priority is not None:
        query = query.where(runs.c.priority == priority)
    return tx.execute(query.with_for_update(skip_locked=True)).scalars().all()


def _lock(tx: Tx, ids: Sequence[str]) -> Sequence[str]:
    """Those that may still be taken, and that nobody is changing in this moment."""
    if not ids:
        return ()
    query = select(runs.c.id).where(runs.c.id.in_(ids), *_takeable(tx)).order_by(runs.c.id)
    return tx.execute(query.with_for_update(skip_locked=True)).scalars().all()


def _below(tx: Tx, ceilings: Ceilings, driven: Mapping[str, int], room: int, urgent: int) -> Sequence[str]:
    """The first that wait for a destination that is not full.

    Each destination is looked at from its own front: however many wait for a full one, nobody walks past them.
    """
    most = room + urgent
    if not most:
        return ()
    places: dict[str, int] = {}
    for target in _targets(tx):
        ceiling = ceilings.of(target)
        free = most if ceiling is None else min(ceiling - driven.get(target, 0), most)
        if free > 0:
            places[target] = free
        if len(places) == most:  # the first of each is known: the others cannot have one of the first runs
            break
    found = [waiting for target, free in places.items() for waiting in _queue(tx, target, free)]
    found.sort()
    return [
        id_ for place, (priority, id_) in enumerate(found[:most]) if place < room or priority == Priority.INTERACTIVE
    ]


def _queue(tx: Tx, target: str, most: int) -> Sequence[tuple[int, str]]:
    """The first that wait for one destination: how urgent each is, and its id."""
    # A range of one, and not an equation, which another index could take for given and walk past all that wait.
    here = (runs.c.target >= target, runs.c.target <= target)
    query = select(runs.c.priority, runs.c.id).where(*_takeable(tx), *here)
    rows = tx.execute(query.order_by(runs.c.target, runs.c.priority, runs.c.id).limit(most))
    return [(row.priority, row.id) for row in rows]


def _targets(tx: Tx) -> Sequence[str]:
    """Where runs that may be taken go to, in the order of the first run of each."""

    def first(table: FromClause) -> Select[tuple[str]]:
        query = select(table.c.id).where(*_takeable(tx, table))
        return query.order_by(table.c.target, table.c.priority, table.c.id).limit(1)

    # From the first run of a destination to that of the next one: a step for each destination, not for each run.
    here, following = runs.alias(), runs.alias()
    heads = select(first(runs).scalar_subquery().label("id")).cte("heads", recursive=True)
    further = first(following).where(following.c.target > here.c.target).scalar_subquery()
    heads = heads.union_all(select(further).select_from(heads.join(here, here.c.id == heads.c.id)))
    query = select(runs.c.priority, runs.c.id, runs.c.target).select_from(heads.join(runs, runs.c.id == heads.c.id))
    return [target for _, _, target in sorted(tuple(row) for row in tx.execute(query))]


def busy(tx: Tx, org: str | None = None) -> Mapping[str, int]:
    """How many runs are driven, of one organisation or all, by where they go."""
    query = select(runs.c.target, func.count().label("many")).where(_driven)
    if org is not None:
        query = query.where(runs.c.org == org)
    return {row.target: row.many for row in tx.execute(query.group_by(runs.c.target))}


def depths(tx: Tx) -> Mapping[Priority, int]:
    """How many runs wait, by how urgent they are."""
    waiting = runs.c.status == literal_column(f"'{Status.PENDING.value}'")
    rows = tx.execute(select(runs.c.priority, func.count().label("many")).where(waiting).group_by(runs.c.priority))
    found = {row.priority: row.many for row in rows}
    return {priority: found.get(priority, 0) for priority in Priority}


def renew(tx: Tx, leases: Sequence[Lease]) -> set[Lease]:
    """Renew all leases of a worker at once; returns those that held. What is lost already is not brought back."""
    held = _held(tx, leases)
    if held:
        ids = [lease.run_id for lease in held]
        tx.execute(update(runs).where(runs.c.id.in_(ids)).values(lease_until=database_now(tx) + LEASE_MS))
    return held


_FREE: Mapping[str, Any] = {"lease_token": None, "lease_until": None, "worker_id": None}


def give_back(tx: Tx, leases: Sequence[Lease], *, delay_ms: Millis = 0) -> None:
    """Runs go back to those that wait, as they are, for anybody to take: at once, or after a delay."""
    due_at = database_now(tx) + delay_ms if delay_ms else 0
    changes = {"status": Status.PENDING.value, "dispatch": runs.c.dispatch + 1, "due_at": due_at, **_FREE}
    changes["updated_at"] = database_now(tx)
    held = _held(tx, leases)
    if held:
        tx.execute(update(runs).where(runs.c.id.in_([lease.run_id for lease in held])).values(**changes))


def try_again(tx: Tx, lease: Lease, reason: str, delay_ms: Millis) -> bool:
    """The run's world broke, not the run: it waits, and another attempt goes on from its record. The reason is kept for
    its story. False where the lease is lost."""
    if not _held(tx, [lease]):
        return False
    row = tx.execute(select(runs.c.setbacks).where(runs.c.id == lease.run_id)).one()
    give_back(tx, [lease], delay_ms=delay_ms)
    setbacks = [*row.setbacks, reason]
    tx.execute(update(runs).where(runs.c.id == lease.run_id).values(attempts=runs.c.attempts + 1, setbacks=setbacks))
    return True


def _held(tx: Tx, leases: Sequence[Lease]) -> set[Lease]:
    """The leases that hold. Their runs are locked in the journal's order, or both could wait for each other."""
    ids, tokens = {lease.run_id for lease in leases}, {lease.token for lease in leases}
    if not ids:
        return set()
    query = select(runs.c.id, runs.c.lease_token).where(
        runs.c.id.in_(sorted(ids)), runs.c.lease_token.in_(sorted(tokens))
    )
    # A run that was lost and taken anew has both tokens among these: only its own counts.
    return {Lease(row.id, row.lease_token) for row in tx.execute(query.order_by(runs.c.id).with_for_update())} & set(
        leases
    )


def any_stale(tx: Tx) -> bool:
    """Whether a worker died, or was silent for too long."""
    oldest = select(runs.c.id).where(_driven, runs.c.lease_until < database_now(tx))
    return tx.execute(oldest.order_by(runs.c.target, runs.c.lease_until).limit(1)).first() is not None


def take_back(tx: Tx, *, everything: bool = False) -> int:
    """Runs whose worker died wait again; returns how many do.

    ``everything`` is for a process that knows it is alone (it holds the lock of its data directory): every run that
    somebody drove is taken back. A run that stalled too often, without a new event in between, ends as an error.
    """
    reached = select(func.count()).where(events.c.conversation_id == runs.c.conversation_id).scalar_subquery()
    chosen = (runs.c.id, runs.c.org, runs.c.batch_id, runs.c.progress, runs.c.stalls)
    query = select(*chosen, reached.label("reached")).where(_driven)
    if not everything:
        query = query.where(runs.c.lease_until < database_now(tx))
    waiting, now = 0, database_now(tx)
    for row in tx.execute(query.order_by(runs.c.id).with_for_update(skip_locked=True, of=runs)).all():
        stalls = row.stalls + 1 if row.reached == row.progress else 0
        changes: dict[str, Any] = {"progress": row.reached, "stalls": stalls, "updated_at": now, **_FREE}
        if stalls > MAX_STALLS:
            hooks.completed(tx, row.org, {row.id: row.batch_id})
            reason = f"given up: {stalls} workers in a row died without getting any further"
            changes |= {"status": Status.ERROR.value, "fault": Fault.INFRASTRUCTURE.value, "reason": reason}
            changes |= {"completed_at": now, "story": reason}
        else:
            changes |= {"status": Status.PENDING.value, "dispatch": runs.c.dispatch + 1}
            waiting += 1
        tx.execute(update(runs).where(runs.c.id == row.id).values(**changes))
    return waiting


def unfinished(tx: Tx) -> int:
    """How many runs wait or are driven."""
    return tx.execute(select(func.count()).where(runs.c.status.in_(_UNFINISHED))).scalar_one()
