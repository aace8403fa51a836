"""Response engines of prompts and states, as the vendor's own SDK drives them over a real socket."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from retell import APIStatusError, BadRequestError, Retell, UnprocessableEntityError
from tests.support.retell_sdk import FORCED, connected, newer, raw
from tests.support.server import Server

TOOLS: list[Any] = [
    {"type": "end_call", "name": "end_call"},
    {
        "type": "custom",
        "name": "find_order",
        "description": "Finds an order.",
        "url": "https://shop.example/orders",
        "speak_after_execution": True,
        "speak_during_execution": False,
        "parameters": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
    },
]
STATES: list[Any] = [
    {
        "name": "greet",
        "state_prompt": "Say hello.",
        "edges": [{"destination_state_name": "sell", "description": "The caller wants to buy."}],
    },
    {"name": "sell", "state_prompt": "Sell something."},
]


@pytest.fixture
def client(live_server: Server) -> Iterator[Retell]:
    with connected(live_server) as client:
        yield client


def refused(error: APIStatusError) -> str:
    """The message of the body of section 1."""
    body: Any = error.body
    assert body["status"] == "error"
    return body["message"]


@pytest.mark.operation("llm.create", "llm.retrieve")
def test_section_4_what_is_sent_is_kept_and_given_back(client: Retell) -> None:
    made = client.llm.create(
        start_speaker="agent",
        begin_message=None,
        general_prompt="You work for Birch.",
        general_tools=TOOLS,
        states=STATES,
        starting_state="greet",
        default_dynamic_variables={"shop": "Birch"},
        extra_body={"something_new": {"kept": [1, 2.5, None]}},
    )
    assert made.llm_id.startswith("llm_")
    assert (made.version, made.is_published, made.model) == (0, False, "gpt-4.1")
    assert made.last_modification_timestamp > 1_600_000_000_000

    found = client.llm.retrieve(made.llm_id)
    assert found == made
    plain: Any = found.to_dict()
    assert plain["general_tools"] == TOOLS
    assert plain["states"] == STATES
    assert plain["begin_message"] is None
    assert plain["something_new"] == {"kept": [1, 2.5, None]}
    assert client.llm.retrieve(made.llm_id, version=0) == made


@pytest.mark.operation("llm.create")
def test_section_4_every_field_may_be_left_out(live_server: Server, client: Retell) -> None:
    made = client.llm.create()
    assert (made.model, made.start_speaker) == ("gpt-4.1", "agent")
    answer = httpx.post(f"{live_server.url}/create-retell-llm", json={}, headers=live_server.headers)
    assert answer.status_code == 201


@pytest.mark.operation("llm.update")
def test_section_13_a_patch_replaces_key_by_key_and_null_clears(client: Retell) -> None:
    made = client.llm.create(general_prompt="Old.", begin_message="Hello.", general_tools=TOOLS)
    changed = client.llm.update(made.llm_id, general_prompt="New.", begin_message=None)
    assert (changed.general_prompt, changed.begin_message) == ("New.", None)
    assert changed.general_tools == made.general_tools
    assert changed.version == 0
    assert changed.last_modification_timestamp >= made.last_modification_timestamp
    assert client.llm.retrieve(made.llm_id) == changed

    configured = client.llm.update(
        made.llm_id,
        **newer(model_config={"type": "cascading", "primary": {"model": "gpt-5"}, "backup": {"model": "gpt-5-mini"}}),
    )
    assert configured.model is None
    warmer = client.llm.update(made.llm_id, **newer(model_config={"temperature": 0.5}))
    plain: Any = warmer.to_dict()
    assert plain["model_config"]["primary"] == {"model": "gpt-5"}
    assert plain["model_config"]["temperature"] == 0.5
    with pytest.raises(BadRequestError, match="primary"):
        client.llm.update(made.llm_id, **newer(model_config={"type": "s2s"}))


@pytest.mark.operation("llm.list")
def test_section_1_3_a_walk_with_limit_1_visits_each_once(client: Retell) -> None:
    made = [client.llm.create(general_prompt=f"Number {number}.").llm_id for number in range(3)]
    seen: list[str] = []
    page = client.llm.list(limit=1)
    while not set(made) <= set(seen):
        seen += [one.llm_id for one in page.items]
        assert len(page.items) == 1
        assert page.has_more is (page.pagination_key is not None)
        if page.pagination_key is None:
            break
        page = client.llm.list(limit=1, pagination_key=page.pagination_key)
    assert seen[:3] == made[::-1]
    with pytest.raises(BadRequestError, match="pagination_key"):
        client.llm.list(pagination_key="odd")


@pytest.mark.operation("legacy.list_retell_llm")
def test_section_1_3_the_legacy_list_is_an_array_behind_the_last_id(client: Retell) -> None:
    first, second = (client.llm.create().llm_id for _ in range(2))

    def listed(**query: Any) -> list[str]:
        return [one["llm_id"] for one in raw(client, "GET", "/list-retell-llms", query=query)]

    assert listed(limit=1) == [second]
    assert listed(limit=1, pagination_key=second) == [first]
    assert listed(limit=1, pagination_key=second, pagination_key_version=0) == [first]
    for wrong in ({"pagination_key": "llm_nobody"}, {"limit": 1001}):
        with pytest.raises(BadRequestError):
            listed(**wrong)


@pytest.mark.operation("llm.delete")
def test_section_1_1_who_is_gone_is_a_422(client: Retell) -> None:
    made = client.llm.create()
    client.llm.delete(made.llm_id)
    with pytest.raises(UnprocessableEntityError) as caught:
        client.llm.retrieve(made.llm_id)
    assert made.llm_id in refused(caught.value)
    with pytest.raises(UnprocessableEntityError):
        client.llm.update(made.llm_id, general_prompt="x")
    with pytest.raises(UnprocessableEntityError):
        client.llm.delete(made.llm_id, **FORCED)


def test_section_1_1_a_version_that_there_is_not_is_a_422(client: Retell) -> None:
    made = client.llm.create()
    with pytest.raises(UnprocessableEntityError, match="Version 7"):
        client.llm.retrieve(made.llm_id, version=7)


def test_section_4_states_need_a_start_that_exists(client: Retell) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.llm.create(states=STATES)
    assert "starting_state is required" in refused(caught.value)
    made = client.llm.create(states=STATES, starting_state="greet")
    with pytest.raises(BadRequestError, match="no state named"):
        client.llm.update(made.llm_id, starting_state="leave")
    assert client.llm.retrieve(made.llm_id) == made


def test_section_5_a_tool_without_what_it_needs_is_a_400_that_names_it(client: Retell) -> None:
    broken: Any = [{"type": "custom", "name": "find order", "url": "https://shop.example"}]
    with pytest.raises(BadRequestError) as caught:
        client.llm.create(general_tools=broken)
    assert "general_tools.0" in refused(caught.value)
