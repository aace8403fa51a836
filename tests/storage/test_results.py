from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.support.store import NOW, ORG, a_run, a_scenario, ids, set_row

from vivavoce.core.event import Usage
from vivavoce.core.scenario import Scenario
from vivavoce.core.status import Status
from vivavoce.core.verdict import Decision, Fault, Verdict
from vivavoce.storage import conversations, results, runs, scenarios
from vivavoce.storage.codec import usage_codec, verdicts_codec
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.results import Counts, Measured
from vivavoce.storage.runs import Order

from tests.support.store import a_conversation  # isort: skip

new_id = ids()
DONE = {"status": "passed"}
OPEN: dict[str, Any] = {}
CANCELLED = {"status": "error", "ending": "cancelled"}


def a_batch(
    tx: Tx, tests: Sequence[Scenario], *columns: dict[str, Any], org: str = ORG, batch: bool = True
) -> tuple[str | None, list[str]]:
    """A batch with a run of each of these tests, whose columns are then set: (its id, those of its runs)."""
    batch_id = new_id() if batch else None
    made: list[str] = []
    for test, given in zip(tests, columns or (OPEN,) * len(tests), strict=True):
        if scenarios.get(tx, org, test.id) is None:
            scenarios.add(tx, org, test)
        run = replace(a_run(test, id=new_id()), batch_id=batch_id)
        conversations.add(tx, org, [a_conversation(id=run.conversation_id)])
        runs.add(tx, org, [Order(run, test, None)])
        set_row(tx, run.id, **given) if given else None
        made.append(run.id)
    return batch_id, made


async def test_the_newest_batches_of_a_suite(database: Database) -> None:
    one, two, other = a_scenario(suite="s"), a_scenario(suite="s"), a_scenario(suite="other")

    def work(tx: Tx) -> None:
        made = [
            a_batch(tx, [one, two], DONE, {"status": "running"}),
            a_batch(tx, [one], DONE, batch=False),
            a_batch(tx, [other], DONE),
            a_batch(tx, [one, other, two], {"status": "failed"}, DONE, DONE),
            a_batch(tx, [two], batch=False),
            a_batch(tx, [one], {"status": "error"}),
            a_batch(tx, [a_scenario(suite="s")], DONE, org="org-b"),
        ]
        first, _, strange, both, _, last, _ = [id_ for id_, _ in made]
        found = results.newest_batches(tx, ORG, "s", 10)
        assert [batch.id for batch in found] == [last, both, first]
        assert [batch.run_id for batch in found] == [made[5][1][0], made[3][1][2], made[0][1][1]]
        assert {batch.at for batch in found} == {NOW}
        assert [batch.id for batch in results.newest_batches(tx, ORG, "s", 2)] == [last, both]
        assert [batch.id for batch in results.newest_batches(tx, ORG, "other", 9)] == [both, strange]
        assert results.newest_batches(tx, ORG, "nobody's", 9) == ()
        assert len(results.newest_batches(tx, "org-b", "s", 9)) == 1
        scenarios.add(tx, ORG, a_scenario(suite="never run"))
        assert results.last_batches(tx, ORG, ["s", "other", "never run", "nobody's"]) == {
            name: results.newest_batches(tx, ORG, name, 1)[0] for name in ("s", "other")
        }

    await database.write(work)


async def test_runs_are_counted_by_batch_and_suite(database: Database) -> None:
    one, other = a_scenario(suite="s"), a_scenario(suite="other")

    def work(tx: Tx) -> None:
        first, _ = a_batch(
            tx, [one] * 6 + [other], DONE, DONE, {"status": "failed"}, {"status": "error"}, CANCELLED, {}, DONE
        )
        second, _ = a_batch(tx, [other], CANCELLED)
        assert first is not None
        assert second is not None
        counted = Counts(passed=2, failed=1, errors=1, cancelled=1, open=1)
        assert results.counts(tx, ORG, [first, second], "s") == {first: counted}
        assert (counted.total, counted.over, counted.pass_rate) == (6, False, 0.5)
        every = results.counts(tx, ORG, [first, second])
        assert every[first] == replace(counted, passed=3)
        assert every[second] == Counts(cancelled=1)
        assert (every[second].over, every[second].pass_rate) == (True, None)
        assert results.counts_by_suite(tx, ORG, [first, second]) == {
            (first, "s"): counted,
            (first, "other"): Counts(passed=1),
            (second, "other"): Counts(cancelled=1),
        }
        for counting in (results.counts, results.counts_by_suite):
            assert counting(tx, "org-b", [first]) == {}
            assert counting(tx, ORG, []) == {}

    await database.write(work)


