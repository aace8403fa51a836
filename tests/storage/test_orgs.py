"""No query of the store finds what belongs to another organisation."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy import Table, select
from sqlalchemy.exc import IntegrityError
from tests.support.store import NOW, ORG, a_scenario, an_assistant, set_row
from tests.support.things import ORIGIN, OURS, THEIRS, Things, furnish

import vivavoce.storage as store
from vivavoce.core.assistant import Form
from vivavoce.core.filter import Filter
from vivavoce.core.insight import FindingStatus
from vivavoce.core.status import Status
from vivavoce.core.text import Direction, TextStatus
from vivavoce.storage import (
    answers,
    appointments,
    assistants,
    batches,
    budgets,
    components,
    connections,
    conversations,
    documents,
    findings,
    hooks,
    insights,
    keys,
    libraries,
    memory,
    run_pages,
    runs,
    scenarios,
    schedules,
    secrets,
    servers,
    stopping,
    tallies,
    texts,
    tools,
    watching,
)
from vivavoce.storage.appointments import AppointmentFilter
from vivavoce.storage.conversations import TalkFilter
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.documents import Piece
from vivavoce.storage.page import Span, Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.storage.tables import metadata
from vivavoce.storage.texts import TextFilter

OTHER = "org-b"
Look = Callable[[Tx, str, Things], Any]
"""Calls one function for an organisation, with the ids of somebody's things."""

WINDOW = Window(1, 50)


def only(id_: str, found: Any) -> list[Any]:
    """Of what was found the thing with this id: others have some of the same name."""
    every = cast("tuple[Any, ...]", found) if isinstance(found, tuple) else (found,)
    return [one for one in every if one is not None and one.id == id_]


def talks(of: Things) -> TalkFilter:
    return TalkFilter(ids=(of.conversation.id,))


