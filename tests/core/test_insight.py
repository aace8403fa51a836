import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.filter import Field
from vivavoce.core.insight import MANAGED, SCALE, Tally, schema_of, tally

Answers = list[tuple[str, dict[str, str]]]
ODD = ['{"score": "\\ud800"}', "[" * 9999, '{"score": 1.5}']
SCORE, RESULT, DESK = Field("score"), Field("result"), Field("desk", metadata=True)


def test_rule_6_7_two_insights_come_with_the_server() -> None:
    assert [one.name for one in MANAGED] == ["Agent Instruction Following", "User Satisfaction"]
    assert [one.informed for one in MANAGED] == [True, False]
    for one in MANAGED:
        schema = schema_of(one.schema)
        assert schema is not None
        assert one.managed
        assert schema["properties"]["score"]["enum"] == list(SCALE) == ["Excellent", "Good", "Fair", "Poor", "N/A"]


def test_a_schema_is_an_object_or_its_text() -> None:
    assert schema_of(None) is None
    assert schema_of("") is None
    assert schema_of("  ") is None
    assert schema_of({"type": "object"}) == {"type": "object"}
    assert schema_of('{"type": "object"}') == {"type": "object"}
    assert schema_of({}) == {}


@pytest.mark.parametrize("text", ["x", "[]", "1", "{", '"{}"', "[" * 100_000])
def test_text_that_is_no_object_is_no_schema(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        schema_of(text)


def test_rule_5_16_answers_are_counted_by_their_values_the_most_frequent_first() -> None:
    found: Answers = [
        ('{"score": "Good"}', {"desk": "a"}),
        ('{"score": "Poor"}', {"desk": "b"}),
        ('{"score": "Good"}', {"desk": "b"}),
        ('{"other": 1}', {}),
    ]
    assert tally(found, [SCORE]) == (Tally(("Good",), 2), Tally(("Poor",), 1), Tally((None,), 1))
    assert tally(found, [DESK]) == (Tally(("b",), 2), Tally(("a",), 1), Tally((None,), 1))
    assert tally(found[:3], [SCORE, DESK]) == (
        Tally(("Good", "a"), 1),
        Tally(("Good", "b"), 1),
        Tally(("Poor", "b"), 1),
    )


def test_without_fields_all_answers_are_one_row() -> None:
    assert tally([], []) == (Tally((), 0),)
    assert tally([("a", {}), ("b", {})], []) == (Tally((), 2),)
    assert tally([], [SCORE]) == ()


def test_words_have_one_key() -> None:
    found: Answers = [("content", {}), ("content", {}), ("[1]", {}), ('{"result": "own"}', {})]
    assert tally(found, [RESULT]) == (Tally(("content",), 2), Tally(("[1]",), 1), Tally(("own",), 1))


def test_one_and_true_are_different_and_objects_are_compared_by_what_they_hold() -> None:
    found: Answers = [('{"score": 1}', {}), ('{"score": true}', {}), ('{"score": {"a": 1, "b": 2}}', {})]
    found.append(('{"score": {"b": 2, "a": 1}}', {}))
    assert tally(found, [SCORE])[0] == Tally(({"a": 1, "b": 2},), 2)
    assert len(tally(found, [SCORE])) == 3


@pytest.mark.parametrize("odd", ['{"score": NaN}', '{"score": 1e999}', '{"score": -Infinity}'])
def test_numbers_that_no_answer_can_carry_are_none(odd: str) -> None:
    assert tally([(odd, {})], [SCORE]) == (Tally((None,), 1),)


@given(st.lists(st.text() | st.sampled_from(ODD)))
def test_whatever_was_answered_can_be_counted_and_sent(texts: list[str]) -> None:
    rows = tally([(text, {}) for text in texts], [SCORE, RESULT])
    assert sum(row.count for row in rows) == len(texts)
    json.dumps([row.values for row in rows], ensure_ascii=False, allow_nan=False).encode()
