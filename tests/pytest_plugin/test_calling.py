"""What functions under examination are given, and what is made of their answers."""

from collections.abc import Sequence
from typing import Any

import pytest

from vivavoce.pytest_plugin.calling import Target, answer, arguments
from vivavoce.running.desk import Heard

HEARD = Heard("c1", 2, "Now", (("user", "Before"), ("assistant", "Yes")), {"plan": "gold"})
MESSAGES = [
    {"role": "user", "content": "Before"},
    {"role": "assistant", "content": "Yes"},
    {"role": "user", "content": "Now"},
]


def text(said: str) -> None: ...
def plain(said: Any) -> None: ...
def messages(messages: Any) -> None: ...
def listed(said: list[dict[str, str]]) -> None: ...
def sequence(said: Sequence[Any]) -> None: ...
def extras(said: str, *, variables: Any, turn: int, conversation_id: str, other: int = 0) -> None: ...
def some(said: str, variables: Any = None) -> None: ...
def untold(said: Any) -> None: ...


untold.__annotations__["said"] = "Unknown"


class Bot:
    def __call__(self, history: Any) -> None: ...

    def talk(self, said: str) -> None: ...


GIVEN: list[tuple[Any, Any]] = [
    (text, (("Now",), {})),
    (plain, (("Now",), {})),
    (untold, (("Now",), {})),
    (messages, ((MESSAGES,), {})),
    (listed, ((MESSAGES,), {})),
    (sequence, ((MESSAGES,), {})),
    (extras, (("Now",), {"variables": {"plan": "gold"}, "turn": 2, "conversation_id": "c1"})),
    (some, (("Now",), {"variables": {"plan": "gold"}})),
    (Bot(), ((MESSAGES,), {})),
    (Bot().talk, (("Now",), {})),
    (lambda: None, (("Now",), {})),
    (dict.fromkeys, (("Now",), {})),
    (max, (("Now",), {})),
]


@pytest.mark.parametrize(("target", "given"), GIVEN)
def test_how_a_function_is_called(target: Target, given: Any) -> None:
    assert arguments(target)(HEARD) == given


def test_what_a_function_answers() -> None:
    assert answer("Hi") == {"message": "Hi"}
    assert answer(None) == {"message": None}
    assert answer({"message": "Bye", "end": True}) == {"message": "Bye", "end": True}
    with pytest.raises(TypeError, match="not int"):
        answer(5)
