from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot, choose, percent

GRID = 1024


def rollout(*rules: Rule) -> Rollout:
    return Rollout(rules, 0, 0)


def clause(operator: str, *values: str, attribute: str = "who") -> Clause:
    return Clause(attribute, Operator(operator), values)


tenths = st.integers(0, 999).map(lambda tenth: tenth / 10)
shares = st.lists(tenths, max_size=6).map(
    lambda weights: tuple(Slot(f"v{place}", weight) for place, weight in enumerate(weights))
).filter(lambda slots: percent(slots) < 100)  # fmt: skip


@settings(deadline=None)
@given(shares)
def test_rule_6_2_shares_are_as_large_as_their_weights_and_main_gets_the_rest(slots: tuple[Slot, ...]) -> None:
    chosen = [choose(rollout(Rule(slots=slots)), {}, step / GRID) for step in range(GRID)]
    drawn = Fraction(0)
    for slot in slots:
        # Of an even grid a share gets as many points as fit, and its borders are the sums of the weights.
        below, drawn = drawn, drawn + Fraction(repr(slot.weight))
        first, end = -(-below * GRID // 100), -(-drawn * GRID // 100)
        assert chosen[int(first) : int(end)] == [slot.version_id] * int(end - first)
    main = chosen[int(-(-drawn * GRID // 100)) :]
    assert main
    assert set(main) == {None}


@pytest.mark.parametrize(
    ("draw", "expected"),
    [(0.0, "a"), (0.25 - 2**-54, "a"), (0.25, "b"), (0.5 - 2**-53, "b"), (0.5, None), (1 - 2**-53, None)],
)
def test_rule_6_2_borders_are_exact(draw: float, expected: str | None) -> None:
    slots = (Slot("a", 25), Slot("none", 0), Slot("b", 25.0))
    assert choose(rollout(Rule(slots=slots)), {}, draw) == expected


def test_weights_are_summed_as_they_are_written() -> None:
    assert percent(()) == 0
    assert percent([Slot("a", 33.3), Slot("b", 33.3), Slot("c", 33.4)]) == 100
    assert percent([Slot("a", 0.1)] * 999) == Fraction(999, 10)
    assert percent([Slot("a", 1e-07)]) == Fraction(1, 10**7)


@given(st.floats(0, 1, exclude_max=True))
def test_rule_6_2_a_rule_that_names_a_version_leaves_nothing_to_chance(draw: float) -> None:
    assert choose(rollout(Rule(version_id="v")), {}, draw) == "v"
    assert choose(rollout(), {"who": "me"}, draw) is None
    assert choose(rollout(Rule()), {}, draw) is None


@given(st.lists(st.sampled_from(["x", "y", "z"]), max_size=5), st.sampled_from(["x", "y", "z", "other"]))
def test_rule_6_2_the_first_rule_that_matches_wins(wanted: list[str], who: str) -> None:
    rules = [Rule((clause("in", value),), f"v{place}") for place, value in enumerate(wanted)]
    expected = f"v{wanted.index(who)}" if who in wanted else None
    assert choose(rollout(*rules), {"who": who}, 0.5) == expected
    behind = rollout(*rules, Rule(version_id="rest"))
    assert choose(behind, {"who": who}, 0.5) == (expected or "rest")


def test_rule_6_2_a_rule_that_matches_is_the_last_word_also_when_main_is_drawn() -> None:
    rules = (Rule((clause("in", "me"),), slots=(Slot("a", 10),)), Rule(version_id="b"))
    assert [choose(rollout(*rules), {"who": "me"}, draw) for draw in (0.05, 0.5)] == ["a", None]
    assert choose(rollout(*rules), {"who": "you"}, 0.5) == "b"


@pytest.mark.parametrize(
    ("one", "context", "holds"),
    [
        (clause("in", "+1", "+2"), {"who": "+2"}, True),
        (clause("in", "+1", "+2"), {"who": "+22"}, False),
        (clause("in", "+1"), {}, False),
        (clause("not_in", "+1", "+2"), {"who": "+3"}, True),
        (clause("not_in", "+1", "+2"), {"who": "+1"}, False),
        (clause("not_in", "+1"), {}, True),
        (clause("starts_with", "+49", "+1"), {"who": "+1555"}, True),
        (clause("starts_with", "+49"), {"who": "+1"}, False),
        (clause("starts_with", ""), {}, False),
        (clause("in", "a", attribute="plan"), {"who": "a"}, False),
    ],
)
def test_rule_6_2_operators(one: Clause, context: dict[str, str], holds: bool) -> None:
    assert one.holds(context) is holds


@given(st.lists(st.booleans(), max_size=4))
def test_rule_6_2_all_clauses_of_a_rule_must_hold(which: list[bool]) -> None:
    clauses = tuple(clause("in", "me" if true else "you") for true in which)
    assert choose(rollout(Rule(clauses, "v")), {"who": "me"}, 0.0) == ("v" if all(which) else None)


def test_which_versions_are_served() -> None:
    rules: list[Any] = [Rule(version_id="a"), Rule(slots=(Slot("b", 1), Slot("a", 2), Slot("c", 0))), Rule()]
    assert rollout(*rules).served() == ("a", "b", "c")
    assert rollout().served() == ()
