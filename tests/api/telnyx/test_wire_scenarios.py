import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from telnyx.types.ai.assistants import AssistantTest, test_create_params, test_update_params
from tests.api.telnyx.bodies import KEYS, json_values, lacks

from vivavoce.api.telnyx.wire.scenarios import TestCreate, TestUpdate, change_scenario, dump_scenario, to_scenario
from vivavoce.core.scenario import Criterion, Medium, Scenario

COMPLETE: dict[str, Any] = {
    "name": "Books a table",
    "destination": "assistant-1",
    "instructions": "You want a table for two.",
    "rubric": [{"name": "Polite", "criteria": "Says please."}, {"name": "Done", "criteria": "Books."}],
    "description": "The usual way",
    "telnyx_conversation_channel": "phone_call",
    "max_duration_seconds": 3600,
    "test_suite": "smoke",
}
SMALL = {key: COMPLETE[key] for key in ("name", "destination", "instructions", "rubric")}
ID = "0191e0a0-0000-7000-8000-000000000001"


def made(body: dict[str, Any]) -> Scenario:
    return to_scenario(TestCreate.model_validate(body), id=ID, now=1500)


def changed(scenario: Scenario, body: dict[str, Any]) -> Scenario:
    return change_scenario(scenario, TestUpdate.model_validate(body))


def test_every_field_of_the_sdk_is_known():
    create = set(test_create_params.TestCreateParams.__annotations__) - {"idempotency_key"}
    assert create == set(COMPLETE) == set(TestUpdate.model_fields) == set(TestCreate.model_fields)
    assert set(test_update_params.TestUpdateParams.__annotations__) == set(COMPLETE)


def test_both_spellings():
    scenario = made(COMPLETE)
    assert scenario == Scenario(
        id=ID,
        name="Books a table",
        target="assistant-1",
        brief="You want a table for two.",
        criteria=(Criterion("Polite", "Says please."), Criterion("Done", "Books.")),
        created_at=1500,
        medium=Medium.PHONE_CALL,
        description="The usual way",
        suite="smoke",
        max_duration_s=3600,
    )
    wire = dump_scenario(scenario)
    assert wire == {**COMPLETE, "test_id": ID, "created_at": "1970-01-01T00:00:01.500Z"}
    parsed = AssistantTest.model_validate(wire)
    assert (parsed.test_id, parsed.rubric[1].criteria) == (ID, "Books.")


def test_a_small_test():
    scenario = made(SMALL)
    assert (scenario.medium, scenario.suite, scenario.max_duration_s) == (Medium.WEB_CHAT, None, None)
    wire = dump_scenario(scenario)
    assert set(wire) == {*SMALL, "telnyx_conversation_channel", "test_id", "created_at"}


@given(st.dictionaries(KEYS, json_values, max_size=3), st.sets(st.sampled_from(sorted(COMPLETE))))
def test_unknown_fields_are_kept(extra: dict[str, Any], kept: set[str]):
    body = {**extra, **SMALL, **{key: COMPLETE[key] for key in kept}}
    assert lacks(body, dump_scenario(made(body))) == []
    assert lacks(body, dump_scenario(changed(made(SMALL), body))) == []


def test_what_is_left_out_of_an_update_stays():
    scenario = made({**COMPLETE, "owner": "me"})
    assert changed(scenario, {}) == scenario
    after = changed(scenario, {"rubric": [{"name": "One", "criteria": "two"}], "test_suite": "", "team": 1})
    assert after == replace(scenario, criteria=(Criterion("One", "two"),), suite=None, extra={"owner": "me", "team": 1})


def test_a_response_can_be_sent_back():
    for scenario in (made({**COMPLETE, "owner": "me"}), made(SMALL)):
        assert changed(scenario, json.loads(json.dumps(dump_scenario(scenario)))) == scenario


BAD: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "x" * 256),
    ("name", None),
    ("name", "a\x00"),
    ("destination", ""),
    ("instructions", ""),
    ("instructions", "x" * 5001),
    ("rubric", []),
    ("rubric", [{"name": "a"}]),
    ("rubric", [{"name": "a", "criteria": "b", "weight": 1}]),
    ("description", "x" * 1001),
    ("description", None),
    ("telnyx_conversation_channel", "fax"),
    ("max_duration_seconds", 0),
    ("max_duration_seconds", 3601),
    ("max_duration_seconds", "60"),
    ("test_suite", "x" * 101),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_constraints(field: str, value: Any):
    for model in (TestCreate, TestUpdate):
        with pytest.raises(ValidationError) as caught:
            model.model_validate({**COMPLETE, field: value})
        assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_required_fields():
    with pytest.raises(ValidationError) as caught:
        TestCreate.model_validate({})
    assert {error["loc"][0] for error in caught.value.errors()} == set(SMALL)
    longest = {"name": "x" * 255, "instructions": "x" * 5000, "description": "x" * 1000, "test_suite": "x" * 100}
    assert TestCreate.model_validate({**COMPLETE, **longest})


@pytest.mark.parametrize("suite", ["a\nb", "a\tb", "\x7f"])
def test_a_suite_has_a_name_that_an_address_can_hold(suite: str) -> None:
    with pytest.raises(ValidationError):
        TestUpdate.model_validate({"test_suite": suite})
