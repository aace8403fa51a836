"""Tests and suites ⇄ scenarios."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vivavoce.core.event import Millis
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.tool import ToolMock
from vivavoce.files import schema
from vivavoce.files.plain import plain
from vivavoce.files.schema import FREE, HANG_UP, Common, Mock, Named, NamedCheck, Say, Test, word_of

MAX_NAME = 100
"""Characters of a criterion without a name that name it."""

_HOISTED = (
    "assistant",
    "destination",
    "medium",
    "persona",
    "variables",
    "mocks",
    "max_duration_seconds",
    "turn_limit",
    "utterance_limit",
    "tester_model",
    "repeats",
)
"""What a suite says for all of its tests, in this order."""

Aim = Callable[[Scenario], Mapping[str, Any]]
"""Where a scenario goes, as a document says it: ``assistant`` or ``destination``."""


# --- from the document ----------------------------------------------------------------------------------------------


def blank(now: Millis) -> Scenario:
    """What a new scenario begins with."""
    return Scenario("", "", "", "", (), now)


def laid_over(before: Scenario, test: Test, target: str, suite: str | None, common: Common | None = None) -> Scenario:
    """The scenario as the document of the test says it, and ``common`` where that does not; all else stays. A test is
    complete: what neither of them says has its default.

    Variables of both count, the test's own first; so do mocks, of which the test's own stand first.
    """

    def said(name: str) -> Any:
        mine = getattr(test, name)
        return mine if mine is not None or common is None else getattr(common, name)

    words = [word_of(turn) for turn in test.turns]
    ends = words[-1:] == [HANG_UP]
    return replace(
        before,
        name=test.name,
        target=target,
        brief=test.scenario or "",
        criteria=tuple(_criteria(test)),
        medium=said("medium") or Medium.WEB_CHAT,
        description=test.description,
        suite=suite,
        max_duration_s=said("max_duration_seconds"),
        turn_limit=said("turn_limit"),
        utterance_limit=said("utterance_limit"),
        tester_model=said("tester_model"),
        mocks=tuple(map(_mock, [*test.mocks, *(common.mocks if common else ())])),
        variables={**(common.variables if common else {}), **test.variables},
        persona=said("persona"),
        lines=tuple(_line(turn) for turn in (test.turns[:-1] if ends else test.turns)),
        hangs_up=ends,
        repeats=said("repeats") or 1,
    )


def _line(turn: schema.Say | schema.Free | schema.HangUp | str) -> str | None:
    return None if word_of(turn) is not None else turn.say if isinstance(turn, Say) else str(turn)


def _mock(mock: Mock) -> ToolMock:
    return ToolMock(mock.tool, mock.output, mock.arguments, mock.ok)


def _criteria(test: Test) -> Iterator[Criterion]:
    taken: set[str] = set()
    written: list[tuple[Named | NamedCheck | dict[str, str] | str, bool]] = [
        *((one, False) for one in test.criteria),
        *((one, True) for one in test.checks),
    ]
    for one, computed in written:
        if isinstance(one, str):
            name, text = named_by(one, taken), one
        elif isinstance(one, dict):
            ((name, text),) = one.items()
        else:
            name, text = one.name, one.text
        taken.add(name)
        yield Criterion(name, text, computed)


def named_by(text: str, taken: set[str] | frozenset[str] = frozenset()) -> str:
    """The name of a criterion that was given none: its text, cut; one that is taken gets a number."""
    folded = " ".join(text.split())
    name, count = _cut(folded, MAX_NAME), 1
    while name in taken:
        count += 1
        mark = f" ({count})"
        name = _cut(folded, MAX_NAME - len(mark)) + mark
    return name


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


# --- to the document ------------------------------------------------------------------------------------------------


def of_scenario(scenario: Scenario, aim: Mapping[str, Any]) -> dict[str, Any]:
    """The document of one test; ``aim`` says where it goes. What is unset is left out."""
    turns = [_turn(line) for line in scenario.lines] + ([HANG_UP] if scenario.hangs_up else [])
    said: dict[str, Any] = {
        "name": scenario.name,
        "description": scenario.description,
        **aim,
        "medium": None if scenario.medium is Medium.WEB_CHAT else scenario.medium.value,
        "persona": scenario.persona,
        "scenario": scenario.brief or None,
        "turns": turns,
        "variables": dict(scenario.variables),
        "mocks": plain(scenario.mocks),
        "criteria": [_criterion(one) for one in scenario.criteria if not one.computed],
        "checks": [_criterion(one) for one in scenario.criteria if one.computed],
        "max_duration_seconds": scenario.max_duration_s,
        "turn_limit": scenario.turn_limit,
        "utterance_limit": scenario.utterance_limit,
        "tester_model": scenario.tester_model,
        "repeats": None if scenario.repeats == 1 else scenario.repeats,
    }
    return {key: value for key, value in said.items() if value not in (None, [], {})}


def of_suite(name: str, found: Sequence[Scenario], aim: Aim) -> dict[str, Any]:
    """The document of a suite with these tests. What all of them say alike is said once."""
    tests = [of_scenario(one, aim(one)) for one in found]
    first = tests[0]
    shared = {key: first[key] for key in _HOISTED if key in first and all(one.get(key) == first[key] for one in tests)}
    return {
        "suite": name,
        **shared,
        "tests": [{key: value for key, value in one.items() if key not in shared} for one in tests],
    }


def _turn(line: str | None) -> Any:
    return FREE if line is None else {"say": line} if line in (FREE, HANG_UP) else line


def _criterion(criterion: Criterion) -> Any:
    if criterion.name == named_by(criterion.text):
        return criterion.text
    return {"name": criterion.name, "text": criterion.text}
