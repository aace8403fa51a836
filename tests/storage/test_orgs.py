"""No query of the store finds what belongs to another organisation."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Table, select
from tests.support.store import ORG, a_conversation, a_scenario, an_assistant, put_run

from vivavoce.core.assistant import Assistant
from vivavoce.core.conversation import Conversation
from vivavoce.core.filter import Filter
from vivavoce.core.run import Run
from vivavoce.core.scenario import Scenario
from vivavoce.storage import answers, assistants, conversations, keys, runs, scenarios
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.storage.tables import metadata

MODULES: list[ModuleType] = [answers, assistants, conversations, keys, runs, scenarios]
OTHER = "org-b"


@dataclass
class Things:
    """One of everything, in one organisation."""

    assistant: Assistant
    scenario: Scenario
    run: Run
    conversation: Conversation


def furnish(tx: Tx, org: str) -> Things:
    """Every organisation gets the same names, so that only ``org`` tells them apart."""
    assistant, scenario = an_assistant(), a_scenario(suite="suite", target="t")
    assistants.add(tx, org, assistant)
    scenarios.add(tx, org, scenario)
    run = put_run(tx, scenario=scenario, org=org)
    conversation = a_conversation(name="talk", metadata={"a": "b"})
    conversations.add(tx, org, [conversation])
    return Things(assistant, scenario, run, conversation)


Look = Callable[[Tx, str, Things], Any]
"""Calls one function for an organisation, with the ids of somebody's things."""

WINDOW = Window(1, 50)
LOOKS: dict[str, Look] = {
    "assistants.get": lambda tx, org, of: assistants.get(tx, org, of.assistant.id),
    "assistants.get locked": lambda tx, org, of: assistants.get(tx, org, of.assistant.id, lock=True),
    "assistants.get_all": lambda tx, org, of: [a for a in assistants.get_all(tx, org) if a.id == of.assistant.id],
    "assistants.erase": lambda tx, org, of: assistants.erase(tx, org, of.assistant.id),
    "scenarios.get": lambda tx, org, of: scenarios.get(tx, org, of.scenario.id),
    "scenarios.get locked": lambda tx, org, of: scenarios.get(tx, org, of.scenario.id, lock=True),
    "scenarios.put": lambda tx, org, of: scenarios.put(tx, org, replace(of.scenario, name="stolen", suite="stolen")),
    "scenarios.drop": lambda tx, org, of: scenarios.drop(tx, org, of.scenario.id),
    "scenarios.get_page": lambda tx, org, of: [
        s for s in scenarios.get_page(tx, org, ScenarioFilter(), WINDOW).items if s.id == of.scenario.id
    ],
    "scenarios.get_suite": lambda tx, org, of: [
        s for s in scenarios.get_suite(tx, org, "suite") if s.id == of.scenario.id
    ],
    "conversations.get": lambda tx, org, of: conversations.get(tx, org, of.conversation.id),
    "conversations.get_filtered": lambda tx, org, of: [
        c for c in conversations.get_filtered(tx, org, Filter(), 50) if c.id == of.conversation.id
    ],
    "runs.get": lambda tx, org, of: runs.get(tx, org, of.run.id),
    "runs.get of scenario": lambda tx, org, of: runs.get(tx, org, of.run.id, of.scenario.id),
    "runs.get_page": lambda tx, org, of: [
        r for r in runs.get_page(tx, org, RunFilter(), WINDOW).items if r.id == of.run.id
    ],
    "runs.get_page of scenario": lambda tx, org, of: (
        runs.get_page(tx, org, RunFilter(scenario_id=of.scenario.id), WINDOW).items
    ),
}
ELSEWHERE = {
    "assistants.add",
    "scenarios.add",
    "conversations.add",
    "runs.add",  # these make what the others look for
    "scenarios.get_suites",  # below
}


def contents(tx: Tx) -> dict[str, list[Any]]:
    def rows(table: Table) -> list[Any]:
        return sorted(map(tuple, tx.execute(select(table))), key=repr)

    return {table.name: rows(table) for table in metadata.sorted_tables}


def test_every_function_that_takes_an_organisation_is_tried() -> None:
    taking = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and "org" in inspect.signature(function).parameters
    }
    assert taking == {name.split()[0] for name in LOOKS} | ELSEWHERE


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
        ours = furnish(tx, ORG)
        before = contents(tx)
        found = LOOKS[name](tx, ORG, ours)
        return bool(found) or contents(tx) != before

    assert await database.write(look)


async def test_suites_are_an_organisations_own(database: Database) -> None:
    def look(tx: Tx) -> tuple[str, ...]:
        scenarios.add(tx, OTHER, a_scenario(suite="theirs"))
        scenarios.add(tx, ORG, a_scenario(suite="ours"))
        return scenarios.get_suites(tx, ORG)

    assert await database.write(look) == ("ours",)


async def test_pages_count_an_organisations_own(database: Database) -> None:
    def look(tx: Tx) -> tuple[int, int]:
        furnish(tx, ORG)
        furnish(tx, OTHER)
        furnish(tx, OTHER)
        return (
            runs.get_page(tx, ORG, RunFilter(), WINDOW).total,
            scenarios.get_page(tx, ORG, ScenarioFilter(), WINDOW).total,
        )

    assert await database.write(look) == (1, 1)


async def test_a_kept_answer_is_an_organisations_own(database: Database) -> None:
    def look(tx: Tx) -> object:
        mine = answers.Request(ORG, "key", "POST", "/path", "digest")
        assert answers.begin(tx, mine, 1) is None
        answers.finish(tx, mine, 201, "{}")
        return answers.begin(tx, replace(mine, org=OTHER), 1)

    assert await database.write(look) is None
