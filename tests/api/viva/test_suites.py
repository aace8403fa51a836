"""Suites, tests and assistants as documents, over HTTP."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import pytest
from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand

from vivavoce.services.context import Context

__all__ = ["ctx", "hand"]

DESK = {"name": "De/sk", "instructions": "Be kind.", "tools": [{"kind": "hangup"}]}
TEST = {"name": "one", "scenario": "You wait.", "criteria": ["is kind"], "repeats": 2}
SUITE: Mapping[str, Any] = {"suite": "a/b c", "assistant": DESK, "tests": [TEST, {**TEST, "name": "two"}]}
AT = "/suites/a%2Fb%20c"


@pytest.fixture
async def client(ctx: Context) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(ctx) as made:
        yield made


async def put(client: httpx.AsyncClient, document: Mapping[str, Any] = SUITE, query: str = "") -> Any:
    answer = await client.put(AT + query, json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_suite_is_put_and_given(client: httpx.AsyncClient) -> None:
    made = await put(client)
    assert (made["suite"], [one["change"] for one in made["tests"]]) == ("a/b c", ["created", "created"])
    assert [(one["name"], one["repeats"]) for one in made["tests"]] == [("one", 2), ("two", 2)]
    (desk,) = made["assistants"]
    assert (desk["name"], desk["change"]) == ("De/sk", "created")
    given = (await client.get(AT)).json()
    assert given == {
        "suite": "a/b c",
        "assistant": "De/sk",
        "repeats": 2,
        "tests": [{"name": name, "scenario": "You wait.", "criteria": ["is kind"]} for name in ("one", "two")],
    }
    again = await put(client, given)
    assert {one["change"] for one in (*again["tests"], *again["assistants"])} == {"unchanged"}
    assert (await client.get(f"/assistants/{desk['id']}")).json() == DESK


async def test_tests_that_are_not_named_are_retired_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    await put(client)
    fewer = {**SUITE, "tests": [TEST]}
    assert len((await put(client, fewer))["tests"]) == 1
    pruned = await put(client, fewer, "?prune=true")
    assert [(one["name"], one["change"]) for one in pruned["tests"]] == [("one", "unchanged"), ("two", "retired")]


@pytest.mark.parametrize("name", [".", "..", "/a", "a/", "a/history", "a/cancel"])
async def test_a_suite_that_could_not_be_asked_for_is_refused(client: httpx.AsyncClient, name: str) -> None:
    at = f"/suites/{name.replace('/', '%2F').replace('.', '%2E')}"
    for answer in (
        await client.put(at, json={**SUITE, "suite": name}),
        await client.post("/tests", json={**TEST, "suite": name, "destination": "https://a.example"}),
    ):
        assert answer.status_code == 422, answer.text
    assert (await client.get("/tests")).json()["total"] == 0


async def test_a_document_of_another_name_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.put("/suites/other", json=SUITE)
    assert (answer.status_code, answer.json()["error"]["places"][0]["at"]) == (400, "/suite")
    answer = await client.put("/assistants/other", json=DESK)
    assert (answer.status_code, answer.json()["error"]["places"][0]["at"]) == (400, "/name")


async def test_what_is_wrong_is_told_where_it_is_in_the_request(client: httpx.AsyncClient) -> None:
    wrong = {
        "suite": "a/b c",
        "assistant": {**DESK, "tools": [{"kind": "webhook", "name": "x", "url": "u", "descripton": "d"}]},
        "tests": [{"name": "one", "turns": [{"sya": "x"}], "criteria": [{"name": "x"}], "checks": ["is nice"]}],
    }
    answer = await client.put(AT, json=wrong)
    assert answer.status_code == 422
    assert [one["at"] for one in answer.json()["error"]["places"]] == [
        "/body/assistant/tools/0/description",
        "/body/assistant/tools/0/descripton",
        "/body/tests/0/turns/0/say",
        "/body/tests/0/turns/0/sya",
        "/body/tests/0/criteria/0/text",
        "/body/tests/0/checks/0",
    ]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"persona": "\x00"}, 422),
        ({"variables": {"a": {"\x00": 1}}}, 422),
        ({"tests": []}, 422),
        ({"assistant": {"file": "desk.yaml"}}, 422),
        ({"assistant": "Nobody"}, 400),
        ({"assistant": {**DESK, "flow": {"start": "x", "nodes": []}}}, 400),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, given: Mapping[str, Any], status: int
) -> None:
    answer = await client.put(AT, json={**SUITE, **given})
    assert answer.status_code == status
    assert (await client.get(AT)).status_code == 404
    assert (await client.get("/assistants")).json()["total"] == 0


async def test_a_test_from_its_beginning_to_its_end(client: httpx.AsyncClient) -> None:
    await put(client)
    body = {**TEST, "name": "three", "suite": "a/b c", "assistant": "De/sk", "turns": ["Hi.", "free"]}
    answer = await client.post("/tests", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert {key: one for key, one in made.items() if key != "id"} == body
    assert (await client.get(f"/tests/{made['id']}")).json() == made
    changed = (await client.put(f"/tests/{made['id']}", json={**made, "repeats": 1})).json()
    assert "repeats" not in changed
    listed = (await client.get("/tests?suite=a/b c&size=2")).json()
    assert ([one["name"] for one in listed["data"]], listed["total"]) == (["three", "two"], 3)
    assert (await client.delete(f"/tests/{made['id']}")).status_code == 204
    assert (await client.get(f"/tests/{made['id']}")).status_code == 404
    assert (await client.delete(f"/tests/{made['id']}")).status_code == 404
    assert (await client.put(f"/tests/{made['id']}", json=body)).status_code == 404


async def test_assistants_are_put_by_their_names_and_listed(client: httpx.AsyncClient) -> None:
    made = (await client.put("/assistants/De%2Fsk", json=DESK)).json()
    assert (made["name"], made["change"]) == ("De/sk", "created")
    assert (await client.put("/assistants/De%2Fsk", json=DESK)).json() == {**made, "change": "unchanged"}
    changed = (await client.put("/assistants/De%2Fsk", json={**DESK, "tags": ["a"], "greeting": "Hi"})).json()
    assert (changed["id"], changed["change"]) == (made["id"], "changed")
    (listed,) = (await client.get("/assistants")).json()["data"]
    assert (listed["version_id"], listed["version_number"], listed["tags"]) == (changed["version_id"], 1, ["a"])
    assert (await client.get("/assistants/unknown")).status_code == 404


async def test_a_batch_takes_tests_with_their_repeats(client: httpx.AsyncClient) -> None:
    one, two = [one["id"] for one in (await put(client))["tests"]]

    async def run(**body: Any) -> list[str]:
        answer = await client.post("/batches", json=body)
        assert answer.status_code == 201, answer.text
        return [run["test_id"] for run in answer.json()["runs"]]

    assert await run(tests=[{"id": one}, {"id": two, "repeats": 1}]) == [one, two, one]
    assert await run(suite="a/b c") == [one, two, one, two]
    assert await run(suite="a/b c", repeats=1) == [one, two]
    both: dict[str, Any] = {"tests": [{"id": one}], "suite": "a/b c"}
    twice: dict[str, Any] = {"tests": [{"id": one}, {"id": one}]}
    none: dict[str, Any] = {"tests": []}
    for body in (twice, none, both):
        assert (await client.post("/batches", json=body)).status_code == 422
    assert (await client.post("/batches", json={"tests": [{"id": "unknown"}]})).status_code == 404
