"""The variables a conversation starts with."""

from typing import Any

import pytest

from vivavoce.core.assistant import Rules, Templating, Version
from vivavoce.core.scenario import Medium
from vivavoce.services.variables import starting


def found(rules: Rules, given: dict[str, Any], medium: Medium = Medium.WEB_CALL, **ends: str) -> dict[str, Any]:
    prefix = "" if rules is Rules.NESTED else "sys_"
    defaults = {"name": "nobody", "count": 2, "sys_a": "x"}
    version = Version("v", "a", "n", "i", 0, variables=defaults, templating=Templating(prefix, rules))
    return dict(starting(version, given, conversation_id="c", started_at=0, medium=medium, **ends))


def test_section_6_all_are_texts_and_what_is_given_wins() -> None:
    assert found(Rules.NESTED, {"name": "Ann", "list": [1], "nothing": None}) == {
        "session_type": "voice",
        "name": "Ann",
        "count": "2",
        "sys_a": "x",
        "list": "[1]",
        "nothing": "",
    }


@pytest.mark.parametrize(
    ("medium", "expected"),
    [
        (Medium.WEB_CALL, {"session_type": "voice"}),
        (Medium.WEB_CHAT, {"session_type": "chat", "chat_id": "c"}),
        (Medium.SMS_CHAT, {"session_type": "chat", "chat_id": "c"}),
        (
            Medium.PHONE_CALL,
            {
                "session_type": "voice",
                "call_id": "c",
                "call_type": "phone_call",
                "direction": "inbound",
                "user_number": "+1",
            },
        ),
    ],
)
def test_section_6_a_session_has_the_system_variables_of_its_kind(medium: Medium, expected: dict[str, str]) -> None:
    system = found(Rules.NESTED, {}, medium, user_target="+1")
    assert {name: value for name, value in system.items() if name not in ("name", "count", "sys_a")} == expected


def test_section_6_system_variables_are_below_all_others() -> None:
    given = {"session_type": "mine", "user_number": "+9"}
    assert found(Rules.NESTED, given, Medium.PHONE_CALL, user_target="+1").items() >= given.items()


def test_under_the_other_rules_they_are_nobody_s_to_set() -> None:
    variables = found(Rules.PATHS, {"sys_conversation_id": "mine", "list": [1]})
    assert variables["sys_conversation_id"] == "c"
    assert variables["list"] == [1]
    assert "sys_a" not in variables
