"""Whatever the SDK's types can say of an assistant is kept and comes back unchanged: wire models and stored form.

Every generated body must be accepted; none is thrown away.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from telnyx.types.ai import FlowNode, InferenceEmbedding
from tests.api.telnyx.bodies import lacks
from tests.api.telnyx.typed_bodies import (
    CREATE,
    UPDATE,
    Body,
    fields_of,
    limited_places,
    mended,
    own,
    places,
    typed,
    typed_tools,
    unsaid,
)

from vivavoce.api.telnyx.wire.assistant import AssistantCreate, AssistantUpdate, dump_assistant, overlay, to_version
from vivavoce.api.telnyx.wire.rules import semantic_problem
from vivavoce.api.telnyx.wire.tools import load_tool
from vivavoce.core.assistant import Assistant, Version
from vivavoce.storage.codec import version_codec

FIELDS = sorted(set(fields_of(CREATE)) - {"name", "instructions"})
TOOLS = typed_tools()
BIG = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


LIBRARY = {
    "lib-1": load_tool({"type": "webhook", "webhook": {"name": "find", "description": "Finds.", "url": "https://a"}}),
    "lib-2": load_tool({"type": "function", "function": {"name": "sum", "parameters": {"type": "object"}}}),
}


def stored(version: Version) -> Version:
    """As it comes out of the database, with its shared tools."""
    again = version_codec.loads(version_codec.dumps(version))
    assert again == version
    complete = replace(again, library={id_: LIBRARY[id_] for id_ in again.library_ids()})
    assert semantic_problem(complete) is None
    return complete


def created(body: Body) -> Version:
    model = AssistantCreate.model_validate(body)
    return stored(to_version(model, version_id="v1", assistant_id="assistant-1", now=1000))


def updated(version: Version, body: Body) -> Version:
    before = replace(version, library={})
    return stored(overlay(before, AssistantUpdate.model_validate(body), version_id="v2", now=2000))


def dumped(version: Version, tags: Any = ()) -> Body:
    return dump_assistant(Assistant("assistant-1", version, 1000, tuple(tags)), default_model="server/default")


def test_every_limit_is_about_a_field_of_the_sdk() -> None:
    assert limited_places() - places(CREATE) == {"Assistant.version_name"}  # which only updates have
    assert limited_places() <= places(UPDATE)


def comes_back(body: Body) -> None:
    wire = dumped(created(body), body.get("tags", ()))
    assert lacks(body, own(wire)) == []
    assert unsaid(body, own(wire)) == []
    InferenceEmbedding.model_validate(wire)
    # A client that copies an assistant sends what it was answered.
    assert dumped(created(wire), wire["tags"]) == wire


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_comes_back_as_it_was_sent(field: str) -> None:
    settings(BIG, max_examples=30)(given(typed(tools=list(LIBRARY), always=[field]))(comes_back))()


@pytest.mark.parametrize("kind", TOOLS)
def test_every_tool_comes_back_as_it_was_sent(kind: str) -> None:
    settings(BIG, max_examples=30)(given(TOOLS[kind])(comes_back))()


def test_a_node_shows_its_shared_tools_as_the_sdk_types_them() -> None:
    node = {"id": "a", "instructions": "Help.", "shared_tool_ids": ["lib-2", "lib-1"]}
    flow = {"start_node_id": "a", "nodes": [node]}
    read = InferenceEmbedding.model_validate(
        dumped(created({"name": "a", "instructions": "b", "conversation_flow": flow}))
    )
    assert read.conversation_flow
    [shown] = read.conversation_flow.nodes
    assert isinstance(shown, FlowNode)
    assert [[tool.type for tool in one] for one in shown.tools or ()] == [["function"], ["webhook"]]


@pytest.mark.parametrize("field", FIELDS)
def test_rule_6_1_omitted_fields_stay_and_sent_ones_are_replaced_whole(field: str) -> None:
    bodies = typed(tools=list(LIBRARY), always=[field], more=3)
    updates = typed(UPDATE, tools=list(LIBRARY), always=[field], more=3)
    settings(BIG, max_examples=20)(given(bodies, updates)(is_laid_over))()


def is_laid_over(body: Body, update: Body) -> None:
    update = mended(update, body)
    before = created(body)
    after = updated(before, update)
    was, wire = own(dumped(before)), own(dumped(after))
    kept = {key: value for key, value in update.items() if key not in ("tags", "conversation_flow")}
    flow = update.get("conversation_flow")
    assert lacks({**kept, **({"conversation_flow": flow} if flow else {})}, wire) == []
    assert unsaid(update, wire) == []
    changed = {"version_id", "version_created_at", *update, *({"model"} if "external_llm" in update else ())}
    assert {key: value for key, value in wire.items() if key not in changed} == {
        key: value for key, value in was.items() if key not in changed
    }
    if "conversation_flow" in update and flow is None:
        assert "conversation_flow" not in wire
