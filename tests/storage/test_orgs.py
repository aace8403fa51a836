"""No query of the store finds what belongs to another organisation."""

import importlib
import inspect
import pkgutil
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Table, select
from sqlalchemy.exc import IntegrityError
from tests.support.looks import LOOKS, WINDOW
from tests.support.store import NOW, ORG, a_scenario, an_assistant, set_row
from tests.support.things import furnish

import vivavoce.storage as store
from vivavoce.core.status import Status
from vivavoce.core.text import Direction
from vivavoce.storage import (
    answers,
    assistants,
    connections,
    insights,
    runs,
    scenarios,
    secrets,
    servers,
    tallies,
    texts,
    tools,
)
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.storage.tables import metadata
from vivavoce.storage.texts import TextFilter

OTHER = "org-b"
MAKERS = {
    "sessions.add",
    "appointments.add",
    "assistants.add",
    "batches.add",
    "budgets.add",
    "components.add",
    "connections.put",
    "conversations.add",
    "documents.add",
    "findings.add",
    "hooks.add",
    "hooks.completed",
    "hooks.mark_told",
    "hooks.shrunk",
    "insights.add",
    "insights.add_group",
    "libraries.add",
    "runs.add",
    "scenarios.add",
    "schedules.add",
    "secrets.add",
    "servers.add",
    "texts.add",
    "tools.add",
}
"""These make what the others look for."""
NAMES_ONLY = {
    "hooks.is_any",
    "assistants.get_tags",
    "scenarios.get_suites",
    "tallies.get_stands",
    "lately.run_before",
    "results.counts_since",
    "results.last_of_test",
    "results.measured",
    "scenarios.count_suites",
}
"""What they give has no id to be told apart by: tried below, in tests/services/test_hooks.py and test_history.py, and
in tests/storage/test_results.py and test_lately.py."""
BEHIND_A_LOOK = {
    "assistants.add_version",
    "assistants.drop_version",
    "assistants.get_numbered",
    "assistants.get_version",
    "assistants.get_versions",
    "assistants.put_version",
    "assistants.set_deleted",
    "assistants.set_main",
    "assistants.set_tags",
    "conversations.append",
    "conversations.forget",
    "conversations.get_many",
    "conversations.get_openings",
    "conversations.get_transcript",
    "conversations.get_transcripts",
    "conversations.is_forgotten",
    "conversations.set_ended",
    "conversations.set_extra",
    "conversations.set_metadata",
    "conversations.set_opening",
    "insights.join",
    "insights.leave",
    "rollouts.drop",
    "rollouts.get",
    "rollouts.put",
    "rollouts.served",
    "runs.get_all_frozen",
    "runs.get_frozen",
    "runs.holder",
    "runs.holds",
    "runs.set_finding",
    "stopping.settle",
}
"""Whoever calls these has found the assistant, the conversation, the insights or the run in its organisation before, in
the same transaction or an earlier one: a thing never moves to another."""
NOBODYS = {
    "sessions.end",
    "sessions.find",
    "sessions.is_open",
    "sessions.touch",  # a session is what tells whose a person's request is
    "beginnings.get_many",  # a worker's, of runs that it holds the leases of
    "hooks.get_hooked",  # of the organisations of such runs
    "answers.begin",
    "answers.finish",
    "answers.forget",  # the request names its organisation: below
    "budgets.spend",  # the journal's, for runs that it knows by their leases
    "duties.begin",
    "duties.any_stale",
    "hooks.is_told",  # of a batch that the duty of an organisation names
    "duties.finish",
    "duties.forget",
    "duties.hasten",
    "duties.next_due",
    "duties.postpone",
    "duties.renew",
    "duties.take",
    "duties.want",  # a worker's: what it takes says whose it is
    "figures.read",  # of the whole installation, and only how many
    "keys.add",
    "keys.any_active",
    "keys.find",
    "keys.get_all",
    "keys.revoke",  # a key is what tells whose a request is
    "assistants.owner",  # that is what it asks for, of the operator's own map of numbers
    "orgs.add",
    "orgs.counts",
    "orgs.drop",
    "orgs.drop_some",
    "orgs.find",
    "orgs.get_all",
    "orgs.shut",  # the operator's: services/orgs.py is called by the command line only
    "pruning.drop_runs",
    "pruning.drop_stale",
    "pruning.drop_talks",
    "pruning.find_runs",
    "pruning.find_talks",
    "snapshots.drop_loose",
    "tallies.count_new",
    "tallies.lock",
    "tallies.subtract",
    "workers.drop",
    "workers.drop_silent",
    "workers.get_all",
    "workers.put",  # the server's own: it counts and prunes for everybody
    "page.fetch_page",
    "page.fetch_slice",  # the conditions are the caller's
    "stopping.require",  # a worker's: its lease says which run it drives
    "texts.orgs",  # that is what it asks for
    "times.database_now",
    "times.read_clock",  # it asks for the time
    "watching.changed",
    "watching.good_keys",
    "watching.states",
    "watching.turns",  # the watcher's: it looks for everybody, and what it finds says whose it is
    "locks.hold",  # a name, which says whose it is
    "turns.give_back",
    "turns.renew",
    "turns.take",  # they say nothing of the conversation, only who may speak in it
}


