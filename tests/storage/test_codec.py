import json
from dataclasses import replace
from typing import Any, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vivavoce.core.assistant import Attached, Opener, Templating, Version
from vivavoce.core.conversation import Opening
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
    Usage,
)
from vivavoce.core.expression import Arithmetic, Comparison, Junction, Literally, Variable
from vivavoce.core.flow import (
    AskCondition,
    AssistantTarget,
    DefaultCondition,
    Edge,
    ExpressionCondition,
    Flow,
    NodeTarget,
    PromptNode,
    SpeakNode,
    ToolNode,
)
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.tool import (
    Act,
    Filler,
    FunctionTool,
    HandoffTarget,
    HandoffTool,
    HangupTool,
    Header,
    LineTarget,
    LineTool,
    MessageTool,
    OtherTool,
    RemoteTool,
    RetrievalTool,
    SettableVariable,
    SkipTool,
    StoredField,
    Tool,
    ToolMock,
    VariablesTool,
    WebhookTool,
)
from vivavoce.core.verdict import Decision, Quote, Verdict
from vivavoce.storage.codec import (
    Codec,
    digest,
    event_codec,
    opening_codec,
    scenario_codec,
    usage_codec,
    verdicts_codec,
    version_codec,
)

text = st.text(max_size=8)
maybe_text = st.none() | text
whole = st.integers(min_value=0, max_value=2**62)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
json_objects = st.dictionaries(text, json_values, max_size=3)
texts = st.dictionaries(text, text, max_size=2)


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=2).map(tuple)


usages = st.none() | st.builds(Usage, text, whole, whole, whole)
calls = st.builds(ToolCall, text, text, json_objects)
speakers = st.sampled_from(Speaker)
events: dict[type, st.SearchStrategy[Any]] = {
    Message: st.builds(Message, speakers, text, whole, whole, usages, st.booleans(), st.none() | json_objects),
    ToolCalled: st.builds(ToolCalled, calls, whole, whole, usages),
    ToolReturned: st.builds(
        ToolReturned, text, text, text, st.booleans(), whole, whole, st.none() | whole, st.booleans(), json_objects
    ),
    Moved: st.builds(Moved, text, whole, text, text, whole, usages),
    HandedOver: st.builds(HandedOver, text, text, text, whole, text, whole, usages),
    Left: st.builds(Left, st.sampled_from(Ending), whole, st.none() | speakers, text, whole, usages),
}
schemas = st.none() | json_objects
tools: dict[type, st.SearchStrategy[Any]] = {
    WebhookTool: st.builds(
        WebhookTool,
        name=text,
        description=text,
        url=text,
        method=text,
        headers=tuples(st.builds(Header, text, text)),
        path_parameters=schemas,
        query_parameters=schemas,
        body_parameters=schemas,
        preset_body=json_objects,
        preset_query=json_objects,
        stored=tuples(st.builds(StoredField, text, text)),
        timeout_ms=whole,
        waits_ms=st.none() | whole,
        fillers=tuples(st.builds(Filler, text, whole)),
        extra=json_objects,
    ),
    FunctionTool: st.builds(FunctionTool, text, text, schemas, st.booleans(), json_objects),
    HangupTool: st.builds(HangupTool, text, json_objects),
    HandoffTool: st.builds(HandoffTool, tuples(st.builds(HandoffTarget, text, text)), text, json_objects),
    LineTool: st.builds(
        LineTool,
        st.sampled_from(Act),
        text,
        tuples(st.builds(LineTarget, text, text, text)),
        text,
        text,
        json_objects,
    ),
    MessageTool: st.builds(MessageTool, text, text, json_objects),
    SkipTool: st.builds(SkipTool, text, json_objects),
    VariablesTool: st.builds(
        VariablesTool, text, text, tuples(st.builds(SettableVariable, text, text, text)), json_objects
    ),
    RetrievalTool: st.builds(RetrievalTool, tuples(text), st.none() | whole, text, json_objects),
    RemoteTool: st.builds(RemoteTool, text, text, json_objects, text, text),
    OtherTool: st.builds(OtherTool, text, json_objects, name=text),
}
minds = st.builds(Mind, maybe_text, maybe_text, st.none() | st.builds(Endpoint, text, text, maybe_text, st.booleans()))
literals = st.builds(Literally, text | st.booleans() | st.floats(allow_nan=False, allow_infinity=False))
expressions: st.SearchStrategy[Any] = st.recursive(
    literals | st.builds(Variable, text),
    lambda inner: (
        st.builds(Comparison, st.sampled_from(["==", "<", "contains"]), inner, inner)
        | st.builds(Junction, st.sampled_from(["and", "not"]), tuples(inner))
        | st.builds(Arithmetic, st.sampled_from(["+", "%"]), inner, inner)
    ),
    max_leaves=4,
)
modes = st.sampled_from(["replace", "append"])
flows = st.builds(
    Flow,
    text,
    tuples(
        st.builds(PromptNode, text, text, text, modes, st.none() | tuples(text), modes, st.none() | minds, json_objects)
        | st.builds(SpeakNode, text, text, text, json_objects)
        | st.builds(ToolNode, text, text, text, text, json_objects)
    ),
    tuples(
        st.builds(
            Edge,
            text,
            text,
            st.builds(AskCondition, text) | st.builds(ExpressionCondition, expressions) | st.builds(DefaultCondition),
            st.builds(NodeTarget, text) | st.builds(AssistantTarget, text),
        )
    ),
)
attached = tuples(st.builds(Attached, text, st.none() | tuples(text)))
versions = st.builds(
    Version,
    id=text,
    assistant_id=text,
    name=text,
    instructions=text,
    created_at=whole,
    label=text,
    description=maybe_text,
    mind=minds,
    fallback=st.none() | minds,
    shared=tuples(text),
    library=st.dictionaries(text, st.one_of(*tools.values()), max_size=2),
    servers=attached,
    integrations=attached,
    flow=st.none() | flows,
    opener=st.none() | st.builds(Opener, text, whole),
    insight_group=maybe_text,
    keeps=st.booleans(),
    reports=st.booleans(),
    idle_minutes=st.none() | whole,
    greeting=maybe_text,
    tools=tuples(st.one_of(*tools.values())),
    variables=json_objects,
    templating=st.builds(Templating, text),
    extra=json_objects,
)
scenarios = st.builds(
    Scenario,
    id=text,
    name=text,
    target=text,
    brief=text,
    criteria=tuples(st.builds(Criterion, text, text)),
    created_at=whole,
    medium=st.sampled_from(Medium),
    description=maybe_text,
    suite=maybe_text,
    max_duration_s=st.none() | whole,
    turn_limit=st.none() | whole,
    mocks=tuples(st.builds(ToolMock, text, text, schemas)),
    variables=json_objects,
    extra=json_objects,
)
verdicts = tuples(
    st.builds(Verdict, text, st.sampled_from(Decision), text, text, st.none() | st.builds(Quote, whole, text))
)