async def test_runs_are_counted_from_an_id_on(database: Database) -> None:
    def work(tx: Tx) -> None:
        _, made = a_batch(tx, [a_scenario()] * 5, {"status": "failed"}, DONE, {}, CANCELLED, {"status": "error"})
        assert results.counts_since(tx, ORG, made[1]) == Counts(passed=1, errors=1, cancelled=1, open=1)
        assert results.counts_since(tx, ORG, made[0]).failed == 1
        assert results.counts_since(tx, "org-b", made[0]) == Counts()

    await database.write(work)


async def test_what_was_measured_of_a_batch(database: Database) -> None:
    test = a_scenario(suite="s")
    kept = {**DONE, "talked_ms": 9, "response_ms": [1, 2], "tokens": {"m": [3, 4], "n": [10, 20]}}
    older = {**DONE, "talked_ms": 8, "usage": usage_codec.dumps(Usage("m", 5, 6))}

    def work(tx: Tx) -> None:
        batch_id, _ = a_batch(tx, [test] * 4, kept, older, CANCELLED, {})
        other, _ = a_batch(tx, [a_scenario(suite="other")], kept)
        assert batch_id is not None
        assert other is not None
        found = sorted(results.measured(tx, ORG, [batch_id, other], "s"), key=lambda run: run.talked_ms)
        assert found == [
            Measured(batch_id, 8, None, None, (5, 6)),
            Measured(batch_id, 9, (1, 2), {"m": (3, 4), "n": (10, 20)}, (13, 24)),
        ]
        assert results.measured(tx, ORG, [], "s") == []
        assert results.measured(tx, "org-b", [batch_id], "s") == []

    await database.write(work)


async def test_results_tell_what_came_of_runs(database: Database) -> None:
    test = a_scenario(name="says “where”", suite="s")
    verdict = Verdict("kind", Decision.UNMET, "It shouted.", "a judge")
    told = {"status": "failed", "fault": "assistant", "reason": "unmet: kind"}

    def work(tx: Tx) -> None:
        batch_id, made = a_batch(tx, [test] * 2, {**told, "verdicts": verdicts_codec.dumps((verdict,))}, CANCELLED)
        assert batch_id is not None
        first, second = results.of_batch(tx, ORG, batch_id)
        assert (first.id, first.scenario_id, first.test) == (made[0], test.id, "says “where”")
        assert (first.status, first.fault, first.reason) == (Status.FAILED, Fault.ASSISTANT, "unmet: kind")
        assert (first.verdicts, first.criteria, first.cancelled) == ((verdict,), ("kind",), False)
        assert (second.verdicts, second.cancelled, second.fault) == ((), True, None)
        assert results.of_runs(tx, ORG, [made[1], "nobody's"]) == (second,)
        assert results.of_batch(tx, "org-b", batch_id) == ()
        # A scenario that is renamed does not rename what was examined.
        scenarios.put(tx, ORG, replace(test, name="another"))
        assert results.names(tx, ORG, made) == dict.fromkeys(made, "says “where”")
        assert results.names(tx, ORG, []) == results.names(tx, "org-b", made) == {}

    await database.write(work)


async def test_the_last_runs_of_a_test(database: Database) -> None:
    test = a_scenario()

    def work(tx: Tx) -> None:
        failed = {"status": "failed", "version_id": "v2"}
        columns = ({**DONE, "version_id": "v1"}, {**DONE, "version_id": "v1"}, failed, CANCELLED, OPEN)
        batch_id, made = a_batch(tx, [test] * 5, *columns)
        found = results.last_of_test(tx, ORG, test.id, 9)
        assert [one.id for one in found] == [made[2], made[1], made[0]]
        assert [(one.version_id, one.batch_id) for one in found][:2] == [("v2", batch_id), ("v1", batch_id)]
        assert [one.id for one in results.last_of_test(tx, ORG, test.id, 1)] == [made[2], made[1]]
        assert results.last_of_test(tx, "org-b", test.id, 9) == ()

    await database.write(work)
