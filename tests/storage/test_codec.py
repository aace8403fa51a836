import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vivavoce.core.assistant import Attached, Opener, Plays, Rules, Templating, Version
from vivavoce.core.conversation import Opening
from vivavoce.core.equation import Equation
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Recalled,
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
    BackTarget,
    BranchNode,
    CallCondition,
    ComponentNode,
    Condition,
    DefaultCondition,
    Edge,
    EndNode,
    EquationCondition,
    ExpressionCondition,
    Flow,
    Global,
    HeardCondition,
    Inner,
    Node,
    NodeTarget,
    PromptNode,
    ResultCondition,
    SpeakNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.passage import Recall
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.server import OwnServer
from vivavoce.core.tool import (
    Act,
    CodeTool,
    Envelope,
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
    Recalled: st.builds(Recalled, tuples(text), whole, whole),
    Left: st.builds(Left, st.sampled_from(Ending), whole, st.none() | speakers, text, whole, usages),
}
schemas = st.none() | json_objects
stored = tuples(st.builds(StoredField, text, text))
fillers = tuples(st.builds(Filler, text, whole, st.booleans()))
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
        stored=stored,
        timeout_ms=whole,
        waits_ms=st.none() | whole,
        fillers=fillers,
        extra=json_objects,
        envelope=st.none() | st.builds(Envelope, text, text, text, text, text, json_objects),
        form=st.booleans(),
        retries=whole,
        longest=st.none() | whole,
        quiet=st.booleans(),
    ),
    FunctionTool: st.builds(FunctionTool, text, text, schemas, st.booleans(), json_objects),
    CodeTool: st.builds(
        CodeTool, text, text, text, schemas, whole, stored, st.booleans(), fillers, st.booleans(), json_objects
    ),
    HangupTool: st.builds(HangupTool, text, json_objects, name=text, fillers=fillers),
    HandoffTool: st.builds(
        HandoffTool,
        tuples(st.builds(HandoffTarget, text, text, st.none() | whole)),
        text,
        json_objects,
        name=text,
        fillers=fillers,
    ),
    LineTool: st.builds(
        LineTool,
        st.sampled_from(Act),
        text,
        tuples(st.builds(LineTarget, text, text, text)),
        text,
        text,
        json_objects,
        fillers=fillers,
    ),
    MessageTool: st.builds(MessageTool, text, text, json_objects, fillers=fillers),
    SkipTool: st.builds(SkipTool, text, json_objects),
    VariablesTool: st.builds(
        VariablesTool, text, text, tuples(st.builds(SettableVariable, text, text, text, tuples(text))), json_objects
    ),
    RetrievalTool: st.builds(RetrievalTool, tuples(text), st.none() | whole, text, json_objects),
    RemoteTool: st.builds(
        RemoteTool,
        text,
        text,
        json_objects,
        text,
        text,
        st.booleans(),
        st.booleans(),
        stored,
        fillers,
        st.booleans(),
        st.booleans(),
    ),
    OtherTool: st.builds(OtherTool, text, json_objects, name=text),
}
minds = st.builds(
    Mind,
    maybe_text,
    maybe_text,
    st.none() | st.builds(Endpoint, text, text, maybe_text, st.booleans()),
    st.none() | st.floats(0, 2),
)
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
plain_tool = st.builds(FunctionTool, text)
recalls = st.none() | st.builds(Recall, tuples(text), st.none() | whole)
nodes: dict[type, st.SearchStrategy[Any]] = {
    PromptNode: st.builds(
        PromptNode,
        text,
        text,
        text,
        modes,
        st.none() | tuples(text),
        modes,
        st.none() | minds,
        json_objects,
        inline=tuples(plain_tool),
        says=text,
        silent=st.booleans(),
        recall=recalls,
    ),
    SpeakNode: st.builds(SpeakNode, text, text, text, json_objects, generated=st.booleans(), mind=st.none() | minds),
    ToolNode: st.builds(
        ToolNode,
        text,
        text,
        text,
        text,
        json_objects,
        generated=st.booleans(),
        filled_by=st.sampled_from(["variables", "model"]),
        mind=st.none() | minds,
    ),
    BranchNode: st.builds(BranchNode, text, text, st.none() | minds, json_objects),
    EndNode: st.builds(EndNode, text, text, text, st.booleans(), st.none() | minds, json_objects),
    ComponentNode: st.builds(ComponentNode, text, text, text, json_objects),
}
relations = st.sampled_from(["==", "<=", "not_contains", "exists"])
conditions: dict[type, st.SearchStrategy[Any]] = {
    AskCondition: st.builds(AskCondition, text),
    ExpressionCondition: st.builds(ExpressionCondition, expressions),
    EquationCondition: st.builds(
        EquationCondition, tuples(st.builds(Equation, text, relations, text)), st.sampled_from(["and", "or"]), text
    ),
    CallCondition: st.builds(CallCondition, text, text, schemas),
    SpokenCondition: st.just(SpokenCondition()),
    HeardCondition: st.just(HeardCondition()),
    ResultCondition: st.builds(ResultCondition, st.booleans()),
    DefaultCondition: st.just(DefaultCondition()),
}
targets = st.builds(NodeTarget, text) | st.builds(AssistantTarget, text) | st.builds(BackTarget, left=text)


