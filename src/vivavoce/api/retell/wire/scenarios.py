"""Test case definitions ⇄ scenarios (contract, section 2.2).

What only this API has (which version a definition names, blank metrics, mocks as they were written) is kept in the
scenario's ``extra`` and given back while it still fits: another API can have changed the scenario since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.retell.wire.messages import texts
from vivavoce.api.retell.wire.tool_shapes import ToolMockShape
from vivavoce.api.retell.wire.tools import to_mocks
from vivavoce.api.shape import Whole, mapping, omitted, sent, storable
from vivavoce.core.assistant import Form
from vivavoce.core.event import Millis
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.tool import ToolMock
from vivavoce.services.scenarios import Aimed
from vivavoce.storage.scenarios import Target

USER_MODEL = "gpt-4.1"
"""What stands for the server's tester in answers (contract, section 2.2)."""
MOST_TURNS = 1000
"""As many as a scenario may have: what ends a conversation is the server's limit of utterances, which counts those of
both sides (contract, section 3.4), as its seconds do."""
MAX_NAME = 100
"""Characters of a metric that name it."""

_ENGINE, _METRICS, _MOCKS = "response_engine", "metrics", "tool_mocks"

EngineType = Literal["retell-llm", "conversation-flow"]
_Version = Annotated[Whole, Field(ge=0, le=2**31 - 1)] | None
_Id = Annotated[str, Field(min_length=1, max_length=256)]


class LlmShape(BaseModel, frozen=True, extra="ignore"):
    """An engine of prompts; ``version`` left out is the newest."""

    type: Literal["retell-llm"]
    llm_id: _Id
    version: _Version = omitted()


class FlowShape(BaseModel, frozen=True, extra="ignore"):
    """An engine that is a flow."""

    type: Literal["conversation-flow"]
    conversation_flow_id: _Id
    version: _Version = omitted()


EngineShape = Annotated[LlmShape | FlowShape, Field(discriminator="type")]
_engine_shape: TypeAdapter[LlmShape | FlowShape] = TypeAdapter(EngineShape)
_metrics_shape: TypeAdapter[list[str]] = TypeAdapter(list[str])
_mocks_shape: TypeAdapter[list[ToolMockShape]] = TypeAdapter(list[ToolMockShape])


class DefinitionUpdate(BaseModel, frozen=True, extra="ignore"):
    """What may be changed of a definition; what is left out stays as it is, and null gives an optional field its
    default."""

    name: str = omitted()
    response_engine: EngineShape = omitted()
    user_prompt: str = omitted()
    metrics: list[str] = omitted()
    dynamic_variables: dict[str, str] | None = omitted()
    tool_mocks: list[ToolMockShape] | None = omitted()
    llm_model: Annotated[str, Field(min_length=1, max_length=256)] | None = omitted()

    _storable = model_validator(mode="before")(storable)


class DefinitionCreate(DefinitionUpdate, frozen=True):
    """A new definition."""

    name: str = Field(...)
    response_engine: EngineShape = Field(...)
    user_prompt: str = Field(...)
    metrics: list[str] = Field(...)


# --- engines --------------------------------------------------------------------------------------------------------


def type_of(form: Form) -> EngineType:
    """What this API calls an assistant of this form; those that other APIs made are prompts here."""
    return "conversation-flow" if form is Form.FLOW else "retell-llm"


def named_id(engine: LlmShape | FlowShape) -> str:
    """The id that was sent."""
    return engine.llm_id if engine.type == "retell-llm" else engine.conversation_flow_id


def engine_id(type_: EngineType, text: str) -> str:
    """The server's id of the engine for what a client sent."""
    return read("llm" if type_ == "retell-llm" else "conversation_flow", text)


def dump_engine(type_: EngineType, assistant_id: str, number: int | None) -> dict[str, Any]:
    """The reference to an engine; without a number it names no version."""
    kind: Literal["llm", "conversation_flow"] = "llm" if type_ == "retell-llm" else "conversation_flow"
    # A run can be of something that is no assistant of this server: its address is all that is known of it.
    id_ = shown(kind, assistant_id) if assistant_id.startswith("assistant-") else assistant_id
    return {"type": type_, f"{kind}_id": id_} | ({} if number is None else {"version": number})


def kept_engine(scenario: Scenario) -> LlmShape | FlowShape | None:
    """The engine as the definition was sent with it, or None where it was not, or the scenario goes elsewhere now."""
    try:
        engine = _engine_shape.validate_python(scenario.extra.get(_ENGINE))
    except ValidationError:
        return None
    return engine if engine_id(engine.type, named_id(engine)) == scenario.target else None


