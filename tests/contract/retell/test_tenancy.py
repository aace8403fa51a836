"""What belongs to one organisation is not there for another: not to read, list, change, trigger or refer to."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.support.raw import Answer, send, send_json
from tests.support.retell_routes import (
    AGENT,
    CHAT_AGENT,
    DEFINITION,
    LLM,
    NOT_FOUND,
    ONE,
    OTHERWISE_NOT_FOUND,
    ROUTES,
    World,
    is_error,
    make_world,
)
from tests.support.route import Route
from tests.support.server import Server

from vivavoce.storage import keys
from vivavoce.storage.database import connect
from vivavoce.storage.keys import Key

SECRET = "viva_key_of_strangers"
OWNED = [route for route in ROUTES if "{" in route.path and "{voice_id}" not in route.path]
END = {"id": "end", "type": "end"}


@dataclass(frozen=True)
class Strangers:
    """A world, and a key to its server that is another organisation's."""

    world: World

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        """A request of theirs."""
        return send_json(replace(self.world.server, key=SECRET), method, path, body)


@pytest.fixture(scope="module")
def strangers(wild_server: Server) -> Iterator[Strangers]:
    async def adopt() -> None:
        database = connect(wild_server.database_url)
        try:
            await database.write(lambda tx: keys.add(tx, Key("strangers", "strangers", "theirs", "", 0), SECRET))
        finally:
            database.close()

    asyncio.run(adopt())
    yield Strangers(make_world(wild_server))
    assert "Traceback" not in wild_server.log


@pytest.mark.parametrize("route", OWNED, ids=lambda one: one.name)
def test_what_is_somebody_elses_is_not_there(strangers: Strangers, route: Route) -> None:
    world = strangers.world
    before = world.count()
    [*_, name] = re.findall(r"\{(\w+)\}", route.path)
    missing = OTHERWISE_NOT_FOUND.get(route.name, NOT_FOUND.get(name, 422))
    is_error(strangers.send(route.method, world.path(route), world.filled(route.body)), missing)
    assert world.count() == before


def test_lists_hold_nothing_of_somebody_elses(strangers: Strangers) -> None:
    world = strangers.world
    paths = ["/list-retell-llms", "/list-conversation-flows", "/list-conversation-flow-components", "/list-agents"]
    paths += ["/list-chat-agents", "/list-chat", "/list-knowledge-bases"]
    paths += [f"/list-{kind}?{world.filled(ONE)}" for kind in ("test-case-definitions", "batch-tests")]
    for path in paths:
        assert send(world.server, "GET", path).json != [], path
        assert strangers.send("GET", path).json == [], path
    for path in ("/v2/list-retell-llms", "/v2/list-conversation-flows", "/v2/list-conversation-flow-components"):
        assert strangers.send("GET", path).json == {"items": [], "has_more": False}
    assert send_json(world.server, "POST", "/create-retell-llm", LLM).status == 201
    for order in ("ascending", "descending"):
        query = f"/v2/list-retell-llms?limit=1&sort_order={order}"
        key = send(world.server, "GET", query).json["pagination_key"]
        theirs = strangers.send("GET", f"{query}&pagination_key={key}")
        assert theirs.json == {"items": [], "has_more": False}
    for path in ("/v2/list-agents", "/v3/list-chats"):
        assert send_json(world.server, "POST", path, {}).json["items"] != []
        assert strangers.send("POST", path, {}).json == {"items": [], "has_more": False}
    chats = {"filter_criteria": {"agent": [{"agent_id": world.ids["chat_agent_id"]}]}, "include_total": True}
    assert strangers.send("POST", "/v3/list-chats", chats).json == {"items": [], "has_more": False, "total": 0}


def test_nothing_can_be_made_of_somebody_elses(strangers: Strangers) -> None:
    world = strangers.world
    shared = world.ids["conversation_flow_component_id"]
    way = {"id": "e", "destination_node_id": "end", "transition_condition": {"type": "prompt", "prompt": "Else"}}
    part = {"id": "p", "type": "component", "component_id": shared, "component_type": "shared", "else_edge": way}
    flow = {"start_speaker": "agent", "nodes": [part, END], "model_choice": {"type": "cascading", "model": "gpt-4.1"}}
    batch = {"test_case_definition_ids": [world.ids["test_case_definition_id"]]}
    own = strangers.send("POST", "/create-retell-llm", LLM).json["llm_id"]
    mine = {"type": "retell-llm", "llm_id": own}
    for path, body, status in (
        ("/create-agent", world.filled(AGENT), 422),
        ("/create-chat-agent", world.filled(CHAT_AGENT), 422),
        ("/create-test-case-definition", world.filled(DEFINITION), 400),
        ("/create-batch-test", {**batch, "response_engine": world.filled(DEFINITION)["response_engine"]}, 400),
        ("/create-batch-test", {**batch, "response_engine": mine}, 400),
        ("/create-conversation-flow", flow, 400),
        ("/create-chat", {"agent_id": world.ids["chat_agent_id"]}, 422),
        ("/create-chat-completion", {"chat_id": world.ids["chat_id"], "content": "hi"}, 422),
    ):
        is_error(strangers.send("POST", path, body), status)
    assert strangers.send("DELETE", f"/delete-retell-llm/{own}").status == 204


def test_what_an_engine_names_is_looked_for_in_its_own_organisation(strangers: Strangers) -> None:
    """Documents and agents are named without being looked up: what is somebody else's is as if it were not there."""
    world = strangers.world
    swap = {
        "type": "agent_swap",
        "name": "swap",
        "description": "Hand over.",
        "agent_id": world.ids["chat_agent_id"],
        "post_call_analysis_setting": "both_agents",
    }
    prompt = 'on hear "hours": say "I look."\non hear "else": call swap {"assistant": "' + world.ids["chat_agent_id"]
    engine = {
        **LLM,
        "general_prompt": prompt + '"}',
        "knowledge_base_ids": [world.ids["knowledge_base_id"]],
        "general_tools": [swap],
    }
    own = strangers.send("POST", "/create-retell-llm", engine).json["llm_id"]
    agent = strangers.send("POST", "/create-agent", {**AGENT, "response_engine": {"type": "retell-llm", "llm_id": own}})
    theirs = f"/agent-playground-completion/{agent.json['agent_id']}"
    for said in ("hours", "else"):
        answer = strangers.send("POST", theirs, {"messages": [{"role": "user", "content": f"{said}: Open at nine?"}]})
        assert answer.status == 200, answer.body
        assert answer.json["knowledge_base_retrieved_contents"] == []
        assert "Birch" not in str(answer.json["messages"])
