"""Every operation of the vendor's SDK is served, exercised by both SDKs, and listed in the documentation."""

import ast
import json
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from telnyx import Telnyx
from tests.support.routes import ROUTES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OPERATIONS: list[dict[str, str]] = json.loads((HERE / "operations.json").read_text("utf-8"))
IDS = [one["operation"] for one in OPERATIONS]
PLACEHOLDER = re.compile(r"\{\w+\}")


def marked() -> Iterator[tuple[str, str]]:
    """(operation, test) of every mark in this directory."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.operation":
                    for argument in decorator.args:
                        yield ast.literal_eval(argument), f"{path.name}::{node.name}"


def shape(path: str) -> str:
    return PLACEHOLDER.sub("{}", path)


def test_there_are_as_many_as_the_contract_counts() -> None:
    assert len(IDS) == len(set(IDS)) == 86


@pytest.mark.parametrize("operation", IDS)
def test_the_sdk_has_it(operation: str) -> None:
    client: Any = Telnyx(api_key="k")
    assert callable(reduce(getattr, operation.split("."), client))


@pytest.mark.parametrize("one", OPERATIONS, ids=IDS)
def test_it_is_served(one: dict[str, str]) -> None:
    assert (one["method"], shape(one["path"])) in {(route.method, shape(route.path)) for route in ROUTES}


def test_the_python_sdk_exercises_every_one() -> None:
    """That a marked test really sends the request is checked by the fixture ``operations_are_really_called``."""
    assert {operation for operation, _ in marked()} == set(IDS)


def test_the_npm_sdk_exercises_every_one() -> None:
    script = (ROOT / "tests" / "npm" / "operations.mjs").read_text("utf-8")
    assert set(re.findall(r'^\s*"([a-z_.0-9]+)": async', script, re.MULTILINE)) == set(IDS)


def test_the_documentation_lists_every_one() -> None:
    text = (ROOT / "docs" / "reference" / "compatibility.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_.0-9]+)` \| `([A-Z]+) ([^`]+)` \|", text, re.MULTILINE)
    assert rows == [(one["operation"], one["method"], one["path"]) for one in OPERATIONS]
