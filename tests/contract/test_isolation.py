"""Nobody sees, changes or makes use of what belongs to another organisation, whichever operation they try; and nobody
does more than the scope of their key allows.

Every operation of every API is tried. One that is served and that the tables of routes do not hold fails a test here.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support import retell_routes, routes, viva_routes
from tests.support.operations import CASES, Case, World, each
from tests.support.raw import Answer, send
from tests.support.server import Server

from vivavoce.core.integration import Connection
from vivavoce.core.scope import Scope
from vivavoce.storage import connections, keys, orgs
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.keys import Key
from vivavoce.storage.orgs import DEFAULT, Organisation
from vivavoce.storage.tables import metadata

STRANGERS = "strangers"
UNKNOWN = "0199c0de-0000-7000-8000-000000000000"
PATIENCE_S = 30.0

NOBODYS = {
    "telnyx GET /ai/integrations",
    "telnyx GET /ai/integrations/{integration_id}",
    "telnyx GET /ai/models",
    "telnyx GET /ai/openai/models",
    "retell GET /get-concurrency",
    "retell GET /list-voices",
    "retell GET /get-voice/{voice_id}",
}
"""What the server itself has, which is the same for everybody."""
READ = {"retell POST /v2/list-agents", "retell POST /v3/list-chats"}
"""They read, although their method does not say so."""
RUN = {
    "telnyx POST /ai/assistants/tests/test-suites/{suite_name}/runs",
    "telnyx POST /ai/assistants/tests/{test_id}/runs",
    "telnyx POST /ai/assistants/{assistant_id}/chat",
    "telnyx POST /ai/assistants/{assistant_id}/chat/sms",
    "telnyx POST /ai/assistants/{assistant_id}/chat/whatsapp",
    "telnyx POST /ai/assistants/{assistant_id}/instructions/enhance",
    "telnyx POST /ai/conversations",
    "telnyx PUT /ai/conversations/{conversation_id}",
    "telnyx POST /ai/conversations/{conversation_id}/message",
    "telnyx POST /ai/openai/chat/completions",
    "telnyx POST /ai/chat/completions",
    "retell POST /create-batch-test",
    "retell POST /create-chat",
    "retell POST /create-chat-completion",
    "retell PATCH /update-chat/{chat_id}",
    "retell PATCH /end-chat/{chat_id}",
    "retell POST /agent-playground-completion/{agent_id}",
    "viva DELETE /conversations/{conversation_id}",
    "viva POST /conversations",
    "viva POST /conversations/{conversation_id}/messages",
    "viva POST /inbox",
    "viva POST /models/probe",
    "viva POST /runs/{run_id}/cancel",
    "viva POST /suites/{suite}/cancel",
    "viva POST /batches",
    "viva POST /batches/{batch_id}/cancel",
    "viva POST /schedules/{schedule_id}/fire",
}
"""They trigger tests and talk to assistants, or stop that."""
ADMIN_READS = {
    "viva GET /keys",
    "viva GET /limits",
    "viva GET /workers",
    "viva GET /webhooks",
    "viva GET /webhooks/{hook_id}",
}
CHILDREN_OF = {"versions", "rollouts", "events", "insight_members", "finding_results", "passages", "snapshots"}
"""Their rows are somebody's by way of another table: none may change or go."""


def same(before: Mapping[str, Counter[Any]], after: Mapping[str, Counter[Any]]) -> None:
    """Nothing of the first organisation changed, and nothing of nobody's was changed or removed."""
    for name, rows in before.items():
        if name in CHILDREN_OF:
            assert not rows - after[name], name
        else:
            assert rows == after[name], name


