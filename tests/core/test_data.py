import dataclasses
import importlib
import pkgutil
from enum import Enum, IntEnum

import pytest

import vivavoce.core
from vivavoce.core.assistant import Version
from vivavoce.core.component import Component
from vivavoce.core.flow import Flow
from vivavoce.core.knowledge import Source
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.scenario import Medium, Scenario
from vivavoce.core.server import McpServer
from vivavoce.core.tool import FunctionTool, HangupTool, ToolMock

MODULES = [
    importlib.import_module(f"vivavoce.core.{found.name}") for found in pkgutil.iter_modules(vivavoce.core.__path__)
]
RECORDS = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
]


def test_there_are_records_to_look_at() -> None:
    assert {"Message", "Run", "Scenario", "Version", "Conversation", "Filter"} <= {kind.__name__ for kind in RECORDS}


# Whoever does the work writes down how it went, for those who watch.
WRITTEN = {"DutyWork", "RequestWork", "RunWork"}


@pytest.mark.parametrize(
    "kind", [kind for kind in RECORDS if kind.__name__ not in WRITTEN], ids=lambda kind: kind.__name__
)
def test_the_language_of_the_house_is_frozen(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert hasattr(kind, "__slots__")


def test_what_is_not_given_is_empty_and_not_shared() -> None:
    tools = [FunctionTool("a"), FunctionTool("b"), HangupTool()]
    versions = [Version(name, "a", "n", "i", 0) for name in "ab"]
    scenarios = [Scenario(name, "n", "t", "b", (), 0) for name in "ab"]
    mappings = [tool.extra for tool in tools]
    mappings += [each for one in versions for each in (one.variables, one.extra)]
    mappings += [each for one in scenarios for each in (one.variables, one.extra)]
    mappings += [McpServer(name, "s", "http", "http", "u", 0).extra for name in "ab"]
    assert all(each == {} for each in mappings)
    assert len({id(each) for each in mappings}) == len(mappings)


def test_words_that_are_stored_are_written_in_small_letters() -> None:
    enums = [kind for module in MODULES for kind in vars(module).values() if isinstance(kind, type)]
    values = [
        member.value for kind in enums if issubclass(kind, Enum) for member in kind if not issubclass(kind, IntEnum)
    ]
    assert values
    assert all(isinstance(value, str) and value == value.lower() for value in values)


@pytest.mark.parametrize(
    ("medium", "spoken"),
    [(Medium.PHONE_CALL, True), (Medium.WEB_CALL, True), (Medium.SMS_CHAT, False), (Medium.WEB_CHAT, False)],
)
def test_calls_carry_a_voice(medium: Medium, spoken: bool) -> None:
    assert medium.spoken is spoken


def test_a_model_failure_says_why_to_a_program_and_to_a_person() -> None:
    failure = ModelFailure(Trouble.REFUSED, "the key is wrong")
    assert (failure.trouble, str(failure)) == (Trouble.REFUSED, "the key is wrong")


def test_a_mock_without_arguments_matches_any_call_of_its_tool() -> None:
    mock = ToolMock("book", "done")
    assert mock.matches("book", {"day": 3})
    assert not mock.matches("cancel", {"day": 3})


@pytest.mark.parametrize(
    ("arguments", "matches"),
    [
        ({"day": 3, "who": {"name": "Ada"}}, True),
        ({"day": 3, "who": {"name": "Ada"}, "note": "more"}, True),
        ({"day": 4, "who": {"name": "Ada"}}, False),
        ({"day": 3, "who": {"name": "Eve"}}, False),
        ({"day": 3}, False),
        ({}, False),
    ],
)
def test_every_argument_of_a_mock_must_be_equal_deeply_and_more_are_welcome(
    arguments: dict[str, object], matches: bool
) -> None:
    assert ToolMock("book", "done", {"day": 3, "who": {"name": "Ada"}}).matches("book", arguments) is matches


def test_a_mock_that_asks_for_an_absent_value_is_not_matched_by_a_missing_one() -> None:
    assert not ToolMock("book", "done", {"note": None}).matches("book", {})


def test_a_component_keeps_nothing_more_than_it_is_given() -> None:
    assert Component("c", "n", Flow("", ()), 0, 0).extra == {}


def test_a_page_waits_until_it_was_fetched_or_could_not_be() -> None:
    page = Source("p", "page", "https://example.com")
    assert page.waits
    assert not dataclasses.replace(page, taken_at=1).waits
    assert not dataclasses.replace(page, fault="away").waits
