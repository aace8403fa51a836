"""One function fills templates in, by the rules that the version names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.templating import Filling, fill, filled
from vivavoce.core.assistant import Rules, Templating

VARIABLES = {"a": "x", "tag": "{{a}} {{nobody}}", "empty": "", "user": {"name": "Ann"}, "number": 7}
PATHS = Filling(VARIABLES)
NESTED = Filling(VARIABLES, Templating("", Rules.NESTED, "Asia/Tokyo"), 0)


def test_the_rules_are_the_version_s() -> None:
    template = "{{user.name}} {{a{{empty}}}} {{a}}"
    assert fill(template, PATHS) == "Ann {{a}} x"
    assert fill(template, NESTED) == "{{user.name}} x x"
    assert fill("{{current_time}}", NESTED) == "Thursday, January 1, 1970 at 9:00 AM JST"


def test_words_for_a_person_lose_braces_only_where_the_rules_let_them() -> None:
    assert fill("Hi {{nobody}}!", PATHS, unset="empty") == "Hi !"
    assert fill("Hi {{nobody}}!", NESTED, unset="empty") == "Hi {{nobody}}!"


@pytest.mark.parametrize("filling", [PATHS, NESTED], ids=["paths", "nested"])
@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{a}}", "x"),
        ("{{tag}}", "{{a}} {{nobody}}"),  # braces in a value are no names
        ("[{{empty}}]", "[]"),
        ("{{a}} {{nobody}}", None),
        ("{{ nobody }}", None),
        ("plain {a}", "plain {a}"),
        ("", ""),
    ],
)
def test_what_is_not_set_is_told_apart_from_what_is(filling: Filling, template: str, expected: str | None) -> None:
    assert filled(template, filling) == expected


@given(st.text(alphabet="{} atg.\n", max_size=30), st.sampled_from([PATHS, NESTED]))
def test_what_is_filled_in_wholly_is_what_is_filled_in(template: str, filling: Filling) -> None:
    assert filled(template, filling) in (None, fill(template, filling))


def test_tools_are_given_texts() -> None:
    texts = NESTED.as_texts()
    assert dict(texts.variables) == {**VARIABLES, "user": '{"name": "Ann"}', "number": "7"}
    assert (texts.templating, texts.now) == (NESTED.templating, NESTED.now)