def functions() -> dict[str, set[str]]:
    """Every public function of the store that takes a transaction, with the names of its parameters."""
    found: dict[str, set[str]] = {}
    for one in pkgutil.iter_modules(store.__path__):
        if one.ispkg:
            continue
        module = importlib.import_module(f"{store.__name__}.{one.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            parameters = set(inspect.signature(function).parameters)
            if function.__module__ == module.__name__ and not name.startswith("_") and "tx" in parameters:
                found[f"{one.name}.{name}"] = parameters
    return found


def contents(tx: Tx) -> dict[str, list[Any]]:
    def rows(table: Table) -> list[Any]:
        return sorted(map(tuple, tx.execute(select(table))), key=repr)

    return {table.name: rows(table) for table in metadata.sorted_tables}


def test_every_function_that_takes_an_organisation_is_tried() -> None:
    taking = {name for name, parameters in functions().items() if "org" in parameters}
    assert taking == {name.split()[0] for name in LOOKS} | MAKERS | NAMES_ONLY


def test_every_function_that_can_lock_is_tried_with_a_lock() -> None:
    locking = {f"{name} locked" for name, parameters in functions().items() if {"org", "lock"} <= parameters}
    assert locking == {name for name in LOOKS if name.endswith(" locked")}


def test_every_function_that_takes_none_has_a_reason() -> None:
    others = {name for name, parameters in functions().items() if "org" not in parameters}
    assert others == BEHIND_A_LOOK | NOBODYS


async def looked(database: Database, org: str) -> dict[str, tuple[Any, bool]]:
    """What each look finds for this organisation of what is the first one's, and whether it changes anything. Each is
    undone before the next."""

    def look(tx: Tx) -> dict[str, tuple[Any, bool]]:
        ours = furnish(tx, ORG)
        furnish(tx, OTHER)
        before = contents(tx)
        found: dict[str, tuple[Any, bool]] = {}
        for name, one in LOOKS.items():
            undone = tx.begin_nested()
            found[name] = one(tx, org, ours), contents(tx) != before
            undone.rollback()
        return found

    return await database.write(look)


async def test_others_find_nothing_and_change_nothing(database: Database) -> None:
    for name, (found, changed) in (await looked(database, OTHER)).items():
        assert found in (None, False, [], ()), name
        assert not changed, name


async def test_the_owner_does(database: Database) -> None:
    """Or the test above could not fail."""
    for name, (found, changed) in (await looked(database, ORG)).items():
        assert found or changed, name


async def test_suites_and_tags_are_an_organisations_own(database: Database) -> None:
    def look(tx: Tx) -> tuple[tuple[str, ...], tuple[str, ...]]:
        for org in (OTHER, ORG):
            scenarios.add(tx, org, a_scenario(suite=f"suite of {org}"))
            assistants.add(tx, org, replace(an_assistant(), tags=(f"tag of {org}",)))
        return scenarios.get_suites(tx, ORG), assistants.get_tags(tx, ORG)

    assert await database.write(look) == ((f"suite of {ORG}",), (f"tag of {ORG}",))


async def test_what_is_counted_is_an_organisations_own(database: Database) -> None:
    def look(tx: Tx) -> dict[str, list[tuple[int, int]]]:
        for org, status in ((ORG, "passed"), (OTHER, "failed")):
            set_row(tx, furnish(tx, org).run.id, status=status)
        assert tallies.count_new(tx, 50) == 2
        stands = {org: tallies.get_stands(tx, org, [tallies.of_suite("suite"), tallies.ALL]) for org in (ORG, OTHER)}
        return {
            org: [(one.many[Status.PASSED], one.many[Status.FAILED]) for one in found.values()]
            for org, found in stands.items()
        }

    assert await database.write(look) == {ORG: [(1, 0)] * 2, OTHER: [(0, 1)] * 2}


async def test_pages_count_an_organisations_own(database: Database) -> None:
    def look(tx: Tx) -> set[int]:
        furnish(tx, ORG)
        furnish(tx, OTHER)
        return {
            runs.get_page(tx, ORG, RunFilter(), WINDOW).total,
            scenarios.get_page(tx, ORG, ScenarioFilter(), WINDOW).total,
            assistants.get_deleted(tx, ORG, NOW - 1, WINDOW).total,
            insights.get_page(tx, ORG, WINDOW).total,
            insights.get_group_page(tx, ORG, WINDOW).total,
            secrets.get_page(tx, ORG, None, WINDOW).total,
            servers.get_page(tx, ORG, WINDOW).total,
            tools.get_page(tx, ORG, WINDOW).total,
            texts.get_page(tx, ORG, TextFilter(direction=Direction.INBOUND), WINDOW).total,
        }

    assert await database.write(look) == {1}


async def test_a_connection_is_not_put_in_the_place_of_somebody_elses(database: Database) -> None:
    ours = await database.write(lambda tx: furnish(tx, ORG))
    before = await database.read(contents)
    with pytest.raises(IntegrityError):
        await database.write(lambda tx: connections.put(tx, OTHER, replace(ours.connection, secret="stolen")))
    assert await database.read(contents) == before


async def test_a_kept_answer_is_an_organisations_own(database: Database) -> None:
    def look(tx: Tx) -> object:
        mine = answers.Request(ORG, "key", "POST", "/path", "digest")
        assert answers.begin(tx, mine, 1) is None
        answers.finish(tx, mine, 1, 201, "{}")
        return answers.begin(tx, replace(mine, org=OTHER), 1)

    assert await database.write(look) is None
