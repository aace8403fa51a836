"""Files that hold what this API answers."""

from typing import Any

import pytest
from tests.support.store import a_scenario, a_version

from vivavoce.api.retell.files import FORMAT, check, read, same, write
from vivavoce.core.assistant import Assistant, Form
from vivavoce.core.mind import Mind
from vivavoce.core.scenario import Medium
from vivavoce.core.tool import FunctionTool, HangupTool
from vivavoce.services.transfer import Bundle, Flaw, Held, Told

DIGITS = "0199c0de000070008000000000000000"
ENGINE_ID = "assistant-0199c0de-0000-7000-8000-000000000000"
LLM: dict[str, Any] = {"llm_id": f"llm_{DIGITS}", "general_prompt": "Be kind.", "version": 3, "is_published": False}
FLOW: dict[str, Any] = {
    "conversation_flow_id": f"conversation_flow_{DIGITS}",
    "start_speaker": "agent",
    "nodes": [{"id": "n", "type": "conversation", "instruction": {"type": "prompt", "text": "Be kind."}}],
    "start_node_id": "n",
    "model_choice": {"type": "cascading", "model": "gpt-4.1"},
}
TEST: dict[str, Any] = {
    "test_case_definition_id": f"test_case_{DIGITS}",
    "name": "one",
    "response_engine": {"type": "retell-llm", "llm_id": f"llm_{DIGITS}"},
    "user_prompt": "You wait.",
    "metrics": ["is kind"],
}


def engine(form: Form, thing: object) -> Assistant:
    assert isinstance(thing, Held)
    return Assistant(ENGINE_ID, thing.version, 1, form=form)


@pytest.mark.parametrize("value", [[LLM, FLOW, TEST], {"items": [LLM, FLOW, TEST], "has_more": False}])
def test_lists_of_the_api_are_read(value: object) -> None:
    llm, flow, test = (one.thing for one in FORMAT.read(value))
    assert isinstance(llm, Held)
    assert isinstance(flow, Held)
    assert isinstance(test, Told)
    assert [(one.id, one.form) for one in (llm, flow)] == [(ENGINE_ID, Form.PROMPTS), (ENGINE_ID, Form.FLOW)]
    assert (test.id, test.fresh.target) == (ENGINE_ID.removeprefix("assistant-"), ENGINE_ID)
    after = test.change(a_scenario(suite="s", persona="You are Dana.", repeats=3, medium=Medium.SMS_CHAT))
    assert (after.suite, after.persona, after.repeats, after.medium) == ("s", "You are Dana.", 3, Medium.SMS_CHAT)


def test_what_is_given_out_is_the_same_when_it_is_read() -> None:
    llm, flow = (one.thing for one in read([LLM, FLOW]))
    engines = engine(Form.PROMPTS, llm), engine(Form.FLOW, flow)
    test = a_scenario(name="one", target=ENGINE_ID, suite=None, max_duration_s=None)
    written = write(Bundle(engines[:1], (test,)))
    assert written.notes == ()
    assert list(written.files) == [f"llms/llm_{DIGITS}.json", "test-case-definitions.json"]
    (again,) = read(written.files[f"llms/llm_{DIGITS}.json"])
    assert isinstance(again.thing, Held)
    assert same(engines[0].main, again.thing.version)
    (definition,) = written.files["test-case-definitions.json"]
    assert (definition["response_engine"], "llm_model" in definition) == (TEST["response_engine"], False)
    (name,) = write(Bundle(engines[1:], ())).files
    assert name == f"conversation-flows/conversation_flow_{DIGITS}.json"
    check(engines[0].main)


def test_an_assistant_of_another_api_becomes_an_engine_as_far_as_that_goes() -> None:
    main = a_version(
        name="Desk", instructions="x", greeting="", mind=Mind("m"), tools=(HangupTool(), FunctionTool("find"))
    )
    written = write(Bundle((Assistant(ENGINE_ID, main, 1),), ()))
    assert written.files[f"llms/llm_{DIGITS}.json"] == {
        "llm_id": f"llm_{DIGITS}",
        "general_prompt": "x",
        "start_speaker": "user",
        "begin_message": "",
        "model": "m",
        "general_tools": [{"type": "end_call", "name": "end_call", "description": ""}],
    }
    assert written.notes == ("Assistant 'Desk': its name and its tools find stay behind.",)


def test_what_has_no_words_here_stays_behind_and_is_told() -> None:
    (llm,) = (one.thing for one in read(LLM))
    tests = (
        a_scenario(name="a", target=ENGINE_ID, suite="s", persona="p", max_duration_s=9),
        a_scenario(name="b", target="https://a.example", tester_model="m"),
        a_scenario(name="c", target=ENGINE_ID, suite=None, tester_model="m", max_duration_s=None),
    )
    written = write(Bundle((engine(Form.PROMPTS, llm),), tests))
    assert [one.get("llm_model") for one in written.files["test-case-definitions.json"]] == [None, "m"]
    assert written.notes == (
        "Test 'a': its persona and its suite and its limits stay behind.",
        "Test 'b' goes to no response engine, and stays behind.",
    )


def test_what_is_wrong_has_its_place() -> None:
    found = list(read({"data": [{**TEST, "metrics": "x"}, {**LLM, "states": [{"name": "a"}]}, {}]}))
    assert [(one.loc, isinstance(one.thing, Flaw)) for one in found] == [
        (("data", 0, "metrics"), True),
        (("data", 1), True),
        (("data", 2), True),
    ]
