"""Every operation of every API, and a server to try them on."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import JSON, Select, Table, Text, cast, select, text

from tests.support import retell_routes, routes, viva_routes
from tests.support.raw import Answer, send_json
from tests.support.route import Route
from tests.support.server import Server, record
from vivavoce.storage.orgs import DEFAULT
from vivavoce.storage.tables import metadata

UNCOMPARED = {"workers", "tallies", "orgs", "notes"}
"""``workers`` are nobody's, and ``tallies`` and what they count are brought up to date by the server itself, as are the
``notes`` of conversations."""


@dataclass(frozen=True)
class Case:
    """An operation of one of the APIs; ``root`` is where that is mounted."""

    api: str
    root: str
    route: Route

    @property
    def name(self) -> str:
        return f"{self.api} {self.route.name}"


CASES = [
    Case(api, root, route)
    for api, root, table in (
        ("telnyx", "/v2", routes.ROUTES),
        ("retell", "", retell_routes.ROUTES),
        ("viva", viva_routes.ROOT, viva_routes.ROUTES),
    )
    for route in table
]


def each(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda one: one.name)


@dataclass(frozen=True)
class World:
    """A server on which the first organisation has one of everything, and the keys of others to it."""

    server: Server
    telnyx: routes.World
    retell: retell_routes.World
    viva: Mapping[str, str]
    secrets: Mapping[str, str]

    def ids(self, case: Case) -> Mapping[str, str]:
        return {"telnyx": self.telnyx.ids, "retell": self.retell.ids, "viva": self.viva}[case.api]

    def body(self, case: Case) -> Any:
        if case.api == "telnyx":
            return self.telnyx.body(case.route)
        return replace(self.retell, ids=self.ids(case)).filled(case.route.body)

    def path(self, case: Case, **other: str) -> str:
        if case.api == "retell":
            return self.retell.path(case.route, **other)
        return case.root + case.route.path.format(**{**self.ids(case), **other})

    def send(self, who: str, case: Case, path: str, body: Any = None) -> Answer:
        return send_json(replace(self.server, key=self.secrets[who]), case.route.method, path, body)

    def rows(self) -> dict[str, Counter[Any]]:
        """What is kept: of the first organisation, and of nobody in particular."""

        def query(table: Table) -> Select[Any]:
            # Of two rows with JSON in them nobody could say how often they are there.
            columns = [cast(one, Text) if isinstance(one.type, JSON) else one for one in table.c if one.name != "tally"]
            return select(*columns).where(table.c.org == DEFAULT) if "org" in table.c else select(*columns)

        with record(self.server.data_dir) as database:
            return {
                table.name: Counter(map(tuple, database.execute(query(table))))
                for table in metadata.sorted_tables
                if table.name not in UNCOMPARED
            }

    def busy(self) -> int:
        """How many runs and duties are not done; the server's own come back for ever."""
        with record(self.server.data_dir) as database:
            runs = "SELECT count(*) FROM runs WHERE status NOT IN ('passed', 'failed', 'error')"
            soon = f"due_at <= {round(time.time() * 1000) + 5000}"
            duties = f"SELECT count(*) FROM duties WHERE org = '{DEFAULT}' AND {soon}"
            return sum(database.execute(text(query)).scalar_one() for query in (runs, duties))
