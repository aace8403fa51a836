"""Text in YAML and JSON, and the places of what stands in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.depth import MAX_DEPTH
from vivavoce.files import trees
from vivavoce.files.trees import Fault, Place, Tree, parse
from vivavoce.files.writing import to_yaml

PATH = Path("a.viva.yaml")


def read(text: str, path: Path = PATH) -> tuple[list[Tree], list[str]]:
    faults: list[Fault] = []
    found = parse(path, text, faults)
    return found, [str(one) for one in faults]


def value(text: str, path: Path = PATH) -> Any:
    found, faults = read(text, path)
    assert faults == []
    (tree,) = found
    return tree.value


def fault(text: str, path: Path = PATH) -> str:
    (only,) = read(text, path)[1]
    return only


@pytest.mark.parametrize(
    ("bare", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2026-01-02", "2026-01-02"),
        ("12:30:00", "12:30:00"),
        ("1_000", "1_000"),
        ("=", "="),
        ("+15550100", 15550100),
        ("0123", 123),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5e3", 1500.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", "-.inf"),
        (".nan", ".nan"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ('"null"', "null"),
        ("'1'", "1"),
        ("1" * 301, "1" * 301),
    ],
)
def test_bare_words_mean_what_the_core_schema_says(bare: str, expected: object) -> None:
    found = value(f"a: {bare}")["a"]
    assert (type(found), found) == (type(expected), expected)


def test_keys_are_text() -> None:
    assert value("on: 1\n3: 2\nnull: 3") == {"on": 1, "3": 2, "null": 3}


def test_several_documents_stand_in_one_file() -> None:
    found, faults = read("a: 1\n---\nb: 2\n")
    assert faults == []
    assert [one.value for one in found] == [{"a": 1}, {"b": 2}]
    assert found[1].place(("b",)) == Place(PATH, 3, 1)


def test_every_part_has_its_place() -> None:
    (tree,), _ = read("suite: s\ntests:\n  - name: one\n    turns: [a, {free: true}]\n")
    assert tree.place(("suite",)) == Place(PATH, 1, 1)
    assert tree.place(("tests", 0)) == Place(PATH, 3, 5)
    assert tree.place(("tests", 0, "turns", 1, "free")) == Place(PATH, 4, 17)
    assert tree.place(("tests", 0, "turns", 7, "x")) == tree.place(("tests", 0, "turns"))
    assert str(tree.place(())) == "a.viva.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "a.viva.yaml:3:1: the key 'a' stands in line 1 already"),
        ("a: {b: 1, 'b': 2}", "a.viva.yaml:1:11: the key 'b' stands in line 1 already"),
        ("? [x]\n: 1", "a.viva.yaml:1:3: a key should be text"),
        ("a: !!python/object:os.system x", "a.viva.yaml:1:4: the tag tag:yaml.org,2002:python/object:os.system"),
        ("a: !secret x", "a.viva.yaml:1:4: the tag !secret has no meaning here"),
        ("a: 1e999", "a.viva.yaml:1:4: this should be a finite number"),
        ('a: "x\\0"', "a.viva.yaml:1:4: this text should contain neither NUL"),
        ('"x\\0": 1', "a.viva.yaml:1:1: this text should contain neither NUL"),
        ("a: [1, 2", "a.viva.yaml:1:9: this is no YAML: "),
        ("a: b\n\tc: d", "a.viva.yaml:2:1: this is no YAML: "),
        ("a: \x07", "a.viva.yaml:1:1: this is no YAML: "),
        ("a: *b", "a.viva.yaml:1:4: this is no YAML: found undefined alias"),
        ("a: &x [*x]", "a.viva.yaml:1:4: this document is too large or nested too deeply"),
        ("a: " + "[" * 5000, "a.viva.yaml:1:"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, message: str) -> None:
    assert fault(text).startswith(message)


def test_faults_do_not_hide_each_other() -> None:
    assert len(read("a: 1\na: 2\nb: {c: 1e999, c: 1}")[1]) == 3


def test_aliases_repeat_and_do_not_explode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert value("a: &x {b: [1]}\nc: *x") == {"a": {"b": [1]}, "c": {"b": [1]}}
    monkeypatch.setattr(trees, "MOST_VALUES", 1000)
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    assert "too large" in fault(bomb)


def test_json_is_read_with_its_places() -> None:
    path = Path("a.json")
    text = '{\t"a": [1,\n\t2.0, "\\ud83d\\ude00 \\/", null],\n"b": {"yes": true}}'
    found, faults = read(text, path)
    assert faults == []
    assert found[0].value == json.loads(text)
    assert found[0].place(("a", 1)) == Place(path, 2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{'a': 1}", "a.json:1:2: this is no JSON: Expecting property name"),
        ('{"a": 1,\n "a": 2}', "a.json:2:2: the key 'a' stands in line 1 already"),
        ('{"a": "\\ud83d"}', "a.json:1:7: this text should contain neither NUL"),
        ("[" * 100_000, "a.json:1:1: this cannot be read: it is nested too deeply"),
        ("9" * 5_000, "a.json:1:1: this cannot be read: a number in it has too many digits"),
        ("[" * 200 + "]" * 200, "a.json:1:"),
        ("", "a.json:1:1: this is no JSON"),
    ],
)
def test_bad_json_says_where(text: str, message: str) -> None:
    assert fault(text, Path("a.json")).startswith(message)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40) | st.sampled_from(
    [
        "no",
        "1e5",
        "0o7",
        "~",
        "",
        " a",
        "a ",
        "a\nb",
        "a\n",
        "\n a",
        "a\r\nb",
        "a\x85b",
        "\ufeff",
        "- a",
        "a: b",
        "# a",
        "|",
        "free",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    assert value(to_yaml(document)) == document


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_json_writes_is_read_again(document: dict[str, Any]) -> None:
    assert value(json.dumps(document), Path("a.json")) == document
    assert value(json.dumps(document, indent="\t", ensure_ascii=False), Path("a.json")) == document


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    for path in (PATH, Path("a.json")):
        read(text, path)


def test_nothing_may_be_nested_deeper_than_everywhere() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    assert "nested too deeply" in fault(json.dumps({"a": deep}))
