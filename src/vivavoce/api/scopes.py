"""Which scope an operation needs. Reading needs ``read``, everything else ``admin``, unless an API's own table says
otherwise: a route that nobody thought of is closed rather than open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from re import Pattern

from starlette.routing import compile_path

from vivavoce.core.scope import Scope

_READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What requests of this method to paths of this form need."""

    method: str
    form: Pattern[str]
    scope: Scope


def rules(table: Mapping[str, Scope]) -> tuple[Rule, ...]:
    """The rules from a table such as ``{"POST /things/{thing_id}/runs": Scope.RUN}``. Paths are written as the routes
    write them, and match what the routes match."""
    made: list[Rule] = []
    for name, scope in table.items():
        method, path = name.split(" ")
        made.append(Rule(method, compile_path(path)[0], scope))
    return tuple(made)


def needed(known: Sequence[Rule], method: str, path: str) -> Scope:
    """The scope that a request needs; ``path`` is that below the API's root."""
    for rule in known:
        if rule.method == method and rule.form.match(path):
            return rule.scope
    return Scope.READ if method in _READING else Scope.ADMIN
