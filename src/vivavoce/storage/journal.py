"""The journal: what running conversations write, many of them in one transaction.

Whoever writes is released when its entry is durable. An entry counts only while its lease holds: a worker that was
presumed dead, and was only slow, can write nothing any more.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Update, bindparam, insert, select, update

from vivavoce.core.event import Event, Millis, Usage
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome, Verdict
from vivavoce.storage.codec import usage_codec, verdicts_codec
from vivavoce.storage.conversations import rows_of
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Wanted, want
from vivavoce.storage.tables import conversations, events, runs


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for a run. ``token`` is new each time the run is handed out."""

    run_id: str
    token: str


class LeaseLost(Exception):
    """The run was handed to somebody else, or deleted. Whoever gets this stops without a word."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run writes at once: events from a turn on, and/or columns of its row.

    ``ended`` says that its conversation is over, ``duties`` are what is to be done then.
    """

    lease: Lease
    at: Millis
    conversation_id: str = ""
    first_turn: int = 0
    events: tuple[Event, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ended: bool = False
    duties: tuple[Wanted, ...] = ()


def running(lease: Lease, at: Millis) -> Entry:
    """The line is open."""
    return Entry(lease, at, changes={"status": Status.RUNNING.value})


def decided(lease: Lease, at: Millis, verdicts: Sequence[Verdict], usage: Usage) -> Entry:
    """The judge has spoken, at this cost."""
    changes = {"verdicts": verdicts_codec.dumps(tuple(verdicts)), "usage": usage_codec.dumps(usage)}
    return Entry(lease, at, changes=changes)


def settled(
    lease: Lease,
    at: Millis,
    outcome: Outcome,
    transcript: Transcript,
    usage: Usage,
    story: str,
    duties: Sequence[Wanted] = (),
    finding_id: str | None = None,
) -> Entry:
    """The run is over, at this cost in all; this gives the lease back, and its conversation is over."""
    changes = {
        "status": outcome.status.value,
        "fault": outcome.fault.value if outcome.fault else None,
        "reason": _storable(outcome.reason),
        "ending": transcript.ending.value if transcript.ending else None,
        "talked_ms": transcript.talked_ms,
        "story": _storable(story),
        "usage": usage_codec.dumps(usage),
        "completed_at": at,
        "finding_id": finding_id,
        "lease_token": None,
        "lease_until": None,
    }
    return Entry(lease, at, changes=changes, ended=True, duties=tuple(duties))


def _storable(text: str) -> str:
    """What was said may hold a NUL, which is no text to PostgreSQL; in an event's JSON it is spelled out."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    done: asyncio.Future[None]


class Journal:
    """One for each process and database. Entries that arrive while a transaction runs share the next one."""

    def __init__(self, database: Database, *, most: int = 500) -> None:
        self._database, self._most = database, most
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, entry: Entry) -> None:
        """Make the entry durable. Raises ``LeaseLost``, or what the database raises."""
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        await waiting.done

    async def _flush(self) -> None:
        # One turn of the loop lets everybody who is ready to write join the first transaction.
        await asyncio.sleep(0)
        while self._waiting:
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            await self._commit(group)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        entries = [one.entry for one in group]
        try:
            held = await self._database.write(lambda tx: _write(tx, entries))
        except Exception as failure:  # noqa: BLE001  # whatever it is, whoever wrote must hear of it
            if len(group) > 1:
                # One bad entry must not take the others with it.
                for one in group:
                    await self._commit([one])
                return
            _release(group[0], failure)
            return
        except asyncio.CancelledError:
            for one in group:
                one.done.cancel()
            raise
        for one in group:
            _release(one, None if one.entry.lease in held else LeaseLost(one.entry.lease.run_id))


def _release(waiting: _Waiting, failure: Exception | None) -> None:
    if waiting.done.done():
        return  # whoever waited was cancelled meanwhile
    if failure is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(failure)


def _write(tx: Tx, entries: Sequence[Entry]) -> set[Lease]:
    """Write what still may be written; returns the leases that hold."""
    held = _held(tx, [one.lease for one in entries])
    valid = [one for one in entries if one.lease in held]
    _append(tx, valid)
    _change(tx, valid)
    _end(tx, [one for one in valid if one.ended])
    return held


def _held(tx: Tx, leases: Sequence[Lease]) -> set[Lease]:
    wanted = sorted({lease.run_id for lease in leases})
    query = select(runs.c.id, runs.c.lease_token).where(runs.c.id.in_(wanted)).order_by(runs.c.id).with_for_update()
    current = {row.id: row.lease_token for row in tx.execute(query)}
    return {lease for lease in leases if current.get(lease.run_id) == lease.token}


_insert_events = insert(events)
_touch = (
    update(conversations).where(conversations.c.id == bindparam("the_id")).values(last_message_at=bindparam("the_time"))
)


def _append(tx: Tx, entries: Sequence[Entry]) -> None:
    rows = [row for one in entries for row in rows_of(one.conversation_id, one.first_turn, one.events)]
    if rows:
        tx.execute(_insert_events, rows)
        tx.execute(_touch, [{"the_id": one.conversation_id, "the_time": one.at} for one in entries if one.events])


_set_ended = (
    update(conversations)
    .where(
        conversations.c.id == select(runs.c.conversation_id).where(runs.c.id == bindparam("the_run")).scalar_subquery()
    )
    .values(ended_at=bindparam("the_time"))
)


def _end(tx: Tx, entries: Sequence[Entry]) -> None:
    if entries:
        tx.execute(_set_ended, [{"the_run": one.lease.run_id, "the_time": one.at} for one in entries])
    for one in entries:
        for duty in one.duties:
            want(tx, duty)


def _change(tx: Tx, entries: Sequence[Entry]) -> None:
    """Runs that change in the same columns, as all do that start or end, share a statement."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in entries:
        if one.changes:
            row = {"the_id": one.lease.run_id, "the_time": one.at, **one.changes}
            alike.setdefault(tuple(one.changes), []).append(row)
    for columns, rows in alike.items():
        tx.execute(_set_columns(columns), rows)


@lru_cache(maxsize=32)
def _set_columns(columns: tuple[str, ...]) -> Update:
    values: dict[str, BindParameter[Any]] = {column: bindparam(column) for column in columns}
    return update(runs).where(runs.c.id == bindparam("the_id")).values(updated_at=bindparam("the_time"), **values)
