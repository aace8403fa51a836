"""Which scope which operation needs; that the gate asks for it: ``test_gate.py``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI

from vivavoce.api.retell import application as retell
from vivavoce.api.retell import scopes as retell_scopes
from vivavoce.api.scopes import Rule, needed, rules
from vivavoce.api.telnyx import application as telnyx
from vivavoce.api.telnyx import scopes as telnyx_scopes
from vivavoce.api.viva import application as viva
from vivavoce.api.viva import scopes as viva_scopes
from vivavoce.core.scope import Scope

CONTEXT: Any = SimpleNamespace()


@dataclass(frozen=True)
class Api:
    app: FastAPI
    rules: Sequence[Rule]

    @property
    def operations(self) -> list[tuple[str, str]]:
        """(method, path) of every operation that is described."""
        paths = cast("dict[str, dict[str, Any]]", self.app.openapi()["paths"])
        return [(method.upper(), path) for path, ways in paths.items() for method in ways]


APIS = {
    "telnyx": Api(telnyx.application(CONTEXT), telnyx_scopes.RULES),
    "retell": Api(retell.application(CONTEXT), retell_scopes.RULES),
    "viva": Api(viva.application(CONTEXT), viva_scopes.RULES),
}
each_api = pytest.mark.parametrize("api", APIS.values(), ids=list(APIS))


def filled(path: str, value: str = "x-1") -> str:
    return re.sub(r"\{\w+\}", value, path)


@each_api
def test_every_rule_is_about_an_operation_that_there_is(api: Api) -> None:
    for rule in api.rules:
        mine = [path for method, path in api.operations if method == rule.method and rule.form.match(filled(path))]
        assert mine, rule


@each_api
@pytest.mark.parametrize("value", ["x-1", "tests", "chat", "runs", "conversations"])
def test_no_rule_is_about_an_operation_that_it_does_not_name(api: Api, value: str) -> None:
    """Whatever stands in the place of an id, one operation is never taken for another that needs less."""
    for method, path in api.operations:
        # Where the path is then, as written, that of another operation, that one answers.
        if (method, filled(path, value)) not in api.operations:
            wanted = needed(api.rules, method, filled(path))
            assert needed(api.rules, method, filled(path, value)) is wanted, f"{method} {path}"


@each_api
def test_reading_needs_to_read_and_the_rest_an_admin(api: Api) -> None:
    """Unless a rule says otherwise; which do is listed in ``tests/contract/test_isolation.py``."""
    for method, path in (("GET", "/nothing"), ("HEAD", "/nothing")):
        assert needed(api.rules, method, path) is Scope.READ
    for method in ("POST", "PUT", "PATCH", "DELETE", "MADE-UP"):
        assert needed(api.rules, method, "/nothing") is Scope.ADMIN


def test_rules_match_what_routes_match() -> None:
    made = rules({"POST /a/{id}/run": Scope.RUN, "POST /b/{name:path}/run": Scope.READ, "GET /c": Scope.ADMIN})
    for method, path, scope in (
        ("POST", "/a/1/run", Scope.RUN),
        ("POST", "/a/1/2/run", Scope.ADMIN),
        ("POST", "/a//run", Scope.ADMIN),
        ("POST", "/a/1/run/", Scope.ADMIN),
        ("PUT", "/a/1/run", Scope.ADMIN),
        ("POST", "/b/1/2/run", Scope.READ),
        ("GET", "/c", Scope.ADMIN),
        ("GET", "/c/d", Scope.READ),
    ):
        assert needed(made, method, path) is scope, path
