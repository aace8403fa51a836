"""Functions of this process as HTTP destinations."""

from collections.abc import Generator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.running import desk as desk_module
from vivavoce.running.desk import Desk, Heard, heard, open_desk

ASKED = {
    "conversation_id": "c",
    "turn": 2,
    "message": "It is 1234.",
    "history": [{"role": "user", "text": "Where?"}, {"role": "assistant", "text": "Number?"}],
    "variables": {"plan": "gold"},
}


@pytest.fixture(scope="module")
def desk() -> Generator[Desk]:
    with open_desk() as opened:
        yield opened


def ask(url: str, body: Any = ASKED, **headers: str) -> httpx2.Response:
    return httpx2.post(url, json=body, headers=headers, trust_env=False)


def test_a_function_hears_and_answers(desk: Desk) -> None:
    said: list[Heard] = []

    def respond(one: Heard) -> dict[str, Any]:
        said.append(one)
        return {"message": f"{one.turn}"}

    with desk.serving(respond) as url:
        assert ask(url).json() == {"message": "2"}
    history = (("user", "Where?"), ("assistant", "Number?"))
    assert said == [Heard("c", 2, "It is 1234.", history, {"plan": "gold"})]
    assert ask(url).status_code == 404


def test_what_comes_again_is_answered_as_before(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "REMEMBERED", 2)
    said: list[Heard] = []

    def respond(one: Heard) -> dict[str, Any]:
        said.append(one)
        return {"message": f"{len(said)}"}

    with desk.serving(respond) as url:
        assert [ask(url, **{"Idempotency-Key": key}).json()["message"] for key in ("a", "a", "b")] == ["1", "1", "2"]
        # Only the latest are remembered.
        assert [ask(url, **{"Idempotency-Key": key}).json()["message"] for key in ("c", "b", "a")] == ["3", "2", "4"]


def test_a_function_that_fails_is_a_500_without_its_words(desk: Desk) -> None:
    def respond(_one: Heard) -> dict[str, Any]:
        raise ValueError("secret")

    with desk.serving(respond) as url:
        response = ask(url)
    assert (response.status_code, "secret" in response.text) == (500, False)


ODD: list[Any] = [[], {}, {**ASKED, "turn": "x"}, {**ASKED, "history": [{}]}, 1]


@pytest.mark.parametrize("body", ODD)
def test_another_shape_is_refused(desk: Desk, body: Any) -> None:
    with desk.serving(lambda _one: {}) as url:
        assert ask(url, body).status_code == 422
        assert httpx2.post(url, content=b"{", trust_env=False).status_code == 422
        assert httpx2.post(url, content=iter([b"{}"]), trust_env=False).status_code == 413


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_heard_or_refused(body: Any) -> None:
    try:
        heard(body)
    except (KeyError, TypeError, ValueError):
        return
    assert isinstance(body, dict)