def engine_of(scenario: Scenario, target: Target | None, number: int | None = None) -> dict[str, Any] | None:
    """The reference to a scenario's engine: as it was sent, or else of the version with the number (None: main). None
    where the scenario goes to no assistant of this server."""
    kept = kept_engine(scenario)
    if kept is not None:
        return sent(kept)
    if target is None:
        return None
    return dump_engine(type_of(target.form), target.id, target.number if number is None else number)


def wanted_number(aimed: Aimed) -> int | None:
    """The number of the version that a definition names; None where it is the newest."""
    kept = kept_engine(aimed.scenario)
    return kept.version if kept else None


# --- from the client ------------------------------------------------------------------------------------------------


def to_scenario(body: DefinitionCreate, medium: Medium, now: Millis) -> Scenario:
    """A new scenario; its id is set where it is kept."""
    blank = Scenario("", "", "", "", (), now, turn_limit=MOST_TURNS)
    return change_scenario(blank, body, medium)


def change_scenario(scenario: Scenario, body: DefinitionUpdate, medium: Medium | None = None) -> Scenario:
    """The scenario with what was sent in its place; lists and maps take the place of the old ones as a whole.
    ``medium`` is that of another engine."""
    wire = sent(body)
    extra = {name: wire[name] for name in (_ENGINE, _METRICS, _MOCKS) if wire.get(name) is not None}
    target, criteria, mocks = scenario.target, scenario.criteria, scenario.mocks
    if _ENGINE in wire:
        target = engine_id(body.response_engine.type, named_id(body.response_engine))
    if _METRICS in wire:
        criteria = to_criteria(body.metrics)
    if _MOCKS in wire:
        extra[_MOCKS] = wire[_MOCKS] or []
        mocks = to_mocks(extra[_MOCKS])
    return replace(
        scenario,
        name=wire.get("name", scenario.name),
        target=target,
        brief=wire.get("user_prompt", scenario.brief),
        criteria=criteria,
        medium=scenario.medium if medium is None else medium,
        mocks=mocks,
        variables=wire["dynamic_variables"] or {} if "dynamic_variables" in wire else scenario.variables,
        tester_model=wire.get("llm_model", scenario.tester_model),
        extra={**scenario.extra, **extra},
    )


def to_criteria(metrics: Sequence[str]) -> tuple[Criterion, ...]:
    """A criterion for every metric that says something. Its name is the text, cut to ``MAX_NAME`` characters; one that
    was there before gets a number."""
    found: list[Criterion] = []
    taken: set[str] = set()
    for metric in metrics:
        text = " ".join(metric.split())
        if not text:
            continue
        name, count = _cut(text, MAX_NAME), 1
        while name in taken:
            count += 1
            mark = f" ({count})"
            name = _cut(text, MAX_NAME - len(mark)) + mark
        taken.add(name)
        found.append(Criterion(name, metric.strip()))
    return tuple(found)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


# --- to the client --------------------------------------------------------------------------------------------------


def dump_definition(scenario: Scenario, engine: Mapping[str, Any]) -> dict[str, Any]:
    """The answer object of a definition; ``engine`` is the reference to its engine."""
    return {
        "test_case_definition_id": shown("test_case", scenario.id),
        "type": "simulation",
        "name": scenario.name,
        _ENGINE: dict(engine),
        "user_prompt": scenario.brief,
        _METRICS: _metrics(scenario),
        "dynamic_variables": texts(scenario.variables),
        _MOCKS: _mocks(scenario),
        "llm_model": scenario.tester_model or USER_MODEL,
        "creation_timestamp": scenario.created_at,
        "user_modified_timestamp": scenario.changed_at or scenario.created_at,
    }


def _metrics(scenario: Scenario) -> list[str]:
    try:
        metrics = _metrics_shape.validate_python(scenario.extra.get(_METRICS))
    except ValidationError:
        metrics = None
    if metrics is not None and to_criteria(metrics) == scenario.criteria:
        return metrics
    return [one.text for one in scenario.criteria]


def _mocks(scenario: Scenario) -> list[dict[str, Any]]:
    raw = scenario.extra.get(_MOCKS)
    try:
        _mocks_shape.validate_python(raw)
    except ValidationError:
        return [_mock(one) for one in scenario.mocks]
    kept = cast("list[dict[str, Any]]", raw)
    return kept if to_mocks(kept) == scenario.mocks else [_mock(one) for one in scenario.mocks]


def _mock(mock: ToolMock) -> dict[str, Any]:
    rule = (
        {"type": "any"} if mock.arguments is None else {"type": "partial_match", "args": dict(mapping(mock.arguments))}
    )
    return {"tool_name": mock.tool, "input_match_rule": rule, "output": mock.output, "result": mock.ok}
