"""Which versions conversations get: the form, and what it comes to."""

from hypothesis import given
from hypothesis import strategies as st
from tests.support.store import a_version

from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot, percent
from vivavoce.web.gate import Form
from vivavoce.web.traffic import (
    MOST_CLAUSES,
    MOST_RULES,
    ClauseTyped,
    RuleTyped,
    changed,
    fits,
    only,
    read,
    seal,
    shares,
    to_rules,
    typed,
)

MAIN, NEW, OLD = (a_version(id=name, number=number) for number, name in enumerate(("main", "new", "old")))
VERSIONS = (NEW, MAIN, OLD)
BETA = Clause("plan", Operator.IN, ("beta", "staff"))


def a_rollout(*rules: Rule) -> Rollout:
    return Rollout(rules, 0, 0)


def test_a_rollout_is_told_with_what_main_gets() -> None:
    assert [(one.who, one.gets) for one in shares(None, MAIN, VERSIONS)] == [
        ("all conversations", (("version 0", "100 %"),))
    ]
    found = shares(a_rollout(Rule((BETA,), "new"), Rule((), None, (Slot("old", 12.5),))), MAIN, VERSIONS)
    assert [(one.who, one.gets) for one in found] == [
        ("conversations where plan is one of beta, staff", (("version 1", "100 %"),)),
        ("all conversations", (("version 2", "12.5 %"), ("version 0", "87.5 %"))),
    ]
    assert shares(a_rollout(Rule((BETA,), "new")), MAIN, VERSIONS)[1].who == "all other conversations"


def test_what_the_form_shows_is_what_it_reads_back() -> None:
    rollout = a_rollout(Rule((BETA,), "new"), Rule((), None, (Slot("new", 10), Slot("old", 33.33333333))))
    shown = typed(rollout)
    sent = [("rules", "2")]
    for place, rule in enumerate(shown):
        sent.append((f"r{place}clauses", str(len(rule.clauses) + 1)))
        for number, one in enumerate(rule.clauses):
            sent += [
                (f"r{place}c{number}attribute", one.attribute),
                (f"r{place}c{number}operator", one.operator),
                (f"r{place}c{number}values", one.values),
            ]
        sent += [(f"r{place}w{id_}", rule.weights.get(id_, "")) for id_ in ("new", "old")]
    assert read(Form(sent)) == shown
    rules, errors = to_rules(read(Form(sent)))
    assert errors == {}
    assert rules == rollout.rules


def test_what_is_wrong_is_said_at_its_field() -> None:
    def wrong(rule: RuleTyped) -> dict[str, str]:
        return to_rules([rule])[1]

    assert "r0wnew" in wrong(RuleTyped((), {"new": "many"}))
    assert "r0wnew" in wrong(RuleTyped((), {"new": "nan"}))
    assert "r0wnew" in wrong(RuleTyped((), {"new": "101"}))
    assert "110 %" in wrong(RuleTyped((), {"new": "60", "old": "50"}))["r0"]
    assert "Leave something to main" in wrong(RuleTyped((), {"new": "60", "old": "40"}))["r0"]
    assert "r0c0attribute" in wrong(RuleTyped((ClauseTyped("", "in", "x"),), {"new": "1"}))
    assert "r0c0values" in wrong(RuleTyped((ClauseTyped("plan", "in", " \n"),), {"new": "1"}))
    assert "r0c0operator" in wrong(RuleTyped((ClauseTyped("plan", "like", "x"),), {"new": "1"}))
    assert "r0" in wrong(RuleTyped((ClauseTyped("plan", "in", "x"),), {}))
    assert to_rules([RuleTyped(), RuleTyped((), {"new": "33,3 %"})])[0] == (Rule((), None, (Slot("new", 33.3),)),)


def test_rules_are_added_moved_and_removed() -> None:
    one, two = RuleTyped((), {"new": "1"}), RuleTyped((), {"new": "2"})
    assert changed([one, two], "up-1") == (two, one)
    assert changed([one, two], "up-0") == (one, two)
    assert changed([one, two], "remove-0") == (two,)
    assert changed([one], "add") == (one, RuleTyped())
    for act in ("remove-9", "remove-x", "nonsense", "remove-99999999999"):
        assert changed([one], act) == (one,)
    assert read(Form([("rules", "1"), ("r0clauses", "x")])) == (RuleTyped(),)
    assert read(Form([("rules", "999999")])) == ()
    assert len(read(Form([("rules", "9999")]))) == 50


def test_a_share_belongs_to_the_version_that_it_was_typed_for() -> None:
    sent = Form([("rules", "2"), ("r0wold", " 5 "), ("r0wnew", ""), ("r1wnew", "7"), ("r2wnew", "8"), ("rxwnew", "9")])
    assert [rule.weights for rule in read(sent)] == [{"old": "5"}, {"new": "7"}]
    assert [rule.weights for rule in only(read(sent), ["new"])] == [{}, {"new": "7"}]


def test_the_seal_is_another_when_main_or_the_rules_are() -> None:
    found = {
        seal(MAIN, None),
        seal(NEW, None),
        seal(MAIN, a_rollout()),
        seal(MAIN, a_rollout(Rule((BETA,), "new"))),
        seal(MAIN, a_rollout(Rule((BETA,), "old"))),
    }
    assert len(found) == 5
    assert seal(MAIN, None) == seal(MAIN, None)


def test_rules_that_the_form_has_no_room_for() -> None:
    assert fits(None)
    assert fits(a_rollout(*[Rule((BETA,) * MOST_CLAUSES, "new")] * MOST_RULES))
    assert not fits(a_rollout(*[Rule((BETA,), "new")] * (MOST_RULES + 1)))
    assert not fits(a_rollout(Rule((BETA,) * (MOST_CLAUSES + 1), "new")))


@given(st.lists(st.floats(0, 100).map(lambda weight: round(weight, 2)), min_size=1, max_size=5))
def test_shares_never_come_to_more_than_there_is(weights: list[float]) -> None:
    rules, errors = to_rules([RuleTyped((), {str(place): str(weight) for place, weight in enumerate(weights)})])
    if not errors:
        (rule,) = rules
        assert rule.version_id is not None or percent(rule.slots) < 100
        told = shares(a_rollout(rule), MAIN, VERSIONS)[0].gets
        assert told[-1][0] == "version 0" or len(told) == 1
