import pytest
from tests.support.store import NOW, ORG, a_conversation, a_run, a_scenario, a_version, said, set_row

from vivavoce.core.batch import Batch
from vivavoce.core.conversation import Opening
from vivavoce.core.run import Run
from vivavoce.core.scenario import Scenario
from vivavoce.storage import batches, conversations, runs, scenarios
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Span
from vivavoce.storage.runs import Frozen, Order

OTHER = "org-b"
DESK = "assistant-desk"


def a_batch(id_: str = "b", *, total: int = 0, number: int = 0, assistant_id: str = DESK) -> Batch:
    return Batch(id_, assistant_id, f"v{number}", number, total, NOW, NOW)


def fill(tx: Tx, batch_id: str, *wanted: Scenario) -> tuple[Run, ...]:
    """A pending run of each scenario, which are kept too."""
    for one in wanted:
        scenarios.add(tx, ORG, one)
    version = a_version(id="v0")
    made = tuple(a_run(one, batch_id=batch_id) for one in wanted)
    conversations.add(tx, ORG, [a_conversation(id=run.conversation_id) for run in made])
    runs.add(tx, ORG, [Order(run, one, version) for run, one in zip(made, wanted, strict=True)])
    return made


async def put(database: Database, total: int) -> tuple[Run, ...]:
    def work(tx: Tx) -> tuple[Run, ...]:
        batches.add(tx, ORG, a_batch(total=total))
        return fill(tx, "b", *(a_scenario() for _ in range(total)))

    return await database.write(work)


async def settle(database: Database, run: Run, status: str, after_ms: int) -> None:
    await database.write(lambda tx: set_row(tx, run.id, status=status, updated_at=NOW + after_ms))


async def found(database: Database, org: str = ORG, id_: str = "b") -> Batch | None:
    return await database.read(lambda tx: batches.get(tx, org, id_))


async def standing(database: Database) -> Batch:
    batch = await found(database)
    assert batch is not None
    return batch


async def test_section_2_4_counts_rise_while_runs_end_and_only_all_of_them_make_it_over(database: Database) -> None:
    made = await put(database, 4)
    seen = [await standing(database)]
    for place, status in enumerate(("passed", "failed", "error", "passed")):
        await settle(database, made[place], "running", 10 * place + 5)
        seen.append(await standing(database))
        await settle(database, made[place], status, 10 * place + 9)
        seen.append(await standing(database))
    assert [(one.passed, one.failed, one.errors) for one in seen] == [
        *[(0, 0, 0)] * 2,
        *[(1, 0, 0)] * 2,
        *[(1, 1, 0)] * 2,
        *[(1, 1, 1)] * 2,
        (2, 1, 1),
    ]
    assert [one.over for one in seen] == [False] * 8 + [True]
    assert [one.updated_at - NOW for one in seen] == [0, 0, 9, 9, 19, 19, 29, 29, 39]


async def test_a_run_that_went_with_its_scenario_counts_as_an_error(database: Database) -> None:
    made = await put(database, 2)
    await settle(database, made[0], "passed", 1)
    await database.write(lambda tx: scenarios.drop(tx, ORG, made[1].scenario_id))
    batch = await standing(database)
    assert (batch.passed, batch.errors, batch.total, batch.over) == (1, 1, 2, True)
    await database.write(lambda tx: scenarios.drop(tx, ORG, made[0].scenario_id))
    batch = await standing(database)
    assert (batch.passed, batch.errors, batch.total, batch.over) == (0, 2, 2, True)


async def test_runs_that_were_made_together_without_a_batch_are_none(database: Database) -> None:
    await database.write(lambda tx: fill(tx, "loose", a_scenario()))
    assert await found(database, id_="loose") is None
    await put(database, 1)
    assert await found(database, OTHER) is None


async def test_batches_are_listed_by_assistant_and_number_newest_first(database: Database) -> None:
    def work(tx: Tx) -> None:
        for place, number in enumerate((0, 1, 1, 0)):
            batches.add(tx, ORG, a_batch(f"b{place}", number=number))
        batches.add(tx, ORG, a_batch("x", assistant_id="assistant-other"))
        batches.add(tx, OTHER, a_batch("y"))

    await database.write(work)

    async def listed(number: int | None, span: Span) -> tuple[list[str], bool]:
        page = await database.read(lambda tx: batches.get_slice(tx, ORG, DESK, number, span))
        return [one.id for one in page.items], page.more

    assert await listed(1, Span()) == (["b2", "b1"], False)
    assert await listed(None, Span(3)) == (["b3", "b2", "b1"], True)
    assert await listed(None, Span(3, "b1")) == (["b0"], False)
    assert await listed(7, Span()) == ([], False)


async def test_a_batchs_runs_come_in_their_order_with_what_they_froze(database: Database) -> None:
    one, two = a_scenario(name="one"), a_scenario(name="two")
    made = await database.write(lambda tx: fill(tx, "b", one, two))
    await database.write(lambda tx: fill(tx, "other", a_scenario()))
    page = await database.read(lambda tx: runs.get_slice(tx, ORG, "b", Span(ascending=True)))
    assert page.items == tuple(
        Frozen(ORG, run, scenario, page.items[0].version) for run, scenario in zip(made, (one, two), strict=True)
    )
    assert page.items[0].version is page.items[1].version  # read once
    first = await database.read(lambda tx: runs.get_slice(tx, ORG, "b", Span(1, ascending=True)))
    assert ([each.run for each in first.items], first.more) == ([made[0]], True)
    assert (await database.read(lambda tx: runs.get_slice(tx, OTHER, "b", Span()))).items == ()


async def test_the_sample_of_a_batch_is_what_its_first_run_froze(database: Database) -> None:
    one, two = a_scenario(name="one"), a_scenario(name="two")
    await database.write(lambda tx: fill(tx, "b", one, two))
    assert await database.read(lambda tx: runs.get_samples(tx, ORG, ["b", "none"])) == {"b": one}
    assert await database.read(lambda tx: runs.get_samples(tx, ORG, [])) == {}


@pytest.mark.parametrize("many", [0, 3])
async def test_transcripts_and_openings_of_many_conversations(database: Database, many: int) -> None:
    talks = [a_conversation() for _ in range(3)]

    def work(tx: Tx) -> None:
        conversations.add(tx, ORG, talks)
        for place, one in enumerate(talks[:many]):
            conversations.append(tx, one.id, [said(f"{place}a"), said(f"{place}b")], NOW)
            conversations.set_opening(tx, one.id, Opening({"place": place}))

    await database.write(work)
    ids = [one.id for one in talks]
    transcripts = await database.read(lambda tx: conversations.get_transcripts(tx, ids))
    openings = await database.read(lambda tx: conversations.get_openings(tx, ids))
    assert {id_: one.events for id_, one in transcripts.items()} == {
        id_: (said(f"{place}a"), said(f"{place}b")) for place, id_ in enumerate(ids[:many])
    }
    assert openings == {id_: Opening({"place": place}) for place, id_ in enumerate(ids[:many])}