LOOKS: dict[str, Look] = {
    "appointments.get": lambda tx, org, of: appointments.get(tx, org, of.appointment.id),
    "appointments.get locked": lambda tx, org, of: appointments.get(tx, org, of.appointment.id, lock=True),
    "appointments.get_page": lambda tx, org, of: (
        appointments.get_page(tx, org, AppointmentFilter(of.assistant.id), WINDOW).items
    ),
    "appointments.put": lambda tx, org, of: appointments.put(tx, org, replace(of.appointment, due_at=NOW + 1)),
    "appointments.drop": lambda tx, org, of: appointments.drop(tx, org, of.appointment.id),
    "assistants.get": lambda tx, org, of: assistants.get(tx, org, of.assistant.id),
    "assistants.get locked": lambda tx, org, of: assistants.get(tx, org, of.assistant.id, lock=True),
    "assistants.get deleted": lambda tx, org, of: assistants.get(tx, org, of.deleted.id, lock=True, deleted=True),
    "assistants.get_all": lambda tx, org, of: only(of.assistant.id, assistants.get_all(tx, org)),
    "assistants.get_slice": lambda tx, org, of: only(
        of.assistant.id, assistants.get_slice(tx, org, [Form.ASSISTANT], Span()).items
    ),
    "assistants.get_every_version": lambda tx, org, of: only(
        of.assistant.id, tuple(one for one, _ in assistants.get_every_version(tx, org, [Form.ASSISTANT], 9))
    ),
    "assistants.get_players": lambda tx, org, of: assistants.get_players(tx, org, of.deleted.id),
    "assistants.get_deleted": lambda tx, org, of: only(
        of.deleted.id, assistants.get_deleted(tx, org, NOW - 1, WINDOW).items
    ),
    "assistants.find": lambda tx, org, of: only(of.assistant.id, assistants.find(tx, org, ORIGIN)),
    "assistants.erase": lambda tx, org, of: assistants.erase(tx, org, of.assistant.id),
    "batches.get": lambda tx, org, of: batches.get(tx, org, of.batch.id),
    "batches.get_stand": lambda tx, org, of: batches.get_stand(tx, org, of.batch.id),
    "batches.get_slice": lambda tx, org, of: only(
        of.batch.id, batches.get_slice(tx, org, "assistant", None, Span()).items
    ),
    "batches.get_slice of number": lambda tx, org, of: only(
        of.batch.id, batches.get_slice(tx, org, "assistant", 0, Span()).items
    ),
    "budgets.get": lambda tx, org, of: budgets.get(tx, org, of.batch.id),
    "components.get": lambda tx, org, of: components.get(tx, org, of.component.id),
    "components.get locked": lambda tx, org, of: components.get(tx, org, of.component.id, lock=True),
    "components.get_many": lambda tx, org, of: list(components.get_many(tx, org, [of.component.id])),
    "components.get_many kept": lambda tx, org, of: list(components.get_many(tx, org, [of.component.id], keep=True)),
    "components.get_slice": lambda tx, org, of: only(of.component.id, components.get_slice(tx, org, Span()).items),
    "components.get_all": lambda tx, org, of: only(of.component.id, components.get_all(tx, org)),
    "components.get_users": lambda tx, org, of: [id_ for id_, _ in components.get_users(tx, org) if id_ == of.flow.id],
    "components.held_users": lambda tx, org, of: components.held_users(tx, org, of.component.id),
    "components.put": lambda tx, org, of: components.put(tx, org, replace(of.component, name="stolen")),
    "components.drop": lambda tx, org, of: components.drop(tx, org, of.component.id),
    "connections.get": lambda tx, org, of: connections.get(tx, org, of.connection.id),
    "connections.get_all": lambda tx, org, of: only(of.connection.id, connections.get_all(tx, org)),
    "connections.drop": lambda tx, org, of: connections.drop(tx, org, of.connection.id),
    "conversations.get": lambda tx, org, of: conversations.get(tx, org, of.conversation.id),
    "conversations.get locked": lambda tx, org, of: conversations.get(tx, org, of.conversation.id, lock=True),
    "conversations.get_filtered": lambda tx, org, of: only(
        of.conversation.id, conversations.get_filtered(tx, org, Filter(), 50)
    ),
    "conversations.get_slice": lambda tx, org, of: conversations.get_slice(tx, org, talks(of), Span()).items,
    "conversations.count": lambda tx, org, of: conversations.count(tx, org, talks(of)),
    "conversations.drop": lambda tx, org, of: conversations.drop(tx, org, of.conversation.id),
    "documents.find": lambda tx, org, of: only(of.document.id, documents.find(tx, org, "bucket", "name")),
    "documents.get_all": lambda tx, org, of: only(of.document.id, documents.get_all(tx, org)),
    "documents.get_all of buckets": lambda tx, org, of: only(of.document.id, documents.get_all(tx, org, ["bucket"])),
    "documents.counted": lambda tx, org, of: list(documents.counted(tx, org, [of.document.id], "model")),
    "documents.get_pieces": lambda tx, org, of: documents.get_pieces(tx, org, [of.document.id], "model"),
    "documents.get_bare": lambda tx, org, of: [
        one for one in documents.get_bare(tx, org, "another", 50) if one.document_id == of.document.id
    ],
    "documents.put_vectors": lambda tx, org, of: documents.put_vectors(
        tx, org, [Piece(of.document.id, 0, "words")], "another", [b"4321"]
    ),
    "documents.drop_bucket": lambda tx, org, of: documents.drop_bucket(tx, org, of.library.id),
    "documents.drop": lambda tx, org, of: documents.drop(tx, org, of.document.id),
    "findings.get": lambda tx, org, of: findings.get(tx, org, of.finding.id),
    "findings.get locked": lambda tx, org, of: findings.get(tx, org, of.finding.id, lock=True),
    "findings.get_page": lambda tx, org, of: findings.get_page(tx, org, of.conversation.id, WINDOW).items,
    "findings.get_results": lambda tx, org, of: [
        result
        for result, _ in findings.get_results(tx, org, Filter(), None, 50)
        if result == of.finding.results[0].result
    ],
    "findings.get_results of insight": lambda tx, org, of: findings.get_results(tx, org, Filter(), of.insight.id, 50),
    "findings.put": lambda tx, org, of: findings.put(
        tx, org, replace(of.finding, status=FindingStatus.FAILED, results=())
    ),
    "findings.put results": lambda tx, org, of: findings.put(
        tx, org, replace(of.finding, results=(*of.finding.results, *of.finding.results))
    ),
    "keys.get_page": lambda tx, org, of: only(of.key.id, keys.get_page(tx, org, WINDOW).items),
    "keys.get_active": lambda tx, org, of: only(of.key.id, keys.get_active(tx, org)),
    "keys.get_active locked": lambda tx, org, of: only(of.key.id, keys.get_active(tx, org, lock=True)),
    "hooks.get": lambda tx, org, of: hooks.get(tx, org, of.hook.id),
    "hooks.get_all": lambda tx, org, of: only(of.hook.id, hooks.get_all(tx, org)),
    "hooks.get_page": lambda tx, org, of: only(of.hook.id, hooks.get_page(tx, org, WINDOW).items),
    "hooks.drop": lambda tx, org, of: hooks.drop(tx, org, of.hook.id),
    "hooks.any_unfinished": lambda tx, org, of: hooks.any_unfinished(tx, org, of.batch.id),
    "insights.get": lambda tx, org, of: insights.get(tx, org, of.insight.id),
    "insights.get locked": lambda tx, org, of: insights.get(tx, org, of.insight.id, lock=True),
    "insights.get_page": lambda tx, org, of: only(of.insight.id, insights.get_page(tx, org, WINDOW).items),
    "insights.put": lambda tx, org, of: insights.put(tx, org, replace(of.insight, name="stolen")),
    "insights.drop": lambda tx, org, of: insights.drop(tx, org, of.insight.id),
    "insights.get_group": lambda tx, org, of: insights.get_group(tx, org, of.group.id),
    "insights.get_group locked": lambda tx, org, of: insights.get_group(tx, org, of.group.id, lock=True),
    "insights.get_group_page": lambda tx, org, of: only(of.group.id, insights.get_group_page(tx, org, WINDOW).items),
    "insights.put_group": lambda tx, org, of: insights.put_group(tx, org, replace(of.group, name="stolen")),
    "insights.drop_group": lambda tx, org, of: insights.drop_group(tx, org, of.group.id),
    "libraries.get": lambda tx, org, of: libraries.get(tx, org, of.library.id),
    "libraries.get locked": lambda tx, org, of: libraries.get(tx, org, of.library.id, lock=True),
    "libraries.get_all": lambda tx, org, of: only(of.library.id, libraries.get_all(tx, org, 50)),
    "libraries.put": lambda tx, org, of: libraries.put(tx, org, replace(of.library, name="stolen")),
    "libraries.drop": lambda tx, org, of: libraries.drop(tx, org, of.library.id),
    "memory.get_results": lambda tx, org, of: memory.get_results(tx, org, of.conversation.id, [of.insight.id]),
    "runs.get": lambda tx, org, of: runs.get(tx, org, of.run.id),
    "runs.get of scenario": lambda tx, org, of: runs.get(tx, org, of.run.id, of.scenario.id),
    "runs.get_many": lambda tx, org, of: runs.get_many(tx, org, [of.run.id]),
    "runs.get_page": lambda tx, org, of: only(of.run.id, runs.get_page(tx, org, RunFilter(), WINDOW).items),
    "runs.get_page of scenario": lambda tx, org, of: (
        runs.get_page(tx, org, RunFilter(scenario_id=of.scenario.id), WINDOW).items
    ),
    "runs.get_slice": lambda tx, org, of: runs.get_slice(tx, org, of.batch.id, Span()).items,
    "runs.get_samples": lambda tx, org, of: list(runs.get_samples(tx, org, [of.batch.id])),
    "run_pages.fetch": lambda tx, org, of: run_pages.fetch(tx, org, RunFilter(batch_id=of.batch.id), WINDOW)[0],
    "scenarios.get": lambda tx, org, of: scenarios.get(tx, org, of.scenario.id),
    "scenarios.get locked": lambda tx, org, of: scenarios.get(tx, org, of.scenario.id, lock=True),
    "scenarios.get kept": lambda tx, org, of: scenarios.get(tx, org, of.scenario.id, keep=True),
    "scenarios.put": lambda tx, org, of: scenarios.put(tx, org, replace(of.scenario, name="stolen", suite="stolen")),
    "scenarios.drop": lambda tx, org, of: scenarios.drop(tx, org, of.scenario.id),
    "scenarios.get_page": lambda tx, org, of: only(
        of.scenario.id, scenarios.get_page(tx, org, ScenarioFilter(), WINDOW).items
    ),
    "scenarios.retire": lambda tx, org, of: scenarios.retire(tx, org, of.scenario.id, NOW),
    "scenarios.get_many": lambda tx, org, of: list(scenarios.get_many(tx, org, [of.scenario.id])),
    "scenarios.get_slice": lambda tx, org, of: only(of.scenario.id, scenarios.get_slice(tx, org, ["t"], Span()).items),
    "scenarios.get_targets": lambda tx, org, of: list(scenarios.get_targets(tx, org, [of.assistant.id])),
    "scenarios.get_suite": lambda tx, org, of: only(of.scenario.id, scenarios.get_suite(tx, org, "suite")),
    "schedules.get": lambda tx, org, of: schedules.get(tx, org, of.schedule.id),
    "schedules.get locked": lambda tx, org, of: schedules.get(tx, org, of.schedule.id, lock=True),
    "schedules.get_page": lambda tx, org, of: only(of.schedule.id, schedules.get_page(tx, org, WINDOW).items),
    "schedules.put": lambda tx, org, of: schedules.put(tx, org, replace(of.schedule, next_at=NOW + 1)),
    "schedules.drop": lambda tx, org, of: schedules.drop(tx, org, of.schedule.id),
    "schedules.any_unfinished": lambda tx, org, of: schedules.any_unfinished(tx, org, of.batch.id),
    "secrets.find": lambda tx, org, of: secrets.find(tx, org, "secret") == of.secret.id.encode(),
    "secrets.find_typed": lambda tx, org, of: (
        secrets.find_typed(tx, org, "secret") == ("bearer", of.secret.id.encode())
    ),
    "secrets.get_page": lambda tx, org, of: only(of.secret.id, secrets.get_page(tx, org, None, WINDOW).items),
    "secrets.drop": lambda tx, org, of: secrets.drop(tx, org, of.secret.id),
    "servers.get": lambda tx, org, of: servers.get(tx, org, of.server.id),
    "servers.get locked": lambda tx, org, of: servers.get(tx, org, of.server.id, lock=True),
    "servers.get_many": lambda tx, org, of: list(servers.get_many(tx, org, [of.server.id])),
    "servers.get_page": lambda tx, org, of: only(of.server.id, servers.get_page(tx, org, WINDOW).items),
    "servers.put": lambda tx, org, of: servers.put(tx, org, replace(of.server, name="stolen")),
    "servers.drop": lambda tx, org, of: servers.drop(tx, org, of.server.id),
    "stopping.find": lambda tx, org, of: [
        id_ for id_ in stopping.find(tx, org, RunFilter(batch_id=of.batch.id), "", 50) if id_ == of.run.id
    ],
    "stopping.hold": lambda tx, org, of: stopping.hold(tx, org, [of.run.id]),
    "stopping.is_any": lambda tx, org, of: stopping.is_any(tx, org, RunFilter(scenario_id=of.scenario.id)),
    "texts.get": lambda tx, org, of: texts.get(tx, org, of.sent.id),
    "texts.get locked": lambda tx, org, of: texts.get(tx, org, of.sent.id, lock=True),
    "texts.of_provider": lambda tx, org, of: only(of.sent.id, texts.of_provider(tx, org, "carrier-1")),
    "texts.get_page": lambda tx, org, of: only(of.sent.id, texts.get_page(tx, org, TextFilter(), WINDOW).items),
    "texts.get_page of conversation": lambda tx, org, of: (
        texts.get_page(tx, org, TextFilter(conversation_id=of.conversation.id), WINDOW).items
    ),
    "texts.put": lambda tx, org, of: texts.put(tx, org, replace(of.sent, status=TextStatus.DELIVERED)),
    "texts.last_between": lambda tx, org, of: only(of.waiting.id, texts.last_between(tx, org, OURS, THEIRS)),
    "texts.last_between of assistant": lambda tx, org, of: texts.last_between(
        tx, org, OURS, THEIRS, assistant_id=of.assistant.id
    ),
    "texts.last_of": lambda tx, org, of: only(of.waiting.id, texts.last_of(tx, org, OURS)),
    "texts.first_waiting": lambda tx, org, of: texts.first_waiting(tx, org, of.conversation.id, "reply"),
    "texts.forget": lambda tx, org, of: texts.forget(tx, org, of.conversation.id),
    "watching.of_batch": lambda tx, org, of: watching.of_batch(tx, org, of.batch.id),
    "tools.get": lambda tx, org, of: tools.get(tx, org, of.tool.id),
    "tools.get locked": lambda tx, org, of: tools.get(tx, org, of.tool.id, lock=True),
    "tools.get_many": lambda tx, org, of: list(tools.get_many(tx, org, [of.tool.id])),
    "tools.get_page": lambda tx, org, of: only(of.tool.id, tools.get_page(tx, org, WINDOW).items),
    "tools.hold": lambda tx, org, of: tools.hold(tx, org, [of.tool.id]),
    "tools.completed": lambda tx, org, of: list(tools.completed(tx, org, of.user).library),
    "tools.users": lambda tx, org, of: tools.users(tx, org, of.tool.id),
    "tools.put": lambda tx, org, of: tools.put(tx, org, replace(of.tool, name="stolen")),
    "tools.drop": lambda tx, org, of: tools.drop(tx, org, of.tool.id),
}
MAKERS = {
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
NAMES_ONLY = {"hooks.is_any", "assistants.get_tags", "scenarios.get_suites", "tallies.get_stands"}
"""What they give has no id to be told apart by: tried below, and in tests/services/test_hooks.py."""
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
    "runs.get_frozen",
    "runs.holder",
    "runs.holds",
    "runs.set_finding",
    "stopping.settle",
}
"""Whoever calls these has found the assistant, the conversation, the insights or the run in its organisation before, in
the same transaction or an earlier one: a thing never moves to another."""
NOBODYS = {
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


@pytest.mark.parametrize("name", LOOKS)
async def test_others_find_nothing_and_change_nothing(database: Database, name: str) -> None:
    def look(tx: Tx) -> Any:
        ours = furnish(tx, ORG)
        furnish(tx, OTHER)
        before = contents(tx)
        found = LOOKS[name](tx, OTHER, ours)
        assert contents(tx) == before
        return found

    found = await database.write(look)
    assert found in (None, False, [], ())


@pytest.mark.parametrize("name", LOOKS)
async def test_the_owner_does(database: Database, name: str) -> None:
    """Or the test above could not fail."""

    def look(tx: Tx) -> bool:
        furnish(tx, OTHER)
        ours = furnish(tx, ORG)
        before = contents(tx)
        found = LOOKS[name](tx, ORG, ours)
        return bool(found) or contents(tx) != before

    assert await database.write(look)


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
