import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from tests.support.store import NOW, ORG, commits, events_of, leased_run, put_run, row_of, said, set_row

from vivavoce.core.conversation import Opening
from vivavoce.core.event import Ending, Event, Left, Speaker, Usage
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Fault, Outcome, Verdict
from vivavoce.storage import conversations, runs, scenarios
from vivavoce.storage.database import Database, Tx, connect
from vivavoce.storage.journal import Entry, Journal, Lease, LeaseLost, decided, running, settled
from vivavoce.storage.tables import events

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
COST = Usage("scripted", 10, 20, 3)


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database)


def entry(run: Run, lease: Lease, turn: int, *new: Event, at: int = NOW) -> Entry:
    return Entry(lease, at, run.conversation_id, turn, new)


async def leased(database: Database, count: int) -> list[tuple[Run, Lease]]:
    def work(tx: Tx) -> list[tuple[Run, Lease]]:
        made = [put_run(tx) for _ in range(count)]
        for run in made:
            set_row(tx, run.id, status="running", lease_token=f"token of {run.id}")
        return [(run, Lease(run.id, f"token of {run.id}")) for run in made]

    return await database.write(work)


async def kept(database: Database) -> int:
    return await database.read(lambda tx: tx.execute(select(func.count()).select_from(events)).scalar_one())


async def test_an_entry_is_durable_when_write_returns(database: Database, database_url: str, journal: Journal) -> None:
    run, lease = await leased_run(database)
    await journal.write(entry(run, lease, 0, said("hello"), said("there"), at=NOW + 4))
    await journal.write(entry(run, lease, 2, said("bye"), at=NOW + 9))
    other = connect(database_url)
    try:
        assert await events_of(other, run) == (said("hello"), said("there"), said("bye"))
        talk = await other.read(lambda tx: conversations.get(tx, ORG, run.conversation_id))
    finally:
        other.close()
    assert talk is not None
    assert talk.last_message_at == NOW + 9


async def test_what_a_conversation_starts_with_is_kept_when_it_begins(database: Database, journal: Journal) -> None:
    run, lease = await leased_run(database)
    late = Lease(run.id, "somebody else's")
    with pytest.raises(LeaseLost):
        await journal.write(running(late, NOW, run.conversation_id, Opening({"name": "Eve"})))
    await journal.write(running(lease, NOW, run.conversation_id, Opening({"name": "Dana"})))
    await journal.write(running(lease, NOW + 1, run.conversation_id))
    talk = await database.read(lambda tx: conversations.get(tx, ORG, run.conversation_id))
    assert talk is not None
    assert talk.opening == Opening({"name": "Dana"})


async def test_a_run_is_written_down_from_the_open_line_to_its_end(database: Database, journal: Journal) -> None:
    run, lease = await leased_run(database)
    verdicts = (Verdict("kind", Decision.UNMET, "rude", "scripted"),)
    left = Left(Ending.HANGUP, NOW + 3, Speaker.ASSISTANT, took_ms=40)
    await journal.write(running(lease, NOW + 1))
    assert (await row_of(database, run.id)).status == "running"
    await journal.write(entry(run, lease, 0, left))
    await journal.write(decided(lease, NOW + 2, verdicts, COST))
    outcome = Outcome(Status.FAILED, Fault.ASSISTANT, "unmet: kind")
    await journal.write(settled(lease, NOW + 3, outcome, Transcript((left,)), COST, "the story"))
    expected = replace(
        run,
        status=Status.FAILED,
        fault=Fault.ASSISTANT,
        reason="unmet: kind",
        ending=Ending.HANGUP,
        talked_ms=40,
        story="the story",
        verdicts=verdicts,
        usage=COST,
        completed_at=NOW + 3,
        updated_at=NOW + 3,
    )
    assert await database.read(lambda tx: runs.get(tx, ORG, run.id)) == expected
    row = await row_of(database, run.id)
    assert (row.lease_token, row.lease_until) == (None, None)


