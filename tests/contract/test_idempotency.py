"""``Idempotency-Key``: the same request twice does the work once (contract, section 1.5)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from tests.support.raw import JSON, connect, read, send, send_json
from tests.support.routes import AI, KEYED, UNKNOWN, Route, World, each, is_detail, is_errors, make_world
from tests.support.server import Server

MAX_KEYED_BODY = 256 * 1024


@pytest.fixture(scope="module")
def world(live_server: Server) -> Iterator[World]:
    yield make_world(live_server)
    # Nothing of all this was a surprise to the server.
    assert "request failed" not in live_server.log
    assert "Traceback" not in live_server.log


def keyed(key: str) -> tuple[str, str]:
    return ("Idempotency-Key", key)


@each(KEYED)
def test_a_repeated_request_is_answered_as_before(world: World, route: Route) -> None:
    world = world.fresh(route)
    key, body = keyed(uuid4().hex), json.dumps(world.body(route)).encode()
    first = world.send(route, body, JSON, key)
    assert first.status == route.success
    assert "idempotent-replayed" not in first.headers
    made = world.count()
    again = world.send(route, body, JSON, key)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert world.count() == made

    pointer = "/header/Idempotency-Key"
    is_errors(world.send(route, body + b" ", JSON, key), 422, "10027", pointer)
    other_query = send(world.server, route.method, f"{world.path(route)}?a=b", body, [JSON, key])
    is_errors(other_query, 422, "10027", pointer)
    assert world.count() == made


@each(KEYED)
def test_of_two_requests_at_once_one_is_done(world: World, route: Route) -> None:
    world = world.fresh(route)
    key, body = keyed(uuid4().hex), json.dumps(world.body(route)).encode()
    before = world.count()
    with ThreadPoolExecutor(8) as pool:
        pending = [pool.submit(world.send, route, body, JSON, key) for _ in range(8)]
    answers = [one.result() for one in pending]
    done = [answer for answer in answers if answer.status == route.success]
    assert len({answer.body for answer in done}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in done) == 1
    for answer in answers:
        if answer not in done:
            is_errors(answer, 409, "10036", "/header/Idempotency-Key")
    assert sum(world.count()) == sum(before) + (2 if route.path.endswith("/runs") else route.makes)


@each(KEYED)
def test_keys_that_are_none(world: World, route: Route) -> None:
    body = json.dumps(world.body(route)).encode()
    before = world.count()
    for wrong in ("", "a b", "a/b", "ä", "x" * 256):
        refused = world.send(route, body, JSON, ("Idempotency-Key", wrong.encode().decode("latin-1")))
        is_errors(refused, 400, "10015", "/header/Idempotency-Key")
    twice = world.send(route, body, JSON, keyed("a"), keyed("a"))
    is_errors(twice, 400, "10015", "/header/Idempotency-Key")
    large = body + b" " * MAX_KEYED_BODY
    is_errors(world.send(route, large, JSON, keyed(uuid4().hex)), 413, "10007")
    assert world.count() == before


def test_a_key_belongs_to_its_path_and_is_free_again_after_a_failure(world: World) -> None:
    key = keyed(uuid4().hex)
    tests = f"{AI}/assistants/tests"
    missing = send_json(world.server, "POST", f"{tests}/{UNKNOWN}/runs", {}, [key])
    is_errors(missing, 404, "10005")
    again = send_json(world.server, "POST", f"{tests}/{UNKNOWN}/runs", {}, [key])
    is_errors(again, 404, "10005")
    assert "idempotent-replayed" not in again.headers
    elsewhere = send_json(world.server, "POST", f"{AI}/conversations", {}, [key])
    assert elsewhere.status == 200
    assert "idempotent-replayed" not in elsewhere.headers
    invalid = send_json(world.server, "POST", tests, {}, [keyed("k")])
    is_detail(invalid, "body", "name")


def test_the_answer_survives_its_connection(world: World) -> None:
    """A client that lost its connection asks again with the same key, and the work is not done twice."""
    key, before = keyed(uuid4().hex), world.count()
    connection = connect(world.server)
    connection.request(
        "POST", f"{AI}/conversations", b"{}", dict([("Authorization", f"Bearer {world.server.key}"), JSON, key])
    )
    first = read(connection)
    connection.close()
    again = send_json(world.server, "POST", f"{AI}/conversations", {}, [key])
    assert again.json == first.json
    assert sum(world.count()) == sum(before) + 1