plain_node = st.builds(SpeakNode, text, text)
plain_edge = st.builds(Edge, text, text, st.just(DefaultCondition()), targets)
parts = st.builds(Flow, text, tuples(plain_node), tuples(plain_edge))
flows = st.builds(
    Flow,
    text,
    tuples(plain_node),
    tuples(plain_edge),
    st.sampled_from(["after", "before"]),
    tuples(st.builds(Global, text, text, st.builds(AskCondition, text), whole)),
    st.dictionaries(text, plain_tool, max_size=1),
    st.dictionaries(text, parts, max_size=1),
    st.dictionaries(text, st.builds(Inner, text, text), max_size=1),
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
    library=st.dictionaries(text, plain_tool, max_size=2),
    servers=attached,
    integrations=attached,
    flow=st.none() | flows,
    opener=st.none() | st.builds(Opener, text, whole),
    insight_group=maybe_text,
    keeps=st.booleans(),
    reports=st.booleans(),
    idle_minutes=st.none() | whole,
    greeting=maybe_text,
    tools=tuples(plain_tool),
    variables=json_objects,
    templating=st.builds(Templating, text, st.sampled_from(Rules), text),
    number=whole,
    published=st.booleans(),
    base=st.none() | whole,
    changed_at=whole,
    plays=st.none() | st.builds(Plays, text, st.none() | whole),
    own_servers=tuples(st.builds(OwnServer, text, text, tuples(st.builds(Header, text, text)), texts, whole)),
    recall=recalls,
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
    utterance_limit=st.none() | whole,
    tester_model=maybe_text,
    mocks=tuples(st.builds(ToolMock, text, text, schemas, st.booleans())),
    changed_at=st.none() | whole,
    variables=json_objects,
    extra=json_objects,
)
verdicts = tuples(
    st.builds(Verdict, text, st.sampled_from(Decision), text, text, st.none() | st.builds(Quote, whole, text))
)


PLAIN = Version("v", "a", "n", "i", 0)


def _with_tool(tool: Tool) -> Version:
    return replace(PLAIN, tools=(tool,))


def _with_node(node: Node) -> Version:
    return replace(PLAIN, flow=Flow("n", (node,)))


def _with_condition(condition: Condition) -> Version:
    edge = Edge("e", "n", condition, NodeTarget("n"))
    return replace(PLAIN, flow=Flow("n", (), (edge,), globals=(Global("g", "n", condition),)))


KEPT: list[tuple[str, Codec[Any], st.SearchStrategy[Any]]] = [
    *((kind.__name__, cast("Codec[Any]", event_codec), strategy) for kind, strategy in events.items()),
    *(
        (f"Version with {kind.__name__}", version_codec, strategy.map(make))
        for kinds, make in (
            (tools, cast("Callable[[Any], Version]", _with_tool)),
            (nodes, cast("Callable[[Any], Version]", _with_node)),
            (conditions, cast("Callable[[Any], Version]", _with_condition)),
        )
        for kind, strategy in kinds.items()
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
        return [with_more(each, (*path, 0)) for each in cast("list[Any]", value)]
    if not isinstance(value, dict) or (path and path[-1] in FREE):
        return cast("Any", value)
    known = {key: with_more(inner, (*path, key)) for key, inner in cast("dict[str, Any]", value).items()}
    return {"from_the_future": [1, {"a": None}], **known}


FREE = {
    "arguments",
    "body_parameters",
    "components",
    "context",
    "extra",
    "inner",
    "library",
    "parameters",
    "path_parameters",
    "preset_body",
    "preset_query",
    "query",
    "query_parameters",
    "tools",
    "variables",
}
"""Fields whose keys are the user's own."""


def test_every_kind_is_tried() -> None:
    assert set(events) == set(get_args(Event))
    assert set(tools) == set(get_args(Tool))
    assert set(nodes) == set(get_args(Node))
    assert set(conditions) == set(get_args(Condition))


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
