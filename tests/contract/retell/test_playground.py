"""One turn of an agent, of which nothing is kept (contract, section 11)."""

from collections.abc import Iterator
from typing import Any

import pytest
import retell
from tests.support.retell_scenes import find_tool, flow, heard, llm, mock, prompted, says
from tests.support.retell_sdk import connected, engine_of
from tests.support.server import Server

SHOP = """You are the desk of {{shop}}.
on hear "find": call find {"a": 1}
on result find: say "Found $0"
on hear "bye": say "Goodbye."; call end_call
on hear /(.+)/: say "{{shop}} heard $1\""""


@pytest.fixture
def client(live_server: Server) -> Iterator[Any]:
    with connected(live_server) as client:
        yield client


def voiced(client: Any, engine: Any) -> str:
    return client.agent.create(response_engine=engine_of(engine), voice_id="platform-anna").agent_id


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def sent_back(messages: Any) -> list[dict[str, Any]]:
    return [one.model_dump(exclude_none=True) for one in messages]


def words(messages: Any) -> list[str]:
    return [one.content for one in messages if one.role == "agent"]


@pytest.mark.operation("playground.completion")
def test_section_11_a_turn_answers_only_what_is_new(client: Any) -> None:
    agent = voiced(client, llm(client, SHOP, begin_message="Hello from {{shop}}."))
    complete = client.playground.completion
    first = complete(agent, messages=[], dynamic_variables={"shop": "Birch"})
    assert words(first.messages) == ["Hello from Birch."]
    assert first.call_ended is False
    second = complete(
        agent, messages=[*sent_back(first.messages), user("me")], dynamic_variables=first.dynamic_variables
    )
    assert words(second.messages) == ["Birch heard me"]
    assert second.dynamic_variables["shop"] == "Birch"
    assert second.knowledge_base_retrieved_contents == []
    assert complete(agent, messages=[user("bye")], version=0).call_ended is True


def test_section_11_mocks_answer_for_tools(client: Any) -> None:
    agent = voiced(client, llm(client, SHOP, general_tools=[find_tool("https://example.com/find")]))
    done = client.playground.completion(
        agent, messages=[user("find")], tool_mocks=[mock("other", {"a": 2}), mock('"it"', {"a": 1})]
    )
    call, result, _ = done.messages
    assert (call.role, call.name, call.arguments) == ("tool_call_invocation", "find", '{"a": 1}')
    assert (result.tool_call_id, result.content, result.successful) == (call.tool_call_id, '"it"', True)
    assert words(done.messages) == ['Found "it"']


def test_section_11_a_flow_goes_on_from_the_node_where_it_stood(client: Any) -> None:
    engine = flow(
        client,
        says("ask", "Which order?", edges=[heard("A-1", "tell")]),
        says("tell", "It is here."),
    )
    agent = voiced(client, engine)
    first = client.playground.completion(agent, messages=[])
    assert (words(first.messages), first.current_node_id) == (["Which order?"], "ask")
    shown = client.playground.completion(agent, messages=[*sent_back(first.messages), user("A-1")])
    said = [{"role": "agent", "content": "Which order?"}, user("A-1")]
    told = client.playground.completion(agent, messages=said, current_node_id=first.current_node_id)
    for done in (shown, told):
        assert (words(done.messages), done.current_node_id) == (["It is here."], "tell")
        moved = next(one for one in done.messages if one.role == "node_transition")
        assert (moved.former_node_id, moved.new_node_id, moved.transition_type) == ("ask", "tell", "normal")
    with pytest.raises(retell.BadRequestError, match="'gone'"):
        client.playground.completion(agent, messages=said, current_node_id="gone")
    with pytest.raises(retell.BadRequestError, match="current_node_id"):
        client.playground.completion(agent, messages=said, current_state="ask")


def test_section_11_a_flow_goes_on_inside_a_component(client: Any) -> None:
    inside = {
        "name": "asking",
        "start_node_id": "ask",
        "nodes": [says("ask", "Which order?", edges=[heard("A-1", "done")]), {"id": "done", "type": "end"}],
        "tools": [],
    }
    shared = client.conversation_flow_component.create(**inside)
    stands_for = {"type": "component", "id": "part", "component_type": "shared"}
    engine = flow(
        client,
        {**stands_for, "component_id": shared.conversation_flow_component_id, "else_edge": prompted("Else", "tell")},
        says("tell", "It is here."),
    )
    agent = voiced(client, engine)
    first = client.playground.completion(agent, messages=[])
    where = {"current_node_id": first.current_node_id, "component_id": first.model_dump()["component_id"]}
    assert where == {"current_node_id": "ask", "component_id": shared.conversation_flow_component_id}
    said = [{"role": "agent", "content": "Which order?"}, user("A-1")]
    assert words(client.playground.completion(agent, messages=said, **where).messages) == ["It is here."]


def test_section_11_states_go_on_from_where_they_stood(client: Any) -> None:
    engine = llm(
        client,
        "You are the desk.",
        begin_message="",
        starting_state="first",
        states=[
            {
                "name": "first",
                "state_prompt": 'on hear "next": call transition_to_second {"topic": "tea"}',
                "edges": [
                    {
                        "destination_state_name": "second",
                        "description": "Go on.",
                        "parameters": {"type": "object", "properties": {"topic": {"type": "string"}}},
                    }
                ],
            },
            {"name": "second", "state_prompt": 'on enter: say "Here is {{topic}}."\nelse: say "More {{topic}}."'},
        ],
    )
    agent = voiced(client, engine)
    first = client.playground.completion(agent, messages=[user("next")])
    assert first.current_state == "second"
    assert [one.role for one in first.messages] == [
        "tool_call_invocation",
        "tool_call_result",
        "state_transition",
        "agent",
    ]
    history = [user("next"), *sent_back(first.messages), user("more")]
    variables = first.dynamic_variables
    assert variables["topic"] == "tea"
    more = client.playground.completion(
        agent, messages=history, current_state=first.current_state, dynamic_variables=variables
    )
    assert words(more.messages) == ["More tea."]


def test_sections_1_1_and_11_an_unknown_agent_is_422_and_a_bad_body_is_400(client: Any) -> None:
    complete = client.playground.completion
    with pytest.raises(retell.UnprocessableEntityError, match="agent_nobody"):
        complete("agent_nobody", messages=[])
    agent = voiced(client, llm(client, SHOP))
    with pytest.raises(retell.UnprocessableEntityError, match="version"):
        complete(agent, messages=[], version=7)
    bodies: list[dict[str, Any]] = [
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [], "dynamic_variables": {"a": 1}},
        {"messages": [], "tool_mocks": [{"tool_name": "x"}]},
    ]
    for wrong in bodies:
        with pytest.raises(retell.BadRequestError):
            complete(agent, **wrong)
    socket = {"type": "custom-llm", "llm_websocket_url": "wss://example.com/llm"}
    custom = client.agent.create(response_engine=socket, voice_id="platform-anna")
    with pytest.raises(retell.UnprocessableEntityError, match="server of its own"):
        complete(custom.agent_id, messages=[])