@pytest.fixture(scope="module")
def world(wild_server: Server) -> Iterator[World]:
    telnyx, retell = routes.make_world(wild_server), retell_routes.make_world(wild_server)
    viva = viva_routes.make_world(wild_server, telnyx.ids["test_id"])
    secrets = {"owner": wild_server.key, "stranger": "viva_stranger", "reader": "viva_reader", "runner": "viva_runner"}
    connection = Connection("connection-1", "github", "none", 1)

    def work(tx: Tx) -> None:
        orgs.add(tx, Organisation(STRANGERS, STRANGERS, 1))
        keys.add(tx, Key("k-stranger", STRANGERS, "theirs", "", 1), secrets["stranger"])
        keys.add(tx, Key("k-reader", DEFAULT, "reader", "", 1, scope=Scope.READ), secrets["reader"])
        keys.add(tx, Key("k-runner", DEFAULT, "runner", "", 1, scope=Scope.RUN), secrets["runner"])
        connections.put(tx, DEFAULT, connection)

    async def prepare() -> None:
        database = connect(wild_server.database_url)
        try:
            await database.write(work)
        finally:
            database.close()

    asyncio.run(prepare())
    telnyx = routes.World(wild_server, {**telnyx.ids, "user_connection_id": connection.id})
    made = World(wild_server, telnyx, retell, viva, secrets)
    patient_until = time.monotonic() + PATIENCE_S
    while made.busy():
        assert time.monotonic() < patient_until, "the server does not come to rest"
    yield made
    assert "Traceback" not in wild_server.log
    assert "a library warned" not in wild_server.log


@pytest.fixture(scope="module")
def marks(world: World) -> set[str]:
    """The ids of the first organisation, as they are kept and as the APIs write them."""
    shared = {"github", "one", "none", world.retell.ids["voice_id"]}
    found = {*world.telnyx.ids.values(), *world.retell.ids.values(), *world.viva.values()} - shared
    for table, rows in world.rows().items():
        if "org" in metadata.tables[table].c and "id" in metadata.tables[table].c:
            names = [column.name for column in metadata.tables[table].c if column.name != "tally"]
            found |= {row[names.index("id")] for row in rows}
    return found | {id_.replace("-", "") for id_ in found}


def seen(marks: set[str], answer: Answer, *sent: str) -> set[str]:
    """The marks in the answer that were not in the request."""
    text = answer.body.decode("utf-8", "replace") + str(answer.headers)
    return {mark for mark in marks if mark in text and not any(mark in one for one in sent)}


@pytest.mark.parametrize(("api", "root"), [("telnyx", "/v2"), ("retell", ""), ("viva", viva_routes.ROOT)])
def test_every_operation_that_is_served_is_known(wild_server: Server, api: str, root: str) -> None:
    plain = re.compile(r"\{\w+\}")
    described = send(wild_server, "GET", f"{root}/openapi.json").json["paths"]
    served = {(method.upper(), plain.sub("{}", path)) for path, ways in described.items() for method in ways}
    paths = [(one.route.method, one.route.path.partition("?")[0]) for one in CASES if one.api == api]
    known = {(method, plain.sub("{}", path)) for method, path in paths}
    assert served == known
    assert all("403" in operation["responses"] for ways in described.values() for operation in ways.values())


def test_every_exception_is_an_operation() -> None:
    assert {*NOBODYS, *READ, *RUN, *ADMIN_READS} <= {case.name for case in CASES}


# --- other organisations --------------------------------------------------------------------------------------------


# Reading comes first, while strangers have nothing: what they make holds what they send.
@each(*sorted(CASES, key=lambda one: one.route.method != "GET"))
def test_a_stranger_sees_and_changes_nothing(world: World, marks: set[str], case: Case) -> None:
    """With good bodies, which name what is there."""
    path, body = world.path(case), world.body(case)
    before = world.rows()
    answer = world.send("stranger", case, path, body)
    same(before, world.rows())
    assert answer.status < 500, answer.body
    assert answer.status not in (401, 403)
    assert seen(marks, answer, path, str(body)) == set()
    if "{" in case.route.path and case.name not in NOBODYS:
        assert not _gives(answer), f"{answer.status} {answer.body[:500]}"


def _gives(answer: Answer) -> bool:
    """Whether something was found: lists of nothing are no find."""
    if answer.status in (400, 404, 422):
        return False
    return answer.json.get("data") != [] or answer.json.get("meta", {}).get("total_results") != 0


NAMELESS = {
    "telnyx GET /ai/assistants/tags",
    "telnyx GET /ai/assistants/deleted",
    "telnyx GET /ai/conversations/conversation-insights/aggregates",
    "telnyx GET /ai/conversations/{conversation_id}/messages",
    "telnyx GET /ai/conversations/{conversation_id}/conversations-insights",
    "telnyx GET /ai/assistants/{assistant_id}/texml",
    "retell GET /list-agent-versions/{agent_id}",
    "viva GET /events?follow=false",
    "viva GET /models",
    "viva GET /workers",
    "viva GET /limits",
}
"""What they give has no id, or there is none of it here."""