async def test_a_run_is_settled_once(database: Database, journal: Journal) -> None:
    run, lease = await leased_run(database)
    passed = Outcome(Status.PASSED, None, "every criterion is met")
    await journal.write(settled(lease, NOW, passed, Transcript(), COST, ""))
    failed = Outcome(Status.FAILED, Fault.ASSISTANT, "no")
    with pytest.raises(LeaseLost):
        await journal.write(settled(lease, NOW, failed, Transcript(), COST, ""))
    assert (await row_of(database, run.id)).status == "passed"


async def test_what_was_said_is_kept_whatever_it_is(database: Database, journal: Journal) -> None:
    """The words of others end up in a run's story; PostgreSQL refuses texts with a NUL."""
    run, lease = await leased_run(database)
    odd = said("a\x00é😀\u2028")
    await journal.write(entry(run, lease, 0, odd))
    outcome = Outcome(Status.ERROR, Fault.INFRASTRUCTURE, "no\x00reason")
    await journal.write(settled(lease, NOW, outcome, Transcript((odd,)), COST, "a\x00é😀\u2028"))
    assert await events_of(database, run) == (odd,)
    row = await row_of(database, run.id)
    assert (row.story, row.reason) == ("a\ufffdé😀\u2028", "no\ufffdreason")


def _other_token(_run: Run, lease: Lease) -> Callable[[Tx], Any]:
    return lambda tx: set_row(tx, lease.run_id, lease_token="another")


def _no_token(_run: Run, lease: Lease) -> Callable[[Tx], Any]:
    return lambda tx: set_row(tx, lease.run_id, lease_token=None)


def _deleted(run: Run, _lease: Lease) -> Callable[[Tx], Any]:
    return lambda tx: scenarios.drop(tx, ORG, run.scenario_id)


@pytest.mark.parametrize("lose", [_other_token, _no_token, _deleted])
async def test_without_its_lease_nothing_is_written(
    database: Database, journal: Journal, lose: Callable[[Run, Lease], Callable[[Tx], Any]]
) -> None:
    run, lease = await leased_run(database)
    await database.write(lose(run, lease))
    entries = [
        entry(run, lease, 0, said("hello")),
        running(lease, NOW),
        decided(lease, NOW, (), COST),
        settled(lease, NOW, Outcome(Status.PASSED, None, ""), Transcript(), COST, ""),
    ]
    for one in entries:
        with pytest.raises(LeaseLost):
            await journal.write(one)
    assert await events_of(database, run) == ()
    if lose is not _deleted:
        assert (await row_of(database, run.id)).status == "starting"


