"""The journal: what running conversations write, many of them in one transaction.

Whoever writes is released when its entry is durable. An entry counts only while its lease holds: a worker that was
presumed dead, and was only slow, can write nothing any more.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from pydantic_core import to_json
from sqlalchemy import BindParameter, ColumnElement, Row, Update, bindparam, insert, null, select, text, update

from vivavoce.core.conversation import Opening
from vivavoce.core.event import Event, Millis, Usage
from vivavoce.core.status import Status
from vivavoce.core.telemetry import NOBODY, Telemetry
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome, Verdict
from vivavoce.storage.budgets import Spent, spend
from vivavoce.storage.codec import opening_codec, usage_codec, verdicts_codec
from vivavoce.storage.conversations import rows_of
from vivavoce.storage.database import Database, DatabaseAway, Tx
from vivavoce.storage.duties import Wanted, want
from vivavoce.storage.insisting import WAITS_S, was_kept
from vivavoce.storage.tables import conversations, events, runs

Sleep = Callable[[float], Awaitable[None]]
Told = Callable[[], None]
"""Called when something was written."""

GATHER_S = 0.002
"""How long a few entries wait for others to share their transaction with. With 50 conversations a model call then costs
0.9 ms of CPU instead of 1.15, and the conversations take as long as before."""
FEW = 8
"""How many do not wait: enough have come together."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for a run. ``token`` is new each time the run is handed out."""

    run_id: str
    token: str


class LeaseLost(Exception):
    """The run was handed to somebody else, or deleted. Whoever gets this stops without a word."""


class BudgetSpent(Exception):
    """The entry is durable, and the budget is spent of the batch on whose account it goes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run writes at once: events from a turn on, and/or columns of its row.

    ``ended`` says that its conversation is over, ``duties`` are what is to be done then. ``spent`` goes on the account
    of the run's batch, where that has a budget. ``opening`` is what the conversation starts with.
    """

    lease: Lease
    at: Millis
    conversation_id: str = ""
    first_turn: int = 0
    events: tuple[Event, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ended: bool = False
    duties: tuple[Wanted, ...] = ()
    spent: Spent | None = None
    opening: Opening | None = None


def running(lease: Lease, at: Millis, conversation_id: str = "", opening: Opening | None = None) -> Entry:
    """The line is open; ``opening`` is what its conversation starts with, where that is not kept yet."""
    return Entry(lease, at, conversation_id, changes={"status": Status.RUNNING.value}, opening=opening)


def decided(lease: Lease, at: Millis, verdicts: Sequence[Verdict], usage: Usage, spent: Spent | None = None) -> Entry:
    """The judge has spoken, at this cost."""
    changes = {"verdicts": verdicts_codec.dumps(tuple(verdicts)), "usage": usage_codec.dumps(usage)}
    return Entry(lease, at, changes=changes, spent=spent)


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
        "response_ms": [taken for _, taken in transcript.response_times()],
        "tokens": transcript.tokens_by_model(usage),
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


@dataclass(slots=True)
class _Written:
    """What became of entries that were written together: the leases that held, and the batches whose budget is spent.
    ``number`` is what the database calls the transaction."""

    number: int | None = None
    held: Set[Lease] = frozenset()
    exhausted: Set[str] = frozenset()

    def of(self, entry: Entry) -> LeaseLost | BudgetSpent | None:
        """What whoever wrote the entry is told."""
        if entry.lease not in self.held:
            return LeaseLost(entry.lease.run_id)
        if entry.spent is not None and entry.spent.batch_id in self.exhausted:
            return BudgetSpent(entry.spent.batch_id)
        return None


class Journal:
    """One for each process and database. Entries that arrive while a transaction runs share the next one; where they
    are few, so do those of the next ``GATHER_S``."""

    def __init__(
        self,
        database: Database,
        *,
        most: int = 500,
        sleep: Sleep = asyncio.sleep,
        told: Told = lambda: None,
        telemetry: Telemetry = NOBODY,
    ) -> None:
        self._database, self._most, self._sleep, self._told = database, most, sleep, told
        self._telemetry = telemetry
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, entry: Entry) -> None:
        """Make the entry durable. Raises ``LeaseLost``, ``BudgetSpent``, or what the database raises."""
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        await waiting.done

    async def _flush(self) -> None:
        while self._waiting:
            # One turn of the loop lets everybody who is ready to write join. Where these are few, nobody hears a moment
            # more, and a transaction for each turn costs twice the CPU of one for several.
            await asyncio.sleep(0)
            if len(self._waiting) < FEW:
                await asyncio.sleep(GATHER_S)
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            await self._commit(group)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        written = _Written()
        try:
            await self._patiently([one.entry for one in group], WAITS_S, written)
        except DatabaseAway as failure:
            if await self._came_to_nothing(written) and len(group) > 1:
                # What cannot be written may itself be the reason, and must not take the others with it.
                await self._each(group, ())
                return
            for one in group:
                _release(one, failure)
        except Exception as failure:  # noqa: BLE001  # whatever it is, whoever wrote must hear of it
            if len(group) > 1:
                await self._each(group, WAITS_S)
                return
            _release(group[0], failure)
        except asyncio.CancelledError:
            for one in group:
                one.done.cancel()
            raise
        else:
            for one in group:
                _release(one, written.of(one.entry))

    async def _each(self, group: Sequence[_Waiting], waits_s: Sequence[float]) -> None:
        """Write each by itself: one bad entry must not take the others with it."""
        for one in group:
            written = _Written()
            try:
                await self._patiently([one.entry], waits_s, written)
            except Exception as failure:  # noqa: BLE001  # whatever it is, whoever wrote must hear of it
                if isinstance(failure, DatabaseAway):
                    waits_s = ()  # waiting again for each of them would take all day
                _release(one, failure)
            else:
                _release(one, written.of(one.entry))

    async def _came_to_nothing(self, written: _Written) -> bool:
        """Whether the database answers by now, and says that nothing was kept."""
        try:
            if written.number is not None:
                return not await was_kept(self._database, written.number)
            await self._database.ping()
        except DatabaseAway:
            return False
        return True

    async def _patiently(self, entries: Sequence[Entry], waits_s: Sequence[float], written: _Written) -> None:
        """Write; what was answered has been paid for, so a connection that breaks is not the end of it.

        Whoever loses the connection at the end of a transaction does not know whether that was kept, and so asks before
        it writes again. Raises ``DatabaseAway`` when the database is away for longer than that.
        """
        for wait_s in waits_s:
            try:
                await self._once(entries, written)
            except DatabaseAway:
                await self._sleep(wait_s)
            else:
                return
        await self._once(entries, written)

    async def _once(self, entries: Sequence[Entry], written: _Written) -> None:
        if not await was_kept(self._database, written.number):
            written.number = None
            began = time.perf_counter()
            await self._database.write(partial(_write, entries=entries, written=written))
            self._telemetry.committed(time.perf_counter() - began, len(entries))
        self._told()


