"""Files that hold what this API answers."""

from typing import Any

import pytest
from tests.support.store import a_scenario, a_version

from vivavoce.api.telnyx.files import FORMAT, check, read, same, write
from vivavoce.api.telnyx.wire.assistant import AssistantCreate, to_version
from vivavoce.core.assistant import Assistant, Form
from vivavoce.core.tool import HangupTool, ToolMock
from vivavoce.services.errors import Rejected
from vivavoce.services.transfer import Bundle, Flaw, Held, Told

DESK = {"id": "assistant-1", "name": "Desk", "instructions": "Be kind.", "tags": ["a", "a"], "description": None}
TEST = {
    "test_id": "t-1",
    "name": "one",
    "destination": "assistant-1",
    "instructions": "You wait.",
    "rubric": [{"name": "kind", "criteria": "is kind"}],
    "test_suite": "s",
}


def flaws(value: object) -> list[tuple[Any, ...]]:
    return [(one.loc, one.thing.message) for one in read(value) if isinstance(one.thing, Flaw)]


@pytest.mark.parametrize("value", [[DESK, TEST], {"data": [DESK, TEST], "meta": {"total_results": 2}}])
def test_lists_of_the_api_are_read(value: object) -> None:
    desk, test = (one.thing for one in FORMAT.read(value))
    assert isinstance(desk, Held)
    assert (desk.id, desk.version.name, desk.tags, desk.form) == ("assistant-1", "Desk", ("a",), Form.ASSISTANT)
    assert isinstance(test, Told)
    assert (test.id, test.fresh.suite, test.fresh.target) == ("t-1", "s", "assistant-1")
    before = a_scenario(persona="You are Dana.", lines=("Hi.",), mocks=(ToolMock("t", "x"),), repeats=3)
    after = test.change(before)
    assert (after.persona, after.lines, after.mocks, after.repeats) == ("You are Dana.", ("Hi.",), before.mocks, 3)
    assert (after.name, after.brief) == ("one", "You wait.")


def test_one_thing_alone_is_read() -> None:
    (one,) = read(DESK)
    assert (one.loc, isinstance(one.thing, Held)) == ((), True)


def test_what_is_wrong_has_its_place() -> None:
    assert flaws({"data": [{**TEST, "rubric": [{"name": "x"}]}]}) == [
        (("data", 0, "rubric", 0, "criteria"), "rubric.0.criteria: Field required")
    ]
    ((loc, message),) = flaws([DESK, 5])
    assert (loc, "neither an assistant" in message) == ((1,), True)


def test_what_the_api_would_refuse_is_refused() -> None:
    twice = a_version(tools=(HangupTool(), HangupTool()))
    with pytest.raises(Rejected, match="only one tool of type hangup"):
        check(twice)
    check(a_version())


def test_an_assistant_is_the_same_whatever_its_version_was_called() -> None:
    made = to_version(
        AssistantCreate.model_validate({"name": "D", "instructions": "x"}), version_id="v", assistant_id="a", now=1
    )
    (one,) = read(write(Bundle((Assistant("a", made, 1),), ())).files["assistants/d-a.json"])
    assert isinstance(one.thing, Held)
    assert same(made, one.thing.version)
    assert not same(a_version(), one.thing.version)


def test_what_has_no_words_here_stays_behind_and_is_told() -> None:
    engine = Assistant("assistant-2", a_version(), 1, form=Form.PROMPTS)
    tests = (
        a_scenario(name="a", persona="p", lines=("x",), variables={"a": 1}),
        a_scenario(name="b", brief="", hangs_up=True),
        a_scenario(name="c"),
    )
    written = write(Bundle((engine,), tests))
    assert [one["name"] for one in written.files["tests.json"]["data"]] == ["a", "c"]
    assert written.notes == (
        "The engine assistant-2 is no assistant of this API, and stays behind.",
        "Test 'b' has no instructions, and stays behind.",
        "Test 'a': its persona and its scripted turns and its variables stay behind.",
    )
    assert write(Bundle((), ())).files == {}