async def test_who_lost_its_lease_does_not_disturb_the_others(database: Database, journal: Journal) -> None:
    known = await leased(database, 6)
    stale = [replace(lease, token="old") if place % 2 else lease for place, (_, lease) in enumerate(known)]
    done = await asyncio.gather(
        *(journal.write(entry(run, lease, 0, said("hi"))) for (run, _), lease in zip(known, stale, strict=True)),
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [type(None), LeaseLost] * 3
    assert await kept(database) == 3


@only_postgresql
async def test_a_lease_that_goes_while_the_write_waits_for_its_row_is_lost(
    database: Database, database_url: str, journal: Journal
) -> None:
    (run, lease), (other_run, other_lease) = await leased(database, 2)
    other = connect(database_url)
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    try:
        with other._writers.begin() as taking:
            set_row(taking, run.id, lease_token="somebody else's")
            writes = [
                asyncio.create_task(journal.write(entry(run, lease, 0, said("late")))),
                asyncio.create_task(journal.write(entry(other_run, other_lease, 0, said("hi"), at=NOW + 5))),
            ]
            async with asyncio.timeout(20):
                while not await database.read(lambda tx: tx.execute(waits).scalar_one()):
                    await asyncio.sleep(0)
        done = await asyncio.gather(*writes, return_exceptions=True)
    finally:
        other.close()
    assert [type(one) for one in done] == [LeaseLost, type(None)]
    assert await events_of(database, run) == ()
    assert await events_of(database, other_run) == (said("hi"),)
    talk = await database.read(lambda tx: conversations.get(tx, ORG, run.conversation_id))
    assert talk is not None
    assert talk.last_message_at == NOW


def _turn_twice(run: Run, lease: Lease) -> Entry:
    return entry(run, lease, 0, said("again"))


def _no_conversation(run: Run, lease: Lease) -> Entry:
    return Entry(lease, NOW, "nobody", 0, (said("lost"),))


def _unwritable(run: Run, lease: Lease) -> Entry:
    return entry(run, lease, 1, said("\ud800"))


def _no_such_column(run: Run, lease: Lease) -> Entry:
    return Entry(lease, NOW, changes={"nonsense": 1})


@pytest.mark.parametrize("make", [_turn_twice, _no_conversation, _unwritable, _no_such_column])
async def test_a_bad_entry_takes_no_other_with_it(
    database: Database, journal: Journal, make: Callable[[Run, Lease], Entry]
) -> None:
    known = await leased(database, 5)
    bad_run, bad_lease = known[2]
    await journal.write(entry(bad_run, bad_lease, 0, said("first")))
    entries = [entry(run, lease, 0, said("hi")) for run, lease in known]
    entries[2] = make(bad_run, bad_lease)
    done = await asyncio.wait_for(
        asyncio.gather(*(journal.write(one) for one in entries), return_exceptions=True), timeout=20
    )
    assert [place for place, one in enumerate(done) if one is not None] == [2]
    assert not isinstance(done[2], LeaseLost)
    assert await events_of(database, bad_run) == (said("first"),)
    assert await kept(database) == 5
    await journal.write(entry(bad_run, bad_lease, 1, said("and on")))


async def test_several_entries_of_one_run_may_share_a_transaction(database: Database, journal: Journal) -> None:
    run, lease = await leased_run(database)
    await asyncio.gather(*(journal.write(entry(run, lease, turn, said(f"{turn}"))) for turn in range(9)))
    assert await events_of(database, run) == tuple(said(f"{turn}") for turn in range(9))


async def test_thousands_of_entries_need_few_transactions(database: Database) -> None:
    journal = Journal(database, most=500)
    known = await leased(database, 200)

    async def talk(run: Run, lease: Lease) -> None:
        for turn in range(10):
            await journal.write(entry(run, lease, turn, said("word")))

    with commits(database) as seen:
        await asyncio.gather(*(talk(run, lease) for run, lease in known))
    assert await kept(database) == 2000
    assert seen.count <= 40


async def test_a_group_has_a_limit(database: Database) -> None:
    journal = Journal(database, most=10)
    known = await leased(database, 25)
    with commits(database) as seen:
        await asyncio.gather(*(journal.write(entry(run, lease, 0, said("word"))) for run, lease in known))
    assert seen.count == 3
    assert await kept(database) == 25


async def test_who_stops_waiting_disturbs_nobody(database: Database, journal: Journal) -> None:
    known = await leased(database, 4)
    tasks = [asyncio.create_task(journal.write(entry(run, lease, 0, said("hi")))) for run, lease in known]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in done] == [type(None), asyncio.CancelledError, type(None), type(None)]
    for place in (0, 2, 3):
        assert await events_of(database, known[place][0]) == (said("hi"),)


