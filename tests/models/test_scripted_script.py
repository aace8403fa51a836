"""The language of scripts, and what is said of lines that are none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.examination.checks.literals import Words
from vivavoce.models.scripted import problems
from vivavoce.models.scripted.references import Matched, fill, fill_all
from vivavoce.models.scripted.script import Call, Else, HangUp, Hear, Result, Rule, Say, Start, read_script

CODE = Words("c", code=True)


def only_rule(text: str) -> Rule:
    script = read_script(text)
    assert script.problems == ()
    (rule,) = script.rules
    return rule


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('on start: say "Hello."', Rule(1, False, Start(), (Say("Hello."),))),
        ('  - On Start : Say "Hello." ; ', Rule(1, False, Start(), (Say("Hello."),))),
        ('once on hear "a": hang up', Rule(1, True, Hear((Words("a"),)), (HangUp(),))),
        ("on hear 'a' or “b” OR `c`: HANGUP", Rule(1, False, Hear((Words("a"), Words("b"), CODE)), (HangUp(),))),
        ('on result look_up: say "a"; say “b”', Rule(1, False, Result("look_up", False), (Say("a"), Say("b")))),
        ("on result look-up.v2 failed: hang up", Rule(1, False, Result("look-up.v2", True), (HangUp(),))),
        ("on result `look up`: hang up", Rule(1, False, Result("look up", False), (HangUp(),))),
        ("on result: hang up", Rule(1, False, Result(None, False), (HangUp(),))),
        ("on result failed: hang up", Rule(1, False, Result(None, True), (HangUp(),))),
        ("on result failed failed: hang up", Rule(1, False, Result("failed", True), (HangUp(),))),
        ("else: call look_up", Rule(1, False, Else(), (Call("look_up", {}),))),
        ("once else: call `x y` {\"a\": [1]}; hang up", Rule(1, True, Else(), (Call("x y", {"a": [1]}), HangUp()))),
        (r'else: say "a \"b\"; c\n"', Rule(1, False, Else(), (Say('a "b"; c\n'),))),
    ],
)  # fmt: skip
def test_rules(line: str, rule: Rule) -> None:
    assert only_rule(line) == rule


def test_patterns_are_compiled() -> None:
    rule = only_rule(r'on hear /\b([A-Z]-\d{4})\b/ or /bye/i: say "$1"')
    assert isinstance(rule.trigger, Hear)
    assert [getattr(item, "source", None) for item in rule.trigger.items] == [r"\b([A-Z]-\d{4})\b", "bye"]


def test_rules_stand_in_prose() -> None:
    text = """You are the support desk.
On Mondays: say that we are closed.
Once on the phone, be brief: call nobody.

