"""Flows and their components, as the vendor's own SDK drives them over a real socket (contract, section 7)."""

from collections.abc import Iterator
from typing import Any

import pytest
from retell import APIStatusError, BadRequestError, NotFoundError, Retell, UnprocessableEntityError, omit
from tests.support.retell_sdk import FORCED, connected, raw
from tests.support.server import Server

END: Any = {"id": "x", "type": "end"}
CHOICE: Any = {"type": "cascading", "model": "gpt-4.1"}


def way(id_: str = "e", prompt: str = "Else") -> Any:
    return {"id": id_, "destination_node_id": "x", "transition_condition": {"type": "prompt", "prompt": prompt}}


PROMPT: Any = {"type": "prompt", "text": "hi"}
NODES: list[Any] = [{"id": "s", "type": "conversation", "instruction": PROMPT, "edges": [way(prompt="done")]}, END]


def through(component_id: str, kind: str = "shared") -> Any:
    named = {"component_id": component_id, "component_type": kind}
    return {"id": "c", "type": "component", **named, "else_edge": way()}


TOOL: Any = {
    "type": "custom",
    "tool_id": "t",
    "name": "find",
    "description": "Finds.",
    "url": "https://a.example",
    "speak_after_execution": True,
    "speak_during_execution": False,
    "parameters": {"type": "object", "properties": {"n": {"type": "string"}}},
}
EQUATIONS: Any = [{"left": "{{a}}", "operator": "not_exist"}, {"left": "{{b}}", "operator": ">=", "right": "2"}]
COLD: Any = {"type": "cold_transfer"}
EVERY: list[Any] = [
    {**NODES[0], "global_node_setting": {"condition": "angry", "go_back_conditions": [{**way("b"), "id": "b"}]}},
    {
        "id": "subagent",
        "type": "subagent",
        "instruction": PROMPT,
        "tool_ids": ["t"],
        "tools": [{"type": "end_call", "name": "bye"}],
        "always_edge": way(prompt="Always"),
    },
    {"id": "function", "type": "function", "tool_id": "t", "tool_type": "local", "wait_for_result": False},
    {"id": "code", "type": "code", "code": "return 1", "wait_for_result": True, "else_edge": way()},
    {
        "id": "extract",
        "type": "extract_dynamic_variables",
        "variables": [{"type": "enum", "name": "who", "description": "Who.", "choices": ["a", "b"]}],
    },
    {
        "id": "branch",
        "type": "branch",
        "edges": [
            {
                "id": "q",
                "destination_node_id": "x",
                "transition_condition": {"type": "equation", "operator": "||", "equations": EQUATIONS},
            }
        ],
        "else_edge": way(),
    },
    {
        "id": "transfer",
        "type": "transfer_call",
        "transfer_destination": {"type": "predefined", "number": "+15550100"},
        "transfer_option": COLD,
        "edge": way(prompt="Transfer failed"),
    },
    {
        "id": "swap",
        "type": "agent_swap",
        "agent_id": "agent_1",
        "post_call_analysis_setting": "both_agents",
        "edge": way(prompt="Transfer failed"),
    },
    {"id": "press", "type": "press_digit", "instruction": PROMPT, "delay_ms": 500},
    {
        "id": "sms",
        "type": "sms",
        "instruction": {"type": "template", "template": "info_collection"},
        "success_edge": way("y", "Sent successfully"),
        "failed_edge": way("n", "Failed to send"),
    },
    {"id": "mcp", "type": "mcp", "mcp_id": "shop", "mcp_tool_name": "look", "wait_for_result": True},
    through("part", "local"),
    {"id": "bridge", "type": "bridge_transfer"},
    {"id": "cancel", "type": "cancel_transfer"},
    END,
]


@pytest.fixture
def client(live_server: Server) -> Iterator[Retell]:
    with connected(live_server) as client:
        yield client


def a_flow(client: Retell, nodes: list[Any] = NODES) -> Any:
    return client.conversation_flow.create(start_speaker="agent", model_choice=CHOICE, nodes=nodes)


def refused(error: APIStatusError) -> str:
    """The message of the body of section 1."""
    body: Any = error.body
    assert body["status"] == "error"
    return body["message"]


@pytest.mark.operation("conversation_flow.create", "conversation_flow.retrieve")
def test_section_16_the_least_flow_is_kept_and_given_back(client: Retell) -> None:
    made = client.conversation_flow.create(
        start_speaker="agent",
        model_choice=CHOICE,
        nodes=NODES,
        start_node_id="s",
        extra_body={"new": {"kept": [1, 2.5]}},
    )
    assert made.conversation_flow_id.startswith("conversation_flow_")
    assert made.version == 0
    found = client.conversation_flow.retrieve(made.conversation_flow_id, version=0)
    assert found == made
    kept = found.to_dict(use_api_names=True)
    assert kept["nodes"] == NODES
    assert kept["new"] == {"kept": [1, 2.5]}


def test_section_7_3_every_type_of_node_is_kept_and_given_back(client: Retell) -> None:
    component: Any = {"name": "part", "nodes": NODES}
    made = client.conversation_flow.create(
        start_speaker="agent", model_choice=CHOICE, nodes=EVERY, tools=[TOOL], components=[component]
    )
    kept = made.to_dict(use_api_names=True)
    assert (kept["nodes"], kept["tools"], kept["components"]) == (EVERY, [TOOL], [component])
    assert len({node["type"] for node in EVERY}) == 15


