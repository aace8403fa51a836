"""MCP servers that engines name (contract, sections 3.6, 5 and 12), with the vendor's Python SDK."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
import retell
from tests.support.mcp_server import TOKEN, Shop, serving_mcp
from tests.support.retell_sdk import connected, engine_of, examine, results, said
from tests.support.server import Server

ADDS = """on hear "add": call add {"a": 1, "b": 2}
on result failed: say "It does not work."
on result: say "It is $0."
"""
TOOL = {
    "type": "mcp",
    "name": "add",
    "description": "Adds two numbers.",
    "mcp_id": "shop",
    "input_schema": {"a": "integer", "b": "integer"},
}
CALLER = 'on start: say "Please add them."\non hear "It": hang up'


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


@pytest.fixture
async def shop() -> AsyncGenerator[Shop]:
    async with serving_mcp(token=TOKEN) as shop:
        yield shop


def server(shop: Shop, **fields: Any) -> dict[str, Any]:
    return {"name": "shop", "url": shop.url, "headers": {"Authorization": "Bearer {{token}}"}, **fields}


def an_agent(client: Any, engine: Any) -> str:
    return client.agent.create(response_engine=engine_of(engine), voice_id="v").agent_id


def listed(client: Any, agent_id: str, **query: Any) -> list[str]:
    return [one.name for one in client.mcp_tool.get_mcp_tools(agent_id, **{"mcp_id": "shop", **query})]


@pytest.mark.operation("mcp_tool.get_mcp_tools")
async def test_section_12_the_tools_of_a_server_are_really_listed(client: Any, shop: Shop) -> None:
    def ask() -> None:
        engine = client.llm.create(
            start_speaker="agent", mcps=[server(shop)], default_dynamic_variables={"token": TOKEN}
        )
        agent_id = an_agent(client, engine)
        found = client.mcp_tool.get_mcp_tools(agent_id, mcp_id="shop")
        assert (found[0].name, found[0].description) == ("add", "Adds two numbers.")
        assert found[0].input_schema["properties"].keys() == {"a", "b"}
        assert listed(client, agent_id, version=0) == listed(client, agent_id, version="latest")
        for query in (
            {"mcp_id": "other"},
            {"version": 7},
            {"version": "prod"},
            {"component_id": "none"},
        ):
            with pytest.raises(retell.UnprocessableEntityError):
                listed(client, agent_id, **query)
        with pytest.raises(retell.UnprocessableEntityError):
            listed(client, "agent_0123456789ab")
        client.llm.update(engine.llm_id, default_dynamic_variables={})
        with pytest.raises(retell.InternalServerError) as refused:
            listed(client, agent_id)
        assert refused.value.status_code == 503
        client.llm.delete(engine.llm_id, extra_query={"force_delete": True})
        with pytest.raises(retell.UnprocessableEntityError):
            listed(client, agent_id)

    await asyncio.to_thread(ask)


async def test_section_12_a_component_has_servers_of_its_own(client: Any, shop: Shop) -> None:
    def ask() -> None:
        end = {"id": "end", "type": "end"}
        part = {"name": "part", "nodes": [end], "start_node_id": "end", "mcps": [server(shop)]}
        shared = client.conversation_flow_component.create(**part)
        flow = client.conversation_flow.create(
            start_speaker="agent",
            model_choice={"type": "cascading", "model": "gpt-4.1"},
            nodes=[end],
            start_node_id="end",
            components=[part],
            default_dynamic_variables={"token": TOKEN},
        )
        agent_id = an_agent(client, flow)
        with pytest.raises(retell.UnprocessableEntityError):
            listed(client, agent_id)
        assert "add" in listed(client, agent_id, component_id="part")
        assert "add" in listed(client, agent_id, component_id=shared.conversation_flow_component_id)

    await asyncio.to_thread(ask)


async def test_section_3_6_a_tool_of_a_server_is_really_called_in_a_run(client: Any, shop: Shop) -> None:
    """Whatever mocks say."""

    def ask() -> Any:
        engine = client.llm.create(start_speaker="user", general_prompt=ADDS, general_tools=[TOOL], mcps=[server(shop)])
        mock = {"tool_name": "add", "input_match_rule": {"type": "any"}, "output": "17"}
        return examine(
            client,
            engine_of(engine),
            CALLER,
            ['says "It is 3."'],
            dynamic_variables={"token": TOKEN},
            tool_mocks=[mock],
        )

    run = await asyncio.to_thread(ask)
    assert run.status == "pass", run.result_explanation
    assert results(run) == ["3"]
    assert said(run) == ["It is 3."]
    [(name, arguments, meta)] = shop.calls
    assert (name, arguments) == ("add", {"a": 1, "b": 2})
    assert meta["conversation_id"]


async def test_section_3_6_parts_of_the_answer_become_variables(client: Any, shop: Shop) -> None:
    def ask() -> Any:
        order = {**TOOL, "name": "find.order", "response_variables": {"day": "arrives"}}
        engine = client.llm.create(
            start_speaker="user",
            general_prompt='on hear "order": call find_order {"number": "A-1"}\non result: say "On {{day}}."',
            general_tools=[order],
            mcps=[server(shop)],
            default_dynamic_variables={"token": TOKEN},
        )
        caller = 'on start: say "Where is my order?"\non hear "On": hang up'
        return examine(client, engine_of(engine), caller, ['says "On Friday."'])

    run = await asyncio.to_thread(ask)
    assert said(run) == ["On Friday."]
    assert run.transcript_snapshot["dynamicVariables"]["day"] == "Friday"
    assert run.status == "pass"


async def test_a_server_that_cannot_be_reached_is_told_to_the_model(client: Any, shop: Shop) -> None:
    def ask() -> Any:
        engine = client.llm.create(
            start_speaker="user",
            general_prompt=ADDS,
            general_tools=[TOOL],
            mcps=[server(shop, headers={})],
        )
        return examine(client, engine_of(engine), CALLER, ['says "It does not work."'])

    run = await asyncio.to_thread(ask)
    assert run.status == "pass", run.result_explanation
    assert "401" in results(run)[0]
