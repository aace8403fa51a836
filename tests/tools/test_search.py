import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.tools.search import by_vectors, by_words, index, packed, unpacked, words

SHOP = [
    "Returns: you may send a pair of shoes back within thirty days.",
    "Shipping takes three days. Shipping to islands takes a week.",
    "The shop is open from nine to six.",
    "Our shoes are made in Portugal.",
]


def found(query: str, texts: list[str], most: int = 10) -> list[int]:
    return [place for place, _ in by_words(index(texts), query, most)]


def test_words_that_mean_the_same_are_the_same() -> None:
    assert words("Straße, STRASSE e\u0301té Éte\u0301 ﬁve_times 12.5") == [
        "strasse", "strasse", "été", "été", "five", "times", "12", "5",
    ]  # fmt: skip
    assert words("東京タワーwith 3 floors") == ["東", "京", "タ", "ワ", "ー", "with", "3", "floors"]
    assert words(" \n!…") == []


def test_a_passage_that_shares_more_and_rarer_words_comes_first() -> None:
    assert found("How long does shipping take to an island?", SHOP)[0] == 1
    assert found("thirty days for shoes", SHOP)[:2] == [0, 3]
    assert found("PORTUGAL", SHOP) == [3]
    assert found("shoes", SHOP) == [3, 0]  # the shorter passage is more about them


def test_what_shares_no_word_is_not_found() -> None:
    assert found("bicycle", SHOP) == []
    assert found("", SHOP) == []
    assert found("shoes", []) == []
    assert found("shoes", ["", "…"]) == []


def test_no_more_are_given_than_wanted_and_equals_keep_their_order() -> None:
    assert found("same", ["same", "same", "other", "same"]) == [0, 1, 3]
    assert found("same", ["same", "same", "other", "same"], 2) == [0, 1]


def test_the_formula_is_okapi_s() -> None:
    [(place, score)] = by_words(index(["a a b", "c", "c d"]), "a", 1)
    rarity = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    assert place == 0
    assert score == pytest.approx(rarity * 2 * 2.5 / (2 + 1.5 * (0.25 + 0.75 * 3 / 2)))


@given(st.lists(st.text(alphabet="abc ", max_size=20), max_size=8), st.text(alphabet="abc ", max_size=10))
def test_found_are_exactly_those_that_share_a_word(texts: list[str], query: str) -> None:
    scored = by_words(index(texts), query, 100)
    assert {place for place, _ in scored} == {
        place for place, text in enumerate(texts) if set(words(text)) & set(words(query))
    }
    assert [score for _, score in scored] == sorted((score for _, score in scored), reverse=True)
    assert all(score > 0 for _, score in scored)


def unit(*numbers: float) -> "array[float]":
    return unpacked(packed(numbers))


def test_vectors_are_kept_at_unit_length_in_little_endian_floats() -> None:
    kept = packed([3.0, 4.0])
    assert kept == b"\x9a\x99\x19\x3f\xcd\xcc\x4c\x3f"
    assert unpacked(kept).tolist() == pytest.approx([0.6, 0.8])
    assert unpacked(packed([0.0, 0.0])).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError):
        unpacked(b"abc")


def test_near_is_what_points_the_same_way_however_long_it_was() -> None:
    vectors = [unit(1, 0), unit(100, 100), unit(0, 3), unit(-1, 0), unit(1, 0, 0)]
    near = by_vectors(vectors, unit(2, 1), 10)
    assert [place for place, _ in near] == [1, 0, 2, 3]  # the last has another size
    assert near[0][1] == pytest.approx(3 / math.sqrt(10), abs=1e-6)
    assert by_vectors(vectors, unit(2, 1), 1) == near[:1]