on start: say "Hello."
Else we would lose: everything.
on hearing "no", give up
"""
    script = read_script(text)
    assert [rule.line for rule in script.rules] == [5]
    assert len(script.prose) == 6
    assert problems(text) == ()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('on start: sya "Hello."', "unknown action 'sya'"),
        ('on start: "Hello."', "unknown action '\"Hello.\"'"),
        ('on start: hang on', "unknown action 'hang'"),
        ("on start:", "there is no action after the ':'"),
        ('on start say "Hello."', "a ':' is missing after 'on start'"),
        ('on result a b: say "x"', "a ':' is missing after 'on result'"),
        ("on start: say Hello.", "say needs words in double quotes"),
        ("on start: say", "say needs words in double quotes"),
        ('on start: say "Hello.', "the \" is not closed"),
        ('on start: say "a" say "b"', "a ';' is missing before 'say \"b\"'"),
        ("on start: call", "call needs the name of a tool"),
        ("on start: call look_up {x}", "what stands in braces is not a JSON object"),
        ('on hear: say "x"', "hear needs words in quotes or a /pattern/"),
        ('on hear order: say "x"', "hear needs words in quotes or a /pattern/"),
        ('on hear "a" or: say "x"', "a ':' is missing after 'on hear'"),
        ('on hear "a" or b: say "x"', "hear needs words in quotes or a /pattern/"),
        ('on hear {"a": 1}: say "x"', "hear needs words in quotes or a /pattern/"),
        ('on hear " ": say "x"', "hear needs words, and these quotes are empty"),
        ('on hear', "hear needs words in quotes or a /pattern/"),
        ('on hear /(/: say "x"', "pattern refused: a group is not closed"),
        ('on haer "x": say "y"', "unknown trigger 'haer'"),
        ('hear "x": say "y"', "unknown trigger 'hear'"),
        ("once start: hang up", "unknown trigger 'start'"),
        ('- on strat: call look_up {"a": 1}', "unknown trigger 'strat'"),
    ],
)  # fmt: skip
def test_problems_say_what_is_wrong(line: str, problem: str) -> None:
    text = f"Prose.\n\n{line}"
    assert problems(text) == (f"line 3: {problem}",)
    assert read_script(text).rules == ()
    assert line not in read_script(text).prose


def test_a_tester_has_no_tools() -> None:
    text = 'on hear "x": say "y"; call look_up\non start: sya "x"\non result: say "z"\nelse: hang up'
    assert problems(text) == ("line 2: unknown action 'sya'",)
    assert problems(text, side="tester") == (
        "line 1: a tester cannot call tools, so the call is left out",
        "line 2: unknown action 'sya'",
        "line 3: a tester hears no tool results, so this rule never fires",
    )


@given(st.text(max_size=80))
def test_any_text_is_a_script(text: str) -> None:
    script = read_script(text)
    assert len(script.rules) + len(script.problems) + len(script.prose) == len(text.splitlines())


PIECES = ["on ", "once ", "start", "hear ", "result ", "else", ":", " ", "say ", "call ", "hang up", '"', "/", "x", "{"]
MORE = ["}", ";", "or ", "failed", "`", "(", "\\", '"x"', '{"a": "$1"}', "\n"]


@given(st.lists(st.sampled_from([*PIECES, *MORE]), max_size=16).map("".join))
def test_any_near_script_is_read(text: str) -> None:
    assert len(problems(text, side="tester")) >= len(problems(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$0 and $1", "all and one"),
        ("${1} or $2?", "${1} or ?"),
        ("$3 and $30 stay", "$3 and $30 stay"),
        ("$$1 costs $", "$1 costs $"),
        ("${eta}", "Friday"),
        ("${ order.items.1 }", "b"),
        ("${order.items.9} ${order.items.x} ${eta.x}", "${order.items.9} ${order.items.x} ${eta.x}"),
        ("${order.items} ${gift} ${none}", '["a", "b"] true null'),
        ("${fallback}", "yes"),
        ("${missing}", "${missing}"),
    ],
)
def test_references(text: str, expected: str) -> None:
    answer = {"eta": "Friday", "order": {"items": ["a", "b"]}, "gift": True, "none": None}
    matched = Matched(("all", "one", None), (answer, {"eta": "no", "fallback": "yes"}))
    assert fill(text, matched) == expected


def test_arguments_keep_the_type_of_a_lone_reference() -> None:
    matched = Matched(("all", "5"), ({"count": 3, "tags": ["x"]},))
    given_ = {"a": "$1", "b": "${count}", "c": ["${tags}", "n=${count}"], "d": {"e": "${none}"}, "f": 7, "g": "$$"}
    assert fill_all(given_, matched) == {
        "a": "5", "b": 3, "c": [["x"], "n=3"], "d": {"e": "${none}"}, "f": 7, "g": "$",
    }  # fmt: skip


def test_an_answer_nested_beyond_writing_stays_a_reference() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert fill("${deep}", Matched((), ({"deep": deep},))) == "${deep}"
    while deep:  # taken apart by hand: freeing so deep a nest at once would be a recursion too
        deep = deep.pop()  # pyright: ignore[reportAssignmentType]


def test_the_example_of_the_documentation_is_a_script() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "scripted-model.md"
    example = page.read_text("utf-8").split("```\n")[1]
    assert len(read_script(example).rules) == 8
    assert problems(example) == ()