def _with_tool(version: Version, tool: Tool) -> Version:
    return replace(version, tools=(tool,))


KEPT: list[tuple[str, Codec[Any], st.SearchStrategy[Any]]] = [
    *((kind.__name__, cast("Codec[Any]", event_codec), strategy) for kind, strategy in events.items()),
    *(
        (f"Version with {kind.__name__}", version_codec, st.builds(_with_tool, versions, strategy))
        for kind, strategy in tools.items()
    ),
    ("Version", version_codec, versions),
    ("Opening", opening_codec, st.builds(Opening, json_objects, text)),
    ("Scenario", scenario_codec, scenarios),
    ("Verdicts", verdicts_codec, verdicts),
    ("Usage", usage_codec, st.builds(Usage, text, whole, whole, whole)),
]
every = pytest.mark.parametrize(("codec", "values"), [one[1:] for one in KEPT], ids=[one[0] for one in KEPT])


def with_more(value: Any, path: tuple[object, ...] = ()) -> Any:
    """JSON of ours as a newer server may have written it: every object of a known shape has a field more."""
    if isinstance(value, list):
        return [with_more(each, path) for each in cast("list[Any]", value)]
    if not isinstance(value, dict) or (path and path[-1] in FREE):
        return cast("Any", value)
    known = {key: with_more(inner, (*path, key)) for key, inner in cast("dict[str, Any]", value).items()}
    return {"from_the_future": [1, {"a": None}], **known}


FREE = {
    "library",
    "arguments",
    "body_parameters",
    "extra",
    "parameters",
    "path_parameters",
    "preset_body",
    "preset_query",
    "query_parameters",
    "variables",
}
"""Fields whose keys are the user's own."""


def test_every_kind_is_tried() -> None:
    assert set(events) == set(get_args(Event))
    assert set(tools) == set(get_args(Tool))


@every
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_kept_comes_back_equal(codec: Codec[Any], values: st.SearchStrategy[Any], data: st.DataObject) -> None:
    value = data.draw(values)
    kept = codec.dumps(value)
    assert codec.loads(kept) == value
    assert type(codec.loads(kept)) is type(value)
    # The digest of a snapshot must not depend on which of two equal objects was frozen.
    assert codec.dumps(codec.loads(kept)) == kept


@every
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_what_a_newer_server_added_is_passed_over(
    codec: Codec[Any], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    assert codec.loads(json.dumps(with_more(json.loads(codec.dumps(value))))) == value


def test_kept_text_can_be_kept_anywhere() -> None:
    """JSON text holds no NUL, whatever was said, and everything else as it is."""
    kept = event_codec.dumps(Message(Speaker.CALLER, "a\x00é😀\u2028", 1))
    assert "\x00" not in kept
    assert event_codec.loads(kept) == Message(Speaker.CALLER, "a\x00é😀\u2028", 1)


@pytest.mark.parametrize("kept", ["", "{}", '{"kind":"nonsense"}', '{"kind":"message"}', "null", "[]"])
def test_what_is_no_event_is_refused(kept: str) -> None:
    with pytest.raises(ValidationError):
        event_codec.loads(kept)


def test_a_digest_is_the_texts_own() -> None:
    assert digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert digest("a ") != digest("a")
    assert len(digest("é")) == 64
