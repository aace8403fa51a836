"""Components of flows, and flows as one prompt (contract, sections 7.2 and 7.4)."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError
from tests.support.retell_flows import (
    EVERY,
    FIND,
    SHARED,
    SHARED_ID,
    end,
    part,
    played,
    says,
    shared,
    through,
    version,
    way,
)

from vivavoce.api.retell.wire.components import (
    ComponentPatch,
    ComponentShape,
    body_of,
    dump_component,
    to_component,
)
from vivavoce.api.retell.wire.components import patched as patched_component
from vivavoce.api.retell.wire.flows import localised, patched
from vivavoce.api.shape import sent
from vivavoce.assistant.spread import spread
from vivavoce.core.event import ToolCall
from vivavoce.core.flow import (
    CallCondition,
    PromptNode,
)
from vivavoce.core.model import Reply
from vivavoce.core.tool import CodeTool, HangupTool, RemoteTool, WebhookTool
from vivavoce.services.errors import Rejected
from vivavoce.storage.codec import component_codec

# --- components -----------------------------------------------------------------------------------------------------


def test_section_7_2_a_component_is_kept_and_given_back() -> None:
    written = part(notes=[{"id": "n", "content": "c"}], start_node_id="s", tools=[FIND])
    component = replace(to_component(sent(TypeAdapter(ComponentShape).validate_python(written))), id=SHARED_ID)
    assert component_codec.loads(component_codec.dumps(component)) == component
    assert dump_component((replace(component, changed_at=5), ("assistant-1",))) == {
        **written,
        "conversation_flow_component_id": SHARED,
        "user_modified_timestamp": 5,
        "linked_conversation_flow_ids": ["conversation_flow_1"],
    }
    assert component.flow.start == "s"
    assert list(component.flow.tools) == ["t"]


def test_a_patch_of_a_component_is_compiled_again() -> None:
    patch = sent(TypeAdapter(ComponentPatch).validate_python({"name": "new", "nodes": [{"id": "y", "type": "end"}]}))
    changed = patched_component(shared(), {**patch, "user_modified_timestamp": 1})
    assert (changed.name, changed.flow.start) == ("new", "y")
    assert body_of(changed) == {"name": "new", "nodes": [{"id": "y", "type": "end"}]}
    with pytest.raises(Rejected, match="is used more than once"):
        patched_component(shared(), {"nodes": [end(), end()]})
    with pytest.raises(ValidationError, match="name"):
        TypeAdapter(ComponentPatch).validate_python({"name": None})


async def test_section_7_2_a_flow_keeps_a_copy_of_a_shared_component() -> None:
    before = version(through("c", SHARED, "shared", "x"), end())
    after = localised(before, shared())
    node = after.extra["body"]["nodes"][0]
    assert (node["component_type"], node["component_id"]) == ("local", SHARED)
    assert [one["name"] for one in after.extra["body"]["components"]] == ["part"]
    assert after.flow is not None
    assert patched(after, {"global_prompt": "a"}).flow == after.flow
    found = await played(replace(after, flow=spread(after.flow, {})), "Yes.")
    assert "assistant: In the part." in found
    assert found[-2] == "assistant: Bye."


def test_section_7_2_a_draft_of_what_was_published_keeps_its_copies() -> None:
    before = version(through("c", SHARED, "shared", "x"), end())
    assert before.flow is not None
    copies = {SHARED_ID: shared().flow, "gone": shared().flow}
    after = patched(replace(before, flow=replace(before.flow, components=copies)), {"global_prompt": "a"})
    assert after.flow is not None
    assert list(after.flow.components) == [SHARED_ID]


# --- one prompt -----------------------------------------------------------------------------------------------------


def test_section_7_4_flex_mode_is_one_prompt_with_all_tools() -> None:
    setting = {"condition": "angry", "cool_down": 1}
    nodes = [{**wire, "wait_for_result": False} if "wait_for_result" in wire else wire for wire in EVERY]
    nodes[0] = {**nodes[0], "name": "Welcome", "global_node_setting": setting}
    made = version(*nodes, tools=[FIND], components=[part()], flex_mode=True, global_prompt="You work for {{shop}}.")
    assert made.flow is None
    assert made.instructions.startswith('You work for {{shop}}.\n\nYour work consists of tasks. Begin with "Welcome".')
    for line in (
        '## "Welcome"',
        'Say this word for word: "Hello."',
        '- When this holds: The caller goes on., go on with "branch".',
        "- From any other task come here when this holds: angry.",
        '- When this holds: {{a}} == 1, go on with "function".',
        '- Otherwise, go on with "end".',
        "Call find.",
        "Call code.",
        "Call send_sms.",
        '- When that has worked, go on with "mcp".',
        '- When that has failed, go on with "end".',
        "Do the part 'part'.",
        "# The part 'part': begin with its first task; then go on as the task says that led to this part.",
        '- When you were answered, whatever was said, go on with "transfer".',
        "Then call end_call.",
    ):
        assert line in made.instructions.splitlines(), line
    names = [tool.name for tool in made.tools]
    assert names[:2] == ["end_call", "find"]
    assert len(set(names)) == len(names)
    waiting = [tool for tool in made.tools if isinstance(tool, WebhookTool | CodeTool | RemoteTool)]
    assert len(waiting) == 3
    assert all(tool.waits_ms is None if isinstance(tool, WebhookTool) else tool.waits for tool in waiting)


def test_flex_mode_tells_of_conditions_of_every_kind() -> None:
    equation_prompt = {
        "type": "equation_prompt",
        "operator": "&&",
        "equations": [{"left": "{{a}}", "operator": "exists"}],
        "prompt_condition": {"type": "prompt", "prompt": "angry"},
    }
    made = version(
        says("s", "One moment.", skip_response_edge=way("k", "c"), global_node_setting={"condition": equation_prompt}),
        through("c", SHARED, "shared", "s"),
        flex_mode=True,
    )
    lines = made.instructions.splitlines()
    assert "- From any other task come here when this holds: {{a}} exists; and angry." in lines
    assert '- When you have said it, without waiting for an answer, go on with "c".' in lines
    assert f"Do the part {SHARED!r}." in lines
    assert made.tools == ()


async def test_a_component_in_flex_mode_is_one_node_that_says_when_it_is_done() -> None:
    component = to_component(part(flex_mode=True))
    node = component.flow.nodes[0]
    assert isinstance(node, PromptNode)
    assert not any(isinstance(tool, HangupTool) for tool in node.inline)
    [edge] = component.flow.edges
    assert isinstance(edge.condition, CallCondition)
    before = version(through("c", SHARED, "shared", "x"), end())
    assert before.flow is not None
    found = await played(
        replace(before, flow=spread(before.flow, {SHARED_ID: component.flow})),
        "Yes.",
        answers=[Reply("In the part?"), Reply("", (ToolCall("1", "task_done", {}),))],
    )
    assert [line for line in found if not line.startswith(("task_done", "call "))] == [
        "at c",
        "at c/s over c/",
        "assistant: In the part?",
        "caller: Yes.",
        "at c/s/done over c/s/done",
        "at x over c/s/done/c-else",
        "assistant: Bye.",
        "left hangup: the flow came to its end at 'x'",
    ]
