"""Integration secrets (contract, section 5.17), driven by the vendor's own Python SDK."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from telnyx import BadRequestError, NotFoundError, Telnyx, UnprocessableEntityError
from tests.support.raw import send, send_json
from tests.support.routes import is_errors
from tests.support.server import Server, record

from vivavoce.storage.tables import secrets

PATH = "/v2/integration_secrets"
VALUE = "sk-3c1e-not-to-be-seen"


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key,
        base_url=f"{live_server.url}/v2",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.mark.operation("integration_secrets.create", "integration_secrets.list", "integration_secrets.delete")
def test_rule_5_17_the_life_of_a_secret(client: Telnyx) -> None:
    bearer, basic = f"bearer {uuid4().hex}", f"basic {uuid4().hex}"
    first = client.integration_secrets.create(identifier=bearer, type="bearer", token=VALUE).data
    second = client.integration_secrets.create(identifier=basic, type="basic", username="ann", password=VALUE).data
    assert (first.identifier, first.record_type) == (bearer, "integration_secret")
    assert first.id != second.id
    assert first.created_at == first.updated_at
    listed = list(client.integration_secrets.list(page_size=2))
    assert [one.id for one in listed[:2]] == [second.id, first.id]
    assert second.id not in {one.id for one in client.integration_secrets.list(filter={"type": "bearer"})}
    assert first.id not in {one.id for one in client.integration_secrets.list(filter={"type": "basic"})}
    client.integration_secrets.delete(first.id)
    assert first.id not in {one.id for one in client.integration_secrets.list()}
    with pytest.raises(NotFoundError):
        client.integration_secrets.delete(first.id)
    with pytest.raises(NotFoundError):
        client.integration_secrets.delete(basic)  # it is deleted by its id
    client.integration_secrets.create(identifier=bearer, type="bearer", token=VALUE)  # the name is free again


@pytest.mark.operation("integration_secrets.create")
def test_rule_5_17_an_identifier_is_taken_once(client: Telnyx) -> None:
    identifier = uuid4().hex
    client.integration_secrets.create(identifier=identifier, type="bearer", token=VALUE)
    with pytest.raises(UnprocessableEntityError) as caught:
        client.integration_secrets.create(identifier=identifier, type="basic", username="u", password="p")
    body: Any = caught.value.body
    [error] = body["errors"]
    assert error["code"] == "10012"
    assert identifier in error["detail"]
    assert error["source"]["pointer"] == "/identifier"


def test_of_many_of_one_name_at_the_same_moment_one_is_made(live_server: Server) -> None:
    body = {"identifier": uuid4().hex, "type": "bearer", "token": VALUE}
    with ThreadPoolExecutor(8) as pool:
        pending = [pool.submit(send_json, live_server, "POST", PATH, body) for _ in range(8)]
    answers = [one.result() for one in pending]
    assert sorted(answer.status for answer in answers) == [201] + [422] * 7
    for answer in answers:
        if answer.status == 422:
            is_errors(answer, 422, "10012", "/identifier")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"type": "bearer", "token": VALUE}, "/identifier"),
        ({"identifier": "a", "token": VALUE}, "/type"),
        ({"identifier": "a", "type": "oauth", "token": VALUE}, "/type"),
        ({"identifier": "a", "type": "bearer", "password": VALUE}, "/token"),
        ({"identifier": "a", "type": "basic", "token": VALUE, "username": "u"}, "/password"),
        ({"identifier": "a", "type": "basic", "password": VALUE}, "/username"),
        ({"identifier": "a", "type": "bearer", "token": [VALUE]}, "/token"),
        ([VALUE], ""),
    ],
)
def test_rule_1_4_refusals_are_of_the_errors_family_and_repeat_nothing(
    live_server: Server, body: Any, pointer: str
) -> None:
    answer = send_json(live_server, "POST", PATH, body)
    is_errors(answer, 422, "10015", pointer)
    assert VALUE.encode() not in answer.body


def test_text_that_is_no_json_is_refused_without_repeating_it(live_server: Server) -> None:
    answer = send(live_server, "POST", PATH, f'{{"token": "{VALUE}"'.encode(), [("Content-Type", "application/json")])
    is_errors(answer, 422, "10015", "")
    assert VALUE.encode() not in answer.body


def test_rule_5_17_a_list_with_a_filter_that_is_none_is_refused_with_400(client: Telnyx) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.integration_secrets.list(extra_query={"filter[type]": "oauth"})
    body: Any = caught.value.body
    assert body["errors"][0]["source"]["pointer"] == "/query/filter[type]"
    with pytest.raises(BadRequestError):
        client.integration_secrets.list(page_size=101)


def test_rule_5_17_a_value_is_nowhere_to_be_seen(live_server: Server) -> None:
    value = f"sk-{uuid4().hex}"
    made = send_json(
        live_server, "POST", PATH, {"identifier": value[:12], "type": "basic", "username": "u", "password": value}
    )
    assert made.status == 201
    listed = send(live_server, "GET", f"{PATH}?page[size]=100")
    assert value not in json.dumps([made.json, listed.json])
    assert value not in live_server.log
    with record(live_server.data_dir) as database:
        kept = [repr(tuple(row)) for row in database.execute(select(secrets))]
    assert kept
    assert value not in "".join(kept)
    for path in live_server.data_dir.rglob("*"):
        assert path.is_dir() or value.encode() not in path.read_bytes(), path.name
