"""The served description is true: whatever follows it, or just fails to, gets an answer that it describes.

The requests are made up from the description, always the same ones. Where a path has ids, every other request names
objects that exist.
"""

import itertools
from collections.abc import Iterator
from typing import Any, cast

import pytest
import requests
import schemathesis.checks
import schemathesis.specs.openapi.checks
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from tests.support.raw import send
from tests.support.routes import ROUTES, Route, World, make_world
from tests.support.server import Server

EXAMPLES = 8
DESCRIBED: Any = schemathesis.specs.openapi.checks
CHECKS = [
    cast("Any", schemathesis.checks).not_a_server_error,
    DESCRIBED.status_code_conformance,
    DESCRIBED.content_type_conformance,
    DESCRIBED.response_headers_conformance,
    DESCRIBED.response_schema_conformance,
    DESCRIBED.negative_data_rejection,
]
NOTHING_TO_GET_WRONG = {
    "GET /ai/assistants",
    "GET /ai/assistants/tags",
    "GET /ai/assistants/tests/test-suites",
    "GET /ai/integrations",
    "GET /ai/integrations/connections",
    "GET /ai/models",
    "GET /ai/openai/models",
}
NEVER_RIGHT_BY_CHANCE = {
    "POST /ai/assistants/{assistant_id}/chat",
    "POST /ai/assistants/{assistant_id}/scheduled_events",  # retries and their interval come together, or not at all
    "POST /ai/assistants/import",  # names a provider's key
    "GET /ai/integrations/connections/{user_connection_id}",  # only the operator makes connections
}
WAYS = [
    (route, mode)
    for route in ROUTES
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or route.name not in NOTHING_TO_GET_WRONG
]


@pytest.fixture(scope="module")
def world(wild_server: Server) -> World:
    return make_world(wild_server)


@pytest.fixture(scope="module")
def description(wild_server: Server) -> Any:
    answer = send(wild_server, "GET", "/v2/openapi.json")
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


@pytest.mark.parametrize(("route", "mode"), WAYS, ids=lambda one: one.name)
def test_every_answer_is_one_that_is_described(
    world: World, schema: Any, session: requests.Session, route: Route, mode: GenerationMode
) -> None:
    operation = schema[route.path][route.method]
    # What is deleted has to be somebody else's, and a bad id must stay bad.
    ids = None if route.method == "DELETE" or mode is GenerationMode.NEGATIVE else world.fresh(route).ids
    turn, answered = itertools.count(), set[int]()

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
            case.path_parameters = {name: ids[name] for name in case.path_parameters}
        answered.add(case.call_and_validate(f"{world.server.url}/v2", session, checks=CHECKS).status_code)

    check()
    if ids and route.name not in NEVER_RIGHT_BY_CHANCE:
        assert route.success in answered


def test_the_description_names_the_key_and_every_refusal(description: Any) -> None:
    [scheme] = description["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert description["security"] == [{name: []} for name in description["components"]["securitySchemes"]]
    for path, ways in description["paths"].items():
        for method, operation in ways.items():
            refusals = {"400", "401", "404", "405", "413", "422", "429"}
            assert refusals <= set(operation["responses"]), f"{method} {path}"


def test_nothing_surprised_the_server(wild_server: Server) -> None:
    assert "request failed" not in wild_server.log
    assert "a library warned" not in wild_server.log
    assert "Traceback" not in wild_server.log