def _release(waiting: _Waiting, failure: Exception | None) -> None:
    if waiting.done.done():
        return  # whoever waited was cancelled meanwhile
    if failure is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(failure)


def _write(tx: Tx, entries: Sequence[Entry], written: _Written) -> None:
    """Write what still may be written, and note what became of it."""
    together = tx.dialect.name == "postgresql"
    current: dict[str, str | None] = {}
    for row in (_hold_and_append if together else _hold)(tx, entries):
        current[row.id], written.number = row.lease_token, row.number
    written.held = {one.lease for one in entries if current.get(one.lease.run_id) == one.lease.token}
    valid = [one for one in entries if one.lease in written.held]
    if not together:
        _append(tx, valid)
    _open(tx, valid)
    _change(tx, valid)
    _end(tx, [one for one in valid if one.ended])
    spent = [one.spent for one in valid if one.spent is not None]
    written.exhausted = spend(tx, spent, max(one.at for one in valid)) if spent else frozenset()


_NO_NUMBER: ColumnElement[Any] = null().label("number")


def _hold(tx: Tx, entries: Sequence[Entry]) -> Sequence[Row[Any, Any, Any]]:
    """(id, lease_token, number) of the entries' runs. SQLite has one writer, so they stay so until the commit; and only
    over a network can a commit get lost on its way, so there is no number to ask for."""
    query = select(runs.c.id, runs.c.lease_token, _NO_NUMBER)
    return tx.execute(query.where(runs.c.id.in_({one.lease.run_id for one in entries}))).all()


# Each statement is a journey to the server and back, and whoever comes back waits for the interpreter again. What
# every turn writes is therefore one: who still may write, their events, and when their conversations went on. It is
# given as JSON because an array's every text would be looked through in Python.
_hold_and_append_all = text("""
    WITH given AS (
        SELECT run_id, token, conversation_id, turn, body, at
        FROM json_to_recordset(CAST(:rows AS json))
        AS one (run_id text, token text, conversation_id text, turn int, body text, at bigint)
    ), held AS (
        SELECT id, lease_token FROM runs
        WHERE id = ANY(ARRAY(SELECT json_array_elements_text(CAST(:runs AS json)))) ORDER BY id FOR UPDATE
    ), added AS (
        INSERT INTO events (conversation_id, turn, body)
        SELECT given.conversation_id, given.turn, given.body
        FROM given JOIN held ON held.id = given.run_id AND held.lease_token = given.token
    ), touched AS (
        UPDATE conversations SET last_message_at = latest.at
        FROM (
            SELECT given.conversation_id, max(given.at) AS at
            FROM given JOIN held ON held.id = given.run_id AND held.lease_token = given.token
            GROUP BY given.conversation_id
        ) AS latest
        WHERE conversations.id = latest.conversation_id
    )
    SELECT id, lease_token, txid_current() AS number FROM held
""")


def _hold_and_append(tx: Tx, entries: Sequence[Entry]) -> Sequence[Row[Any]]:
    """(id, lease_token, number) of the entries' runs, which stay so until the commit. The events of those entries
    whose leases hold are written."""
    rows = [
        {"run_id": one.lease.run_id, "token": one.lease.token, "at": one.at, **row}
        for one in entries
        for row in rows_of(one.conversation_id, one.first_turn, one.events)
    ]
    wanted = list({one.lease.run_id for one in entries})
    given = {"rows": to_json(rows).decode(), "runs": to_json(wanted).decode()}
    return tx.execute(_hold_and_append_all, given).all()


_insert_events = insert(events)
_touch = (
    update(conversations).where(conversations.c.id == bindparam("the_id")).values(last_message_at=bindparam("the_time"))
)


def _append(tx: Tx, entries: Sequence[Entry]) -> None:
    rows = [row for one in entries for row in rows_of(one.conversation_id, one.first_turn, one.events)]
    if rows:
        tx.execute(_insert_events, rows)
        tx.execute(_touch, [{"the_id": one.conversation_id, "the_time": one.at} for one in entries if one.events])


_set_opening = (
    update(conversations).where(conversations.c.id == bindparam("the_id")).values(opening=bindparam("the_opening"))
)


def _open(tx: Tx, entries: Sequence[Entry]) -> None:
    rows = [
        {"the_id": one.conversation_id, "the_opening": opening_codec.dumps(one.opening)}
        for one in entries
        if one.opening is not None
    ]
    if rows:
        tx.execute(_set_opening, rows)


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