class Breaking:
    """A database whose connection breaks at the end of transactions, which were kept or not; then it does not."""

    def __init__(self, database: Database, kept: Sequence[bool]) -> None:
        self._database, self.kept = database, list(kept)
        self.away = False
        self.transactions = 0

    async def write(self, work: Callable[[Tx], Any]) -> Any:
        self._answer()
        self.transactions += 1
        if not self.kept:
            return await self._database.write(work)
        if self.kept.pop(0):
            await self._database.write(work)
        else:
            with contextlib.suppress(ZeroDivisionError):
                await self._database.write(lambda tx: (work(tx), 1 // 0))
        raise _gone()

    async def read(self, work: Callable[[Tx], Any]) -> Any:
        self._answer()
        return await self._database.read(work)

    async def ping(self) -> None:
        self._answer()
        await self._database.ping()

    def _answer(self) -> None:
        if self.away:
            raise _gone()


def _gone() -> OperationalError:
    return OperationalError("COMMIT", {}, Exception("connection lost"))


@dataclass
class Naps:
    """Notes how long was waited, and does not wait."""

    taken: list[float] = field(default_factory=list[float])
    then: Callable[[], object] = lambda: None

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.then()


async def test_a_database_that_is_gone_is_told_to_everybody(database: Database) -> None:
    known = await leased(database, 3)
    breaking, naps = Breaking(database, ()), Naps()
    breaking.away = True
    journal = Journal(breaking, sleep=naps)  # type: ignore[arg-type]
    writes: list[Awaitable[None]] = [journal.write(entry(run, lease, 0, said("hi"))) for run, lease in known]
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in done] == [OperationalError] * 3
    # Waited for once, and not once for each of them.
    assert len(naps.taken) == 5
    assert 10 < sum(naps.taken) < 15
    breaking.away = False
    await journal.write(entry(*known[0], 0, said("hi")))
    assert await kept(database) == 1


async def test_what_was_not_kept_is_written_again(database: Database) -> None:
    known = await leased(database, 3)
    breaking, naps = Breaking(database, [False, False]), Naps()
    journal = Journal(breaking, sleep=naps)  # type: ignore[arg-type]
    await asyncio.gather(*(journal.write(entry(run, lease, 0, said("hi"))) for run, lease in known))
    assert await kept(database) == 3
    assert (breaking.transactions, naps.taken) == (3, [0.1, 0.5])


@only_postgresql  # only over a network can a commit get lost on its way
@pytest.mark.parametrize("before", [(), (False,), (False, False)])
async def test_what_was_kept_is_not_written_again(database: Database, before: Sequence[bool]) -> None:
    """Also the end of a run, which gives the lease back that it was written under; and whoever had lost its lease is
    told so, as if the connection had held."""
    (said_run, saying), (over_run, settling), (lost_run, losing) = await leased(database, 3)
    await database.write(_other_token(lost_run, losing))
    breaking, naps = Breaking(database, [*before, True]), Naps()
    journal = Journal(breaking, sleep=naps)  # type: ignore[arg-type]
    outcome = Outcome(Status.PASSED, None, "")
    done = await asyncio.gather(
        journal.write(entry(said_run, saying, 0, said("hi"))),
        journal.write(settled(settling, NOW, outcome, Transcript(), COST, "")),
        journal.write(entry(lost_run, losing, 0, said("late"))),
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [type(None), type(None), LeaseLost]
    assert breaking.transactions == len(before) + 1
    assert await events_of(database, said_run) == (said("hi"),)
    assert (await row_of(database, over_run.id)).status == "passed"
    assert await kept(database) == 1


@only_postgresql
async def test_while_the_end_of_a_transaction_is_open_nothing_is_written_again(
    database: Database, database_url: str
) -> None:
    """The connection is gone, and the server has not noticed yet: the transaction still holds the run."""
    ((run, lease),) = await leased(database, 1)
    other = connect(database_url)

    class Hanging(Breaking):
        async def write(self, work: Callable[[Tx], Any]) -> Any:
            if self.transactions == 0:
                self.transactions = 1
                work(open_one)
                raise _gone()
            return await super().write(work)

    try:
        with other._writers.connect() as open_one:
            naps = Naps()
            naps.then = lambda: open_one.rollback() if len(naps.taken) == 3 else None
            breaking = Hanging(database, ())
            journal = Journal(breaking, sleep=naps)  # type: ignore[arg-type]
            await asyncio.wait_for(journal.write(entry(run, lease, 0, said("hi"))), timeout=20)
    finally:
        other.close()
    assert (breaking.transactions, len(naps.taken)) == (2, 3)
    assert await events_of(database, run) == (said("hi"),)


@only_postgresql
async def test_a_connection_that_is_cut_for_good_loses_nothing(database: Database, database_url: str) -> None:
    """Somebody ends all connections of the server, again and again."""
    known = await leased(database, 10)
    other = connect(f"{database_url}{'&' if '?' in database_url else '?'}application_name=cut")
    cut = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'cut'"
    )
    journal = Journal(other, sleep=Naps())
    talking = True

    async def talk(run: Run, lease: Lease) -> None:
        for turn in range(12):
            await journal.write(entry(run, lease, turn, said(f"{turn}")))

    async def cutting() -> None:
        while talking:
            await database.read(lambda tx: tx.execute(cut))
            await asyncio.sleep(0.02)

    knife = asyncio.create_task(cutting())
    try:
        done = await asyncio.gather(*(talk(run, lease) for run, lease in known), return_exceptions=True)
    finally:
        talking = False
        await knife
        other.close()
    for (run, _), outcome in zip(known, done, strict=True):
        found = await events_of(database, run)
        # Whoever was told that the database is away can have been told so of an entry that was kept.
        assert found == tuple(said(f"{turn}") for turn in range(len(found)))
        assert outcome is None or isinstance(outcome, OperationalError)
        assert outcome is not None or len(found) == 12


@pytest.mark.parametrize("make", [_turn_twice, _no_conversation])
async def test_a_bad_entry_is_told_also_after_a_connection_broke(
    database: Database, make: Callable[[Run, Lease], Entry]
) -> None:
    known = await leased(database, 3)
    bad_run, bad_lease = known[1]
    await Journal(database).write(entry(bad_run, bad_lease, 0, said("first")))
    breaking = Breaking(database, ())
    breaking.away = True
    naps = Naps(then=lambda: setattr(breaking, "away", False))
    journal = Journal(breaking, sleep=naps)  # type: ignore[arg-type]
    entries = [entry(run, lease, 0, said("hi")) for run, lease in known]
    entries[1] = make(bad_run, bad_lease)
    done = await asyncio.gather(*(journal.write(one) for one in entries), return_exceptions=True)
    assert [type(one) for one in done] == [type(None), IntegrityError, type(None)]
    assert await kept(database) == 3
    assert await events_of(database, bad_run) == (said("first"),)


async def test_an_entry_that_no_server_takes_holds_up_no_other(database: Database) -> None:
    """It looks like a database that is away, only that it answers."""
    known = await leased(database, 4)
    bad = known[2][1]

    class Choking(Breaking):
        async def write(self, work: Any) -> Any:
            self.transactions += 1
            if any(one.lease == bad for one in work.keywords["entries"]):
                raise _gone()
            return await self._database.write(work)

    breaking, naps = Choking(database, ()), Naps()
    journal = Journal(breaking, sleep=naps)  # type: ignore[arg-type]
    writes = (journal.write(entry(run, lease, 0, said("hi"))) for run, lease in known)
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in done] == [type(None), type(None), OperationalError, type(None)]
    assert len(naps.taken) == 5
    assert await kept(database) == 3


async def test_a_closed_database_leaves_nobody_waiting(database_url: str) -> None:
    database = connect(database_url)
    journal = Journal(database)
    try:
        known = await leased(database, 2)
    finally:
        await asyncio.to_thread(database.close)
    writes = (journal.write(entry(run, lease, 0, said("hi"))) for run, lease in known)
    done = await asyncio.wait_for(asyncio.gather(*writes, return_exceptions=True), timeout=20)
    assert [type(one) for one in done] == [RuntimeError] * 2


async def test_a_turn_that_was_written_stays_as_it_was(database: Database, journal: Journal) -> None:
    run, lease = await leased_run(database)
    await journal.write(entry(run, lease, 0, said("first")))
    with pytest.raises(IntegrityError):
        await journal.write(entry(run, lease, 0, said("second")))
    assert await events_of(database, run) == (said("first"),)
