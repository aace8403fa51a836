"""What every function of the store that takes an organisation finds, for tests of who finds what."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from tests.support.store import NOW
from tests.support.things import ORIGIN, OURS, THEIRS, Things
from vivavoce.core.assistant import Form
from vivavoce.core.filter import Comparison, Field, Filter, Op, Order
from vivavoce.core.insight import FindingStatus
from vivavoce.core.text import TextStatus
from vivavoce.storage import (
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
    lately,
    libraries,
    memory,
    notes,
    results,
    run_pages,
    runs,
    scenarios,
    schedules,
    search,
    secrets,
    servers,
    stopping,
    talk_pages,
    texts,
    tools,
    watching,
)
from vivavoce.storage.appointments import AppointmentFilter
from vivavoce.storage.conversations import TalkFilter
from vivavoce.storage.database import Tx
from vivavoce.storage.documents import Piece
from vivavoce.storage.page import Span, Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.storage.texts import TextFilter

Look = Callable[[Tx, str, Things], Any]
"""Calls one function for an organisation, with the ids of somebody's things."""

WINDOW = Window(1, 50)


def only(id_: str, found: Any) -> list[Any]:
    """Of what was found the thing with this id: others have some of the same name."""
    every = cast("tuple[Any, ...]", found) if isinstance(found, tuple) else (found,)
    return [one for one in every if one is not None and one.id == id_]


def pattern(value: str) -> tuple[Comparison]:
    return (Comparison(Field("assistant_id", metadata=True), Op.LIKE, value),)


def values(found: Comparison | None) -> object:
    return found.value if found else None


def talks(of: Things) -> TalkFilter:
    return TalkFilter(ids=(of.conversation.id,))


LOOKS: dict[str, Look] = {
    "appointments.get": lambda tx, org, of: appointments.get(tx, org, of.appointment.id),
    "appointments.get locked": lambda tx, org, of: appointments.get(tx, org, of.appointment.id, lock=True),
    "appointments.get_page": lambda tx, org, of: (
        appointments.get_page(tx, org, AppointmentFilter(of.assistant.id), WINDOW).items
    ),
    "appointments.get_page of all": lambda tx, org, of: only(
        of.appointment.id, appointments.get_page(tx, org, AppointmentFilter(), WINDOW).items
    ),
    "appointments.put": lambda tx, org, of: appointments.put(tx, org, replace(of.appointment, due_at=NOW + 1)),
    "appointments.drop": lambda tx, org, of: appointments.drop(tx, org, of.appointment.id),
    "assistants.get": lambda tx, org, of: assistants.get(tx, org, of.assistant.id),
    "assistants.get locked": lambda tx, org, of: assistants.get(tx, org, of.assistant.id, lock=True),
    "assistants.get deleted": lambda tx, org, of: assistants.get(tx, org, of.deleted.id, lock=True, deleted=True),
    "assistants.get_all": lambda tx, org, of: only(of.assistant.id, assistants.get_all(tx, org)),
    "assistants.get_page": lambda tx, org, of: only(
        of.assistant.id, assistants.get_page(tx, org, tuple(Form), WINDOW).items
    ),
    "assistants.get_named": lambda tx, org, of: only(
        of.assistant.id, assistants.get_named(tx, org, of.assistant.main.name)
    ),
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
    "assistants.find_version": lambda tx, org, of: assistants.find_version(tx, org, of.assistant.main.id),
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
    "findings.get_newest": lambda tx, org, of: only(of.finding.id, findings.get_newest(tx, org, 9)),
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
    "lately.newest_batches": lambda tx, org, of: only(of.batch.id, lately.newest_batches(tx, org, 9)),
    "lately.first_run": lambda tx, org, of: lately.first_run(tx, org, of.batch.id),
    "lately.newest_runs": lambda tx, org, of: list(lately.newest_runs(tx, org, [of.scenario.id])),
    "libraries.get": lambda tx, org, of: libraries.get(tx, org, of.library.id),
    "libraries.get locked": lambda tx, org, of: libraries.get(tx, org, of.library.id, lock=True),
    "libraries.get_all": lambda tx, org, of: only(of.library.id, libraries.get_all(tx, org, 50)),
    "libraries.put": lambda tx, org, of: libraries.put(tx, org, replace(of.library, name="stolen")),
    "libraries.drop": lambda tx, org, of: libraries.drop(tx, org, of.library.id),
    "memory.get_results": lambda tx, org, of: memory.get_results(tx, org, of.conversation.id, [of.insight.id]),
    "notes.values_like": lambda tx, org, of: values(notes.values_like(tx, org, pattern(of.assistant.id))),
    "notes.values_like_of_many": lambda tx, org, of: values(
        notes.values_like_of_many(tx, org, pattern(of.assistant.id))
    ),
    "notes.first_by": lambda tx, org, of: [
        id_ for id_ in notes.first_by(tx, org, (Order(Field("name")),), Filter(), 50) or () if id_ == of.conversation.id
    ],
    "runs.get": lambda tx, org, of: runs.get(tx, org, of.run.id),
    "runs.get of scenario": lambda tx, org, of: runs.get(tx, org, of.run.id, of.scenario.id),
    "runs.get_many": lambda tx, org, of: runs.get_many(tx, org, [of.run.id]),
    "runs.get_page": lambda tx, org, of: only(of.run.id, runs.get_page(tx, org, RunFilter(), WINDOW).items),
    "runs.get_page of scenario": lambda tx, org, of: (
        runs.get_page(tx, org, RunFilter(scenario_id=of.scenario.id), WINDOW).items
    ),
    "runs.get_slice": lambda tx, org, of: runs.get_slice(tx, org, of.batch.id, Span()).items,
    "runs.get_samples": lambda tx, org, of: list(runs.get_samples(tx, org, [of.batch.id])),
    "results.newest_batches": lambda tx, org, of: only(of.batch.id, results.newest_batches(tx, org, "suite", 9)),
    "results.last_batches": lambda tx, org, of: only(
        of.batch.id, tuple(results.last_batches(tx, org, ["suite"]).values())
    ),
    "results.counts": lambda tx, org, of: list(results.counts(tx, org, [of.batch.id])),
    "results.counts of suite": lambda tx, org, of: list(results.counts(tx, org, [of.batch.id], "suite")),
    "results.counts_by_suite": lambda tx, org, of: [id_ for id_, _ in results.counts_by_suite(tx, org, [of.batch.id])],
    "results.of_batch": lambda tx, org, of: results.of_batch(tx, org, of.batch.id),
    "results.of_runs": lambda tx, org, of: results.of_runs(tx, org, [of.run.id]),
    "results.names": lambda tx, org, of: list(results.names(tx, org, [of.run.id])),
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
    "search.get_filtered": lambda tx, org, of: only(of.conversation.id, search.get_filtered(tx, org, Filter(), 50)),
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
    "talk_pages.look_back": lambda tx, org, of: only(
        of.conversation.id, talk_pages.look_back(tx, org, Filter(), 9).items
    ),
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
