"""The served description is true: whatever follows it, or just fails to, gets an answer that it describes."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
import requests
import schemathesis.checks
import schemathesis.specs.openapi.checks
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from tests.support.raw import send
from tests.support.retell_routes import ROUTES, World, make_world
from tests.support.route import Route
from tests.support.server import Server

EXAMPLES = 8
DESCRIBED: Any = schemathesis.specs.openapi.checks
CHECKS = [
    cast("Any", schemathesis.checks).not_a_server_error,
    DESCRIBED.status_code_conformance,
    DESCRIBED.content_type_conformance,
    DESCRIBED.response_schema_conformance,
]


@pytest.fixture(scope="module")
def world(wild_server: Server) -> World:
    return make_world(wild_server)


@pytest.fixture(scope="module")
def description(wild_server: Server) -> Any:
    answer = send(wild_server, "GET", "/openapi.json")
    assert answer.status == 200
    return answer.json


@pytest.fixture(scope="module")
def schema(description: Any) -> Any:
    found = schemathesis.openapi.from_dict(description, config=schemathesis.Config(seed=1))
    found.config.generation.with_security_parameters = False  # the key is always the right one
    return found


@pytest.fixture(scope="module")
def session(wild_server: Server) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers.update(wild_server.headers)
        session.trust_env = False
        yield session


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("route", ROUTES, ids=lambda one: one.name)
def test_every_answer_is_one_that_is_described(
    world: World, description: Any, schema: Any, session: requests.Session, route: Route, mode: GenerationMode
) -> None:
    plain = re.compile(r"\{\w+\}")
    path = next(one for one in description["paths"] if plain.sub("{}", one) == plain.sub("{}", route.path))
    operation = schema[path][route.method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        return  # there is nothing to get wrong
    ids: Mapping[str, str] = {} if route.method == "DELETE" or mode is GenerationMode.NEGATIVE else world.ids
    turn = itertools.count()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if ids and next(turn) % 2:
            case.path_parameters = {name: ids.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(world.server.url, session, checks=CHECKS)

    check()


def test_the_description_names_the_key_and_every_refusal(description: Any) -> None:
    [scheme] = description["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, ways in description["paths"].items():
        for method, operation in ways.items():
            refusals = {"400", "401", "404", "405", "413", "422", "429"}
            assert refusals <= set(operation["responses"]), f"{method} {path}"


def test_nothing_surprised_the_server(wild_server: Server) -> None:
    assert "request failed" not in wild_server.log
    assert "Traceback" not in wild_server.log
