"""kill -9 at every place of a run: nothing is lost, nothing is asked for twice, and the verdicts are the same.

A place is the moment in which one request to the outside world is under way: all that came before it is recorded, and
its own answer is not. Nine runs stand at different places when the server is killed, so that one kill tries them all.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import text
from tests.support.driving import ASSISTANTS, TESTS, Driver, driving
from tests.support.endpoint import Json
from tests.support.server import ON_POSTGRESQL, record
from tests.support.stage import Asked, Stage, order_tool, staged

ROLES = ["tester", "assistant", "tool", "assistant", "tester", "assistant", "tester", "judge"]
PLACES = range(1, len(ROLES) + 1)
UNDISTURBED, DECIDED = "case-20", "case-21"
RUBRIC = {
    "looks it up": 'The assistant calls lookup_order with order_number "A-1001"',
    "is short": "The conversation ends within 9 turns",
    "gives the day": "The assistant says on which day the order comes",
}
SAME = ("status", "fault", "ending", "reason", "detail_status")
"""What must not depend on how often the server died."""


def tag(number: int) -> str:
    return f"case-{number:02}"


def number(of: str) -> int:
    return int(of.removeprefix("case-"))


def play(stage: Stage, tags: Sequence[str]) -> None:
    """Two questions of the caller, one tool call, and a judge who quotes the shop."""
    says = ["It comes on Friday.", "I said on Friday.", "Yes, on Friday. Goodbye."]
    for each in tags:
        call = {"name": "lookup_order", "arguments": {"tag": each, "order_number": "A-1001"}}
        proof = {"gives the day": {"quote": "on Friday", "reason": "it says so"}}
        stage.endpoint.behaviours += [
            {"when": each, "role": "tester", "say": [f"Where is my order, {each}?", "Thank you!"]},
            {"when": each, "role": "assistant", "call": call, "say": says},
            {"when": each, "role": "judge", "verdicts": proof},
        ]


async def create(driver: Driver, stage: Stage, tags: Sequence[str], *, greeting: str) -> dict[str, Json]:
    """A test for each tag, all of one assistant."""
    desk = {"name": "desk", "instructions": "You are the desk.", "tools": [order_tool(stage.shop_url)]}
    assistant = await driver.post(ASSISTANTS, {**desk, "greeting": greeting})
    return {
        each: await driver.post(
            TESTS,
            {
                "name": each,
                "destination": assistant["id"],
                "instructions": f"You wait for order A-1001. {each}.",
                "rubric": [{"name": name, "criteria": criteria} for name, criteria in RUBRIC.items()],
                "test_suite": "crash",
            },
        )
        for each in tags
    }


async def trigger(driver: Driver, tests: Mapping[str, Json], tags: Sequence[str]) -> dict[str, Json]:
    return {each: await driver.post(f"{TESTS}/{tests[each]['test_id']}/runs") for each in tags}


def journal(data_dir: Path, run: Json) -> list[str]:
    """Every recorded event of a run, as it is written."""
    with record(data_dir) as database:
        query = text("SELECT body FROM events WHERE conversation_id = :id ORDER BY turn")
        return list(database.execute(query, {"id": run["conversation_id"]}).scalars())


def refuse_the_end(data_dir: Path, test_id: str) -> None:
    """No run of this test can be settled until this is taken back."""
    event = "CREATE TRIGGER not_yet BEFORE UPDATE OF completed_at ON runs FOR EACH ROW"
    when = f"NEW.scenario_id = '{test_id}' AND NEW.completed_at IS NOT NULL"
    with record(data_dir) as database:
        if ON_POSTGRESQL:
            body = "CREATE FUNCTION not_yet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yet''; END'"
            database.execute(text(body))
            database.execute(text(f"{event} WHEN ({when}) EXECUTE FUNCTION not_yet()"))
        else:
            database.execute(text(f"{event} WHEN {when} BEGIN SELECT RAISE(ABORT, 'not yet'); END"))


def allow_the_end(data_dir: Path) -> None:
    with record(data_dir) as database:
        database.execute(text("DROP TRIGGER not_yet ON runs" if ON_POSTGRESQL else "DROP TRIGGER not_yet"))


def asked(stage: Stage, each: str, run: Json) -> list[Asked]:
    """What a run asked for, without what differs between runs."""
    return [replace(one, key=one.key.replace(run["run_id"], "run")) for one in stage.asked[each]]


def queue_is_empty(data_dir: Path) -> None:
    """No run is unfinished or leased."""
    with record(data_dir) as database:
        query = text("SELECT id, status FROM runs WHERE completed_at IS NULL OR lease_token IS NOT NULL")
        assert database.execute(query).all() == []


async def logged(driver: Driver, words: str) -> None:
    async with asyncio.timeout(30):
        while words not in driver.server.log:
            await asyncio.sleep(0.05)


async def test_a_run_survives_a_kill_at_every_place_and_another_right_after(tmp_path: Path) -> None:
    at_places = [tag(place) for place in PLACES]
    everybody = [*at_places, UNDISTURBED, DECIDED]
    async with staged() as stage:
        play(stage, everybody)

        async with driving(tmp_path, stage.settings) as driver:
            tests = await create(driver, stage, everybody, greeting="Hello.")
            runs = await trigger(driver, tests, [UNDISTURBED])
            [undisturbed] = await driver.finished(runs.values())

            # One run gets as far as its verdicts and is refused the last word.
            refuse_the_end(tmp_path, tests[DECIDED]["test_id"])
            runs |= await trigger(driver, tests, [DECIDED])
            await logged(driver, "driving a run failed")

            stage.hold = lambda each, place: place == number(each)
            runs |= await trigger(driver, tests, at_places)
            await stage.held(set(at_places))
            first = {each: journal(tmp_path, run) for each, run in runs.items()}
            assert {each: len(first[each]) for each in at_places} == {tag(place): place for place in PLACES}
            await driver.kill()

        await stage.held(set())
        allow_the_end(tmp_path)

        # The request that was under way is repeated, and the next one is held.
        stage.hold = lambda each, place: place == number(each) + 2
        async with driving(tmp_path, stage.settings) as driver:
            await stage.held(set(at_places[:-1]))
            await driver.finished([runs[at_places[-1]], runs[DECIDED]])
            second = {each: journal(tmp_path, run) for each, run in runs.items()}
            assert {each: len(second[each]) for each in at_places[:-1]} == {tag(p): p + 1 for p in PLACES[:-1]}
            await driver.kill()

        await stage.held(set())
        stage.let_go()
        async with driving(tmp_path, stage.settings) as driver:
            done = dict(zip(runs, await driver.finished(runs.values()), strict=True))
            assert (await driver.get(f"{TESTS}/test-suites/crash/runs"))["meta"]["total_results"] == len(everybody)
            queue_is_empty(tmp_path)
        last = {each: journal(tmp_path, run) for each, run in runs.items()}

    assert stage.roles(UNDISTURBED) == ROLES
    assert undisturbed["status"] == "passed"
    assert done[UNDISTURBED] == undisturbed
    told = asked(stage, UNDISTURBED, undisturbed)
    assert told[2].key == "run:1:call_2"
    for each, run in done.items():
        same = json.dumps({name: run[name] for name in SAME}).replace(each, UNDISTURBED)
        assert json.loads(same) == {name: undisturbed[name] for name in SAME}, each
        assert len(last[each]) == len(last[UNDISTURBED])
        assert last[each][: len(second[each])] == second[each]
        assert second[each][: len(first[each])] == first[each]
    for place in PLACES[:-1]:
        twice = [*told[:place], *told[place - 1 : place + 1], *told[place:]]
        assert asked(stage, tag(place), done[tag(place)]) == twice, f"killed at place {place}"
        assert f"resumed at turn {place + 1}" in done[tag(place)]["logs"]
    assert asked(stage, at_places[-1], done[at_places[-1]]) == [*told, told[-1]]
    # Its verdicts had been recorded: only the end of the run was left to write.
    assert asked(stage, DECIDED, done[DECIDED]) == told


async def test_runs_that_wait_or_have_just_begun_survive_too(tmp_path: Path) -> None:
    begun, doomed, waiting, just_triggered = tags = [tag(place) for place in range(1, 5)]
    async with staged() as stage:
        play(stage, tags)
        settings = {**stage.settings, "VIVA_TOTAL_CONCURRENCY": "2"}
        async with driving(tmp_path, settings) as driver:
            tests = await create(driver, stage, tags, greeting="")
            stage.hold = lambda _each, place: place == 1
            runs = await trigger(driver, tests, [begun, doomed])
            await stage.held({begun, doomed})
            runs |= await trigger(driver, tests, [waiting])
            assert [journal(tmp_path, run) for run in runs.values()] == [[], [], []]
            runs |= await trigger(driver, tests, [just_triggered])
            await driver.kill()

        await stage.held(set())
        with record(tmp_path) as database:
            # As if the server had died five times more. Who waited can have had no part in it.
            database.execute(text("UPDATE runs SET stalls = 5 WHERE id <> :id"), {"id": runs[begun]["run_id"]})
        stage.let_go()
        async with driving(tmp_path, settings) as driver:
            done = dict(zip(runs, await driver.finished(runs.values()), strict=True))
            queue_is_empty(tmp_path)

    assert {each: run["status"] for each, run in done.items()} == {
        begun: "passed",
        doomed: "error",
        waiting: "passed",
        just_triggered: "passed",
    }
    assert stage.roles(begun) == [ROLES[0], *ROLES]
    assert stage.roles(waiting) == stage.roles(just_triggered) == ROLES
    assert stage.roles(doomed) == [ROLES[0]]
    assert done[doomed]["fault"] == "infrastructure"
    assert done[doomed]["reason"] == "given up: 6 workers in a row died without getting any further"
    assert done[doomed]["reason"] in done[doomed]["logs"]