@each(*(one for one in CASES if one.route.method == "GET" and one.name not in NOBODYS))
def test_the_owner_sees_it(world: World, marks: set[str], case: Case) -> None:
    """Or the test above could not fail."""
    if case.name == "retell GET /get-mcp-tools/{agent_id}":
        assert b"no such MCP server" in world.send("owner", case, world.path(case)).body  # but the agent is there
        return
    ready = replace(world, telnyx=world.telnyx.fresh(case.route)) if case.api == "telnyx" else world
    answer = ready.send("owner", case, ready.path(case))
    assert answer.status == 200, answer.body
    assert seen({*marks, *ready.ids(case).values()}, answer) or case.name in NAMELESS


def test_an_idempotency_key_of_others_gives_nothing_away(world: World, marks: set[str]) -> None:
    header = ("Idempotency-Key", "the-same-key")
    body = b'{"name": "talk"}'
    for who in ("owner", "stranger"):
        server = replace(world.server, key=world.secrets[who])
        first, again = [
            send(server, "POST", "/v2/ai/conversations", body, [("Content-Type", "application/json"), header])
            for _ in range(2)
        ]
        assert first.json == again.json
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"


def test_one_key_does_not_use_up_the_rate_of_another(world: World) -> None:
    def left(who: str) -> int:
        server = replace(world.server, key=world.secrets[who])
        return int(send(server, "GET", "/v2/ai/models").headers["x-ratelimit-remaining"])

    before = left("owner")
    for _ in range(3):
        left("stranger")
    assert before - left("owner") == 1


# --- scopes ---------------------------------------------------------------------------------------------------------


def refused(case: Case, answer: Answer) -> None:
    if case.api == "telnyx":
        routes.is_errors(answer, 403, "10010")
    elif case.api == "retell":
        retell_routes.is_error(answer, 403)
    else:
        assert (answer.status, answer.json["error"]["status"]) == (403, 403)
    assert b"This key may only read" in answer.body
    assert answer.headers["x-ratelimit-limit"]


def least(case: Case) -> Scope:
    if case.name in ADMIN_READS:
        return Scope.ADMIN
    if case.route.method == "GET" or case.name in READ:
        return Scope.READ
    return Scope.RUN if case.name in RUN else Scope.ADMIN


@each(*(one for one in CASES if one.route.method != "GET" or one.name in ADMIN_READS))
@pytest.mark.parametrize(("who", "scope"), [("reader", Scope.READ), ("runner", Scope.RUN)])
def test_a_key_may_do_what_its_scope_allows(world: World, case: Case, who: str, scope: Scope) -> None:
    if scope.allows(least(case)):
        # What it names is not there, so that nothing begins that the other tests would see.
        unknown = dict.fromkeys(re.findall(r"\{(\w+)\}", case.route.path), UNKNOWN)
        answer = world.send(who, case, world.path(case, **unknown), {} if case.route.body else None)
        assert answer.status not in (401, 403)
        return
    before = world.rows()
    refused(case, world.send(who, case, world.path(case), world.body(case)))
    same(before, world.rows())


def test_whoever_may_run_runs_and_talks(world: World) -> None:
    case = next(one for one in CASES if one.name == "telnyx POST /ai/assistants/{assistant_id}/chat")
    assert world.send("runner", case, world.path(case), world.body(case)).status == 200


def test_a_reader_reads(world: World) -> None:
    for name in ("telnyx GET /ai/assistants/{assistant_id}", "retell POST /v3/list-chats", "viva GET /runs/{run_id}"):
        case = next(one for one in CASES if one.name == name)
        assert world.send("reader", case, world.path(case), world.body(case) or None).status == 200


@pytest.mark.parametrize("path", ["/v2/ai/assistants/", "/v2/nothing", "/nothing", "/viva/v1/nothing"])
def test_what_is_not_there_is_not_there_for_readers_either(world: World, path: str) -> None:
    reader = replace(world.server, key=world.secrets["reader"])
    assert send(reader, "GET", path).status == 404
    assert send(reader, "POST", path).status == 403
