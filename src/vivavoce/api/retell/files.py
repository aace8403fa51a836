"""Files that hold what this API answers: response engines and test case definitions, one by one or in lists (contract,
sections 2.2, 4 and 7)."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError

from vivavoce.api.retell.wire import flows, llms
from vivavoce.api.retell.wire.engine import body_of
from vivavoce.api.retell.wire.engine import dump_engine as dump_body
from vivavoce.api.retell.wire.flows import FlowCreate
from vivavoce.api.retell.wire.ids import read as read_id
from vivavoce.api.retell.wire.ids import shown
from vivavoce.api.retell.wire.llms import LlmShape
from vivavoce.api.retell.wire.messages import texts
from vivavoce.api.retell.wire.scenarios import (
    DefinitionCreate,
    change_scenario,
    dump_definition,
    dump_engine,
    to_scenario,
    type_of,
)
from vivavoce.api.shape import sent
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Form, Version
from vivavoce.core.scenario import Medium, Scenario
from vivavoce.core.tool import HangupTool
from vivavoce.services.errors import Rejected
from vivavoce.services.transfer import Bundle, Flaw, Format, Held, Piece, Told, Written

Loc = tuple[str | int, ...]

_LISTS = ("items", "data")


def read(value: object) -> Iterator[Piece]:
    """The response engines and test case definitions of one file."""
    for loc, body in _bodies(value):
        try:
            yield Piece(loc, _thing(body))
        except ValidationError as failure:
            for error in failure.errors(include_url=False):
                name = ".".join(map(str, error["loc"]))
                yield Piece((*loc, *error["loc"]), Flaw(f"{name}: {error['msg']}"))
        except Rejected as failure:
            yield Piece(loc, Flaw(str(failure)))


def _bodies(value: object) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    loc: Loc = ()
    if isinstance(value, dict):
        keys = cast("dict[str, Any]", value)
        name = next((name for name in _LISTS if isinstance(keys.get(name), list)), None)
        if name is not None:
            loc, value = (name,), keys[name]
    many = isinstance(value, list)
    for place, one in enumerate(cast("list[Any]", value) if isinstance(value, list) else [value]):
        yield ((*loc, place) if many else loc), cast("Mapping[str, Any]", one) if isinstance(one, dict) else {}


def _thing(body: Mapping[str, Any]) -> Held | Told | Flaw:
    if "user_prompt" in body or "metrics" in body:
        definition = DefinitionCreate.model_validate(body)
        fresh = to_scenario(definition, Medium.WEB_CALL, 0)
        id_ = read_id("test_case", str(body.get("test_case_definition_id") or ""))
        return Told(id_, fresh, lambda before: change_scenario(before, definition))
    if "nodes" in body:
        version = flows.to_version(sent(FlowCreate.model_validate(body)))
        id_ = read_id("conversation_flow", str(body.get("conversation_flow_id") or ""))
        return Held(id_, version, Form.FLOW)
    if body.keys() & {"llm_id", "general_prompt", "states", "general_tools"}:
        version = llms.to_version(sent(LlmShape.model_validate(body)))
        return Held(read_id("llm", str(body.get("llm_id") or "")), version, Form.PROMPTS)
    return Flaw("this is neither a response engine nor a test case definition")


def check(_version: Version) -> None:
    """The body of an engine was checked when it was read."""


def same(before: Version, wanted: Version) -> bool:
    """Whether both are made of the same body."""
    return body_of(before) == body_of(wanted)


def write(bundle: Bundle) -> Written:
    """A file for each response engine, and one for the test case definitions, as the API answers them. An assistant of
    another API becomes a response engine, as far as that goes."""
    files: dict[str, Any] = {}
    notes: list[str] = []
    for one in bundle.assistants:
        if one.form is Form.FLOW:
            files[f"conversation-flows/{shown('conversation_flow', one.id)}.json"] = flows.dump(one, one.main)
        elif one.form is Form.PROMPTS:
            files[f"llms/{shown('llm', one.id)}.json"] = dump_body("llm", one, one.main)
        else:
            files[f"llms/{shown('llm', one.id)}.json"] = _engine(one)
            notes += _not_said(one)
    forms = {one.id: one.form for one in bundle.assistants}
    definitions: list[dict[str, Any]] = []
    for scenario in bundle.scenarios:
        form = forms.get(scenario.target)
        if form is None:
            notes.append(f"Test {scenario.name!r} goes to no response engine, and stays behind.")
            continue
        definition = dump_definition(scenario, dump_engine(type_of(form), scenario.target, None))
        if scenario.tester_model is None:
            del definition["llm_model"]  # it stands for the server's own
        definitions.append(definition)
        if left := _left_out(scenario):
            notes.append(f"Test {scenario.name!r}: {left} stay behind.")
    if definitions:
        files["test-case-definitions.json"] = definitions
    return Written(files, tuple(notes))


def _engine(assistant: Assistant) -> dict[str, Any]:
    """The body of a response engine that says what this API has words for."""
    main = assistant.main
    body: dict[str, Any] = {
        "llm_id": shown("llm", assistant.id),
        "general_prompt": main.instructions,
        "start_speaker": "user" if main.greeting == "" else "agent",
        "begin_message": None if main.greeting in (None, MODEL_OPENS) else main.greeting,
        "model": main.mind.model,
        "model_temperature": main.mind.temperature,
        "default_dynamic_variables": texts(main.variables) or None,
        "general_tools": [
            {"type": "end_call", "name": "end_call", "description": tool.description}
            for tool in main.tools
            if isinstance(tool, HangupTool)
        ],
    }
    return {key: value for key, value in body.items() if value is not None}


def _not_said(assistant: Assistant) -> list[str]:
    main = assistant.main
    tools = [tool.name for tool in main.tools if not isinstance(tool, HangupTool)]
    parts = [f"its tools {', '.join(tools)}"] if tools else []
    parts += ["its flow"] if main.flow else []
    parts += ["its shared tools"] if main.shared else []
    return [f"Assistant {main.name!r}: its name and {part} stay behind." for part in parts]


def _left_out(scenario: Scenario) -> str:
    """What this API has no words for."""
    parts = {
        "its persona": scenario.persona,
        "its scripted turns": scenario.lines or scenario.hangs_up,
        "its suite": scenario.suite,
        "its limits": scenario.max_duration_s,
    }
    return " and ".join(name for name, there in parts.items() if there)


FORMAT = Format(read, write, check, same)
