from typing import Any

from tests.storage.test_results import CANCELLED, DONE, a_batch
from tests.support.store import ORG, a_scenario

from vivavoce.storage import lately
from vivavoce.storage.database import Database, Tx

FAILED = {"status": "failed"}
BROKEN = {"status": "error"}
OTHER = "org-b"


async def test_the_newest_batches_whoever_made_them(database: Database) -> None:
    one, two = a_scenario(suite="s"), a_scenario()

    def work(tx: Tx) -> None:
        assert lately.newest_batches(tx, ORG, 5) == ()
        made = [
            a_batch(tx, [one, two], DONE, {}),
            a_batch(tx, [one], DONE, batch=False),
            a_batch(tx, [a_scenario()], DONE, org=OTHER),
            a_batch(tx, [two, one], FAILED, DONE),
            a_batch(tx, [one]),
        ]
        first, second, third = made[0], made[3], made[4]
        found = lately.newest_batches(tx, ORG, 10)
        assert [(batch.id, batch.first_run_id) for batch in found] == [
            (id_, mine[0]) for id_, mine in (third, second, first)
        ]
        assert [batch.id for batch in lately.newest_batches(tx, ORG, 2)] == [third[0], second[0]]
        assert [batch.id for batch in lately.newest_batches(tx, ORG, 2, third[0])] == [second[0], first[0]]
        assert lately.newest_batches(tx, ORG, 2, first[0]) == ()
        assert lately.first_run(tx, ORG, second[0] or "") == second[1][0]
        assert lately.first_run(tx, ORG, "nothing") is None

    await database.write(work)


async def test_the_run_before_is_over_was_not_cancelled_and_is_of_another_batch(database: Database) -> None:
    test = a_scenario()

    def work(tx: Tx) -> None:
        def run(given: dict[str, Any], *, batch: bool = False) -> str:
            return a_batch(tx, [test], given, batch=batch)[1][0]

        oldest, middle = run(DONE), run(BROKEN)
        run(CANCELLED)
        run({"status": "running"})
        batch_id, (first, second) = a_batch(tx, [test, test], FAILED, DONE)
        a_batch(tx, [a_scenario()], DONE)

        def before(run_id: str, batch: str | None = None, org: str = ORG) -> str | None:
            return lately.run_before(tx, org, test.id, run_id, batch)

        assert before(second, batch_id) == middle
        assert before(second) == first
        assert before(first) == middle
        assert before(middle) == oldest
        assert before(oldest) is None
        assert before(second, org=OTHER) is None

    await database.write(work)


async def test_the_newest_run_of_each_test(database: Database) -> None:
    one, two, never = a_scenario(), a_scenario(), a_scenario()

    def work(tx: Tx) -> None:
        a_batch(tx, [one, two], DONE, FAILED)
        _, (last,) = a_batch(tx, [two], {"status": "running"}, batch=False)
        _, (first,) = a_batch(tx, [one], BROKEN)
        assert lately.newest_runs(tx, ORG, [one.id, two.id, never.id]) == {one.id: first, two.id: last}
        assert lately.newest_runs(tx, OTHER, [one.id]) == {}
        assert lately.newest_runs(tx, ORG, []) == {}

    await database.write(work)
