"""Paths → suites to be run."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vivavoce.files.reading import SuiteFile, Unreadable, read_suites
from vivavoce.reports.results import Problem
from vivavoce.running.suites import Plan

ENDINGS = (".viva.yaml", ".viva.yml", ".viva.json")
"""What the name of a suite's file ends in, so that it is found in a directory."""


class NotLoaded(Exception):
    """The paths lead to no suites that can be run; ``problems`` are all the reasons."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def load(paths: Sequence[Path]) -> tuple[Plan, ...]:
    """The suites of these files, and of all files below these directories whose names end as ``ENDINGS`` say. Raises
    ``NotLoaded`` with everything that is wrong in any of them."""
    problems: list[Problem] = []
    found = dict.fromkeys(file for path in paths for file in _files(path, problems))
    try:
        suites = read_suites(list(found))
    except Unreadable as failure:
        problems += [
            Problem(fault.message, str(fault.place.path), fault.place.line, fault.place.column)
            for fault in failure.faults
        ]
        raise NotLoaded(problems) from failure
    problems += _twice(suites)
    if problems:
        raise NotLoaded(problems)
    return tuple(plan(one) for one in suites)


def plan(file: SuiteFile) -> Plan:
    """The suite of a file as it is run."""
    lines = {test.name: file.place("tests", number).line for number, test in enumerate(file.suite.tests)}
    return Plan(file.document, str(file.path), lines, _pointed(file))


def _pointed(file: SuiteFile) -> Callable[[str, str], Problem]:
    def problem(message: str, pointer: str) -> Problem:
        place = file.pointed(pointer)
        return Problem(message, str(place.path), place.line, place.column)

    return problem


def _files(path: Path, problems: list[Problem]) -> Iterator[Path]:
    if not path.is_dir():
        if path.exists():
            yield path
        else:
            problems.append(Problem("there is no such file or directory", str(path)))
        return
    found = sorted(_below(path))
    if not found:
        problems.append(Problem(f"no file below it ends in {', '.join(ENDINGS)}", str(path)))
    yield from found


def _below(directory: Path) -> Iterator[Path]:
    for place, inner, files in os.walk(directory):
        inner[:] = [name for name in inner if not name.startswith(".") and name != "node_modules"]
        yield from (Path(place, name) for name in files if name.endswith(ENDINGS))


def _twice(suites: Sequence[SuiteFile]) -> Iterator[Problem]:
    """A server knows a test by the names of its suite and its own: of two files the later would change it under the
    hands of the first."""
    seen: dict[tuple[str, str], str] = {}
    for file in suites:
        for number, test in enumerate(file.suite.tests):
            place = file.place("tests", number)
            before = seen.setdefault((file.suite.suite, test.name), f"{place.path}:{place.line}")
            if before != f"{place.path}:{place.line}":
                what = f"the suite {file.suite.suite!r} has the test {test.name!r} in {before} already"
                yield Problem(what, str(place.path), place.line, place.column)