@pytest.mark.operation("conversation_flow.update", "conversation_flow.delete")
def test_section_7_1_a_flow_is_changed_and_deleted(client: Retell) -> None:
    made = a_flow(client)
    changed = client.conversation_flow.update(made.conversation_flow_id, global_prompt="Be kind.", start_node_id=None)
    assert (changed.global_prompt, changed.version) == ("Be kind.", 0)
    assert changed.nodes == made.nodes
    assert client.conversation_flow.retrieve(made.conversation_flow_id) == changed
    client.conversation_flow.delete(made.conversation_flow_id)
    with pytest.raises(NotFoundError):
        client.conversation_flow.retrieve(made.conversation_flow_id)


def test_section_13_a_flow_need_not_name_a_model(client: Retell) -> None:
    made = raw(client, "POST", "/create-conversation-flow", {"start_speaker": "agent", "nodes": NODES})
    found = client.conversation_flow.retrieve(made["conversation_flow_id"])
    assert found.nodes is not None
    assert [node.id for node in found.nodes] == ["s", "x"]


def test_section_1_1_misses_are_404_and_422_for_a_patch(client: Retell) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.conversation_flow.retrieve("conversation_flow_none")
    assert refused(caught.value) == "Conversation flow 'conversation_flow_none' was not found."
    with pytest.raises(NotFoundError):
        client.conversation_flow.delete("conversation_flow_none")
    with pytest.raises(UnprocessableEntityError):
        client.conversation_flow.update("conversation_flow_none", global_prompt="a")
    made = a_flow(client)
    with pytest.raises(NotFoundError, match="Version 7 of"):
        client.conversation_flow.retrieve(made.conversation_flow_id, version=7)
    with pytest.raises(UnprocessableEntityError, match="Version 7 of"):
        client.conversation_flow.update(made.conversation_flow_id, version=7, global_prompt="a")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([{"id": "s", "type": "dance"}], "unknown type 'dance'"),
        ([END, END], "node id 'x' is used more than once"),
        ([], "at least 1 item"),
        ([through("conversation_flow_component_none"), END], "no shared component 'conversation_flow_component_none'"),
    ],
)
def test_section_1_1_what_cannot_be_played_is_400(client: Retell, nodes: list[Any], message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        a_flow(client, nodes)
    assert message in refused(caught.value)
    made = a_flow(client)
    with pytest.raises(BadRequestError) as caught:
        client.conversation_flow.update(made.conversation_flow_id, nodes=nodes)
    assert message in refused(caught.value)
    assert client.conversation_flow.retrieve(made.conversation_flow_id) == made


def test_section_7_1_a_flow_that_an_agent_speaks_as_is_kept_unless_forced(client: Retell) -> None:
    made = a_flow(client)
    engine: Any = {"type": "conversation-flow", "conversation_flow_id": made.conversation_flow_id}
    client.chat_agent.create(response_engine=engine)
    with pytest.raises(BadRequestError):
        client.conversation_flow.delete(made.conversation_flow_id)
    client.conversation_flow.delete(made.conversation_flow_id, **FORCED)


@pytest.mark.operation("conversation_flow.list", "legacy.list_conversation_flows")
def test_section_1_3_both_lists_have_every_flow_once(client: Retell) -> None:
    made = [a_flow(client).conversation_flow_id for _ in range(3)]
    found: list[str] = []
    key: str | None = None
    while True:
        page = client.conversation_flow.list(limit=1, pagination_key=key or omit)
        found += [one.conversation_flow_id for one in page.items]
        key = page.pagination_key
        if not page.has_more or set(made) <= set(found):
            break
    assert found[:3] == made[::-1]
    plain = raw(client, "GET", "/list-conversation-flows")
    assert [one["conversation_flow_id"] for one in plain[:3]] == made[::-1]
    query = {"limit": 1, "pagination_key": made[2], "pagination_key_version": 0}
    after = raw(client, "GET", "/list-conversation-flows", query=query)
    assert [one["conversation_flow_id"] for one in after] == [made[1]]
    with pytest.raises(BadRequestError):
        raw(client, "GET", "/list-conversation-flows", query={"pagination_key": "conversation_flow_x"})


@pytest.mark.operation(
    "conversation_flow_component.create",
    "conversation_flow_component.retrieve",
    "conversation_flow_component.update",
    "conversation_flow_component.delete",
    "conversation_flow_component.list",
    "legacy.list_conversation_flow_components",
)
def test_section_7_2_a_shared_component_is_copied_where_it_is_used_when_it_is_deleted(client: Retell) -> None:
    parts = client.conversation_flow_component
    made = parts.create(name="part", nodes=NODES, start_node_id="s")
    id_ = made.conversation_flow_component_id
    flow = a_flow(client, [through(id_), END])
    changed = parts.update(id_, name="new")
    assert (changed.name, changed.nodes) == ("new", made.nodes)
    assert changed.linked_conversation_flow_ids == [flow.conversation_flow_id]
    assert parts.retrieve(id_) == changed
    assert changed in parts.list(limit=1000).items
    plain = raw(client, "GET", "/list-conversation-flow-components")
    assert id_ in [one["conversation_flow_component_id"] for one in plain]
    parts.delete(id_)
    for call in (parts.retrieve, parts.delete, parts.update):
        with pytest.raises(NotFoundError, match="was not found"):
            call(id_)
    left = client.conversation_flow.retrieve(flow.conversation_flow_id).to_dict(use_api_names=True)
    assert left["nodes"] == [{**through(id_), "component_type": "local"}, END]
    copies: Any = left["components"]
    assert [one["name"] for one in copies] == ["new"]
    again = client.conversation_flow.update(flow.conversation_flow_id, global_prompt="a")
    assert again.components is not None
    assert [one.name for one in again.components] == ["new"]


def test_section_7_2_a_component_holds_no_components(client: Retell) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.conversation_flow_component.create(name="part", nodes=[through("conversation_flow_component_x"), END])
    assert "a component holds no others" in refused(caught.value)
