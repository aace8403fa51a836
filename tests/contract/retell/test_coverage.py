"""Every operation of the contract is served, exercised by the SDKs, and listed in the documentation."""

import ast
import json
import re
from collections.abc import Iterator
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import retell
from tests.support.retell_routes import ROUTES

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OPERATIONS: list[dict[str, Any]] = json.loads((HERE / "operations.json").read_text("utf-8"))
IDS = [one["operation"] for one in OPERATIONS]
PLACEHOLDER = re.compile(r"\{\w+\}")


def marked() -> Iterator[str]:
    """The operations that tests of this directory are marked with."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.operation":
                    yield from (ast.literal_eval(argument) for argument in decorator.args)


def shape(path: str) -> str:
    return PLACEHOLDER.sub("{}", path)


def test_there_are_as_many_as_the_contract_counts() -> None:
    assert len(IDS) == len(set(IDS)) == 72


@pytest.mark.parametrize(
    "one", [one for one in OPERATIONS if "6.2.13" in one["since"]], ids=lambda one: one["operation"]
)
def test_the_sdk_has_it(one: dict[str, Any]) -> None:
    assert version("retell-sdk") == "6.2.13"
    client: Any = retell.Retell(api_key="k")
    assert callable(reduce(getattr, one["operation"].split("."), client))


def test_all_of_them_are_served_and_nothing_else() -> None:
    served = {(route.method, shape(route.path), route.success) for route in ROUTES}
    assert served == {(one["method"], shape(one["path"]), one["success"]) for one in OPERATIONS}


def test_the_python_sdk_exercises_every_one() -> None:
    """That a marked test really sends the request is checked by the fixture ``operations_are_really_called``."""
    assert set(marked()) == set(IDS)


def test_the_npm_sdk_exercises_every_one() -> None:
    """That all areas are run is checked by the count at the end of the script's output."""
    areas = [path.read_text("utf-8") for path in sorted((ROOT / "tests" / "npm" / "retell").glob("*.mjs"))]
    found = [name for area in areas for name in re.findall(r'^\s*"([a-z_.0-9]+)": async', area, re.MULTILINE)]
    assert sorted(found) == sorted(IDS)


def test_the_documentation_lists_every_one() -> None:
    text = (ROOT / "docs" / "reference" / "compatibility-retell.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_.0-9]+)` \| `([A-Z]+) ([^`]+)` \|", text, re.MULTILINE)
    assert rows == [(one["operation"], one["method"], one["path"]) for one in OPERATIONS]
