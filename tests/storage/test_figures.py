"""How the installation stands, over all organisations."""

from tests.support.store import NOW, ORG, pending_run, set_row

from vivavoce.core.run import Priority
from vivavoce.core.status import Status
from vivavoce.storage import duties, figures, workers
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Wanted
from vivavoce.storage.times import read_clock
from vivavoce.storage.workers import Presence


async def test_an_empty_database_has_nothing_but_the_names(database: Database) -> None:
    found = await database.read(figures.read)
    assert set(found.runs.values()) == {0}
    assert len(found.runs) == 3 * len(Priority)
    assert (dict(found.workers), found.places) == ({"working": 0, "stopping": 0, "silent": 0}, 0)
    assert found.duties == {}


async def test_what_is_not_over_is_counted_by_how_it_stands(database: Database) -> None:
    given = [("pending", 0), ("pending", 10), ("pending", 10), ("starting", 20), ("running", 10), ("passed", 10)]
    for status, priority in given:
        run = await pending_run(database)
        await database.write(lambda tx, run=run, s=status, p=priority: set_row(tx, run.id, status=s, priority=p))
    found = await database.read(figures.read)
    assert {key: many for key, many in found.runs.items() if many} == {
        (Status.PENDING, Priority.INTERACTIVE): 1,
        (Status.PENDING, Priority.BATCH): 2,
        (Status.STARTING, Priority.SCHEDULED): 1,
        (Status.RUNNING, Priority.BATCH): 1,
    }


async def test_workers_and_duties_are_counted(database: Database) -> None:
    def work(tx: Tx) -> None:
        for number, stopping in enumerate((False, False, True)):
            workers.put(tx, Presence(f"w-{number}", "host", 1, "1.0", 100, NOW), 5, stopping=stopping)
        now = read_clock(tx)
        for number, due_at in enumerate((now - 60_000, now - 1_000, now + 60_000)):
            duties.want(tx, Wanted(f"d-{number}", ORG, "delivery", f"s-{number}", due_at))

    await database.write(work)
    found = await database.read(figures.read)
    assert (dict(found.workers), found.places) == ({"working": 2, "stopping": 1, "silent": 0}, 200)
    [(kind, backlog)] = found.duties.items()
    assert (kind, backlog.many) == ("delivery", 2)
    assert 60_000 <= backlog.oldest_ms < 90_000
