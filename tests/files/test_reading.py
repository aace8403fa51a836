"""Files → documents, and all that is wrong in them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.files import editors, reading, schema
from vivavoce.files.reading import AssistantFile, SuiteFile, Unreadable, read, read_suites
from vivavoce.files.trees import Place
from vivavoce.files.writing import to_yaml

HEAD = "suite: s\ndestination: https://a.example\ntests:\n"
ONE = f"{HEAD}  - name: one\n    scenario: You wait.\n    criteria: [is kind]\n"


def write(folder: Path, text: str, name: str = "a.viva.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def faults(*paths: Path) -> list[str]:
    with pytest.raises(Unreadable) as raised:
        read(paths)
    assert str(raised.value).splitlines() == [str(one) for one in raised.value.faults]
    return [str(one).replace(f"{paths[0].parent}/", "") for one in raised.value.faults]


def suite(path: Path) -> SuiteFile:
    (one,) = read_suites([path])
    return one


def test_a_suite_is_read_with_its_places(tmp_path: Path) -> None:
    path = write(tmp_path, ONE)
    one = suite(path)
    assert one.suite.tests[0].scenario == "You wait."
    assert one.document["tests"] == [{"name": "one", "scenario": "You wait.", "criteria": ["is kind"]}]
    assert one.place("tests", 0) == Place(path, 4, 5)
    assert one.pointed("/body/tests/0/criteria/0") == Place(path, 6, 16)
    assert one.pointed("/tests/0/assistant/Assistant/tools") == Place(path, 4, 5)
    assert schema.Suite.model_validate(one.document) == one.suite


def test_a_file_holds_suites_and_assistants(tmp_path: Path) -> None:
    path = write(tmp_path, f"{ONE}---\nname: Desk\ninstructions: Be kind.\n")
    first, second = read([path, write(tmp_path, json.dumps({"name": "D2"}), "b.json")])[:2]
    assert isinstance(first, SuiteFile)
    assert isinstance(second, AssistantFile)
    assert second.assistant.instructions == "Be kind."
    with pytest.raises(Unreadable, match="8:1: this is no suite"):
        read_suites([path])


WRONG = """\
suite: s
destinatoin: x
tests:
  - name: one
    scenario: You wait.
    criteria: [{name: x}, {Named: 5}, 3]
    checks: [is kind, {Fast: The assistant responds quickly}]
    turns: [hang_up, {sya: x}]
    repeats: 0
    max_duration_seconds: true
    mocks: [{tool: find, output: 5, argumets: {}}]
  - scenario: 5
    persona: null
    naem: two
  - name: three
    turns: [Hi.]
    criteria: [x]
  - name: four
    scenario: x
    criteria: [x]
    turns: [a, b, c]
    turn_limit: 2
  - name: five
    scenario: x
    assistant: {tools: [{kind: webhok}, {name: x}]}
"""


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = faults(write(tmp_path, WRONG))
    assert found == [
        "a.viva.yaml:2:1: there is no key 'destinatoin' here; did you mean 'destination'?",
        "a.viva.yaml:6:16: 'text' is missing",
        "a.viva.yaml:6:28: this should be text: put it in quotation marks",
        "a.viva.yaml:6:39: this should be text: put it in quotation marks",
        f"a.viva.yaml:7:14: {schema.NOT_COMPUTABLE}",
        f"a.viva.yaml:7:24: {schema.NOT_COMPUTABLE}",
        "a.viva.yaml:8:22: 'say' is missing",
        "a.viva.yaml:8:23: there is no key 'sya' here; did you mean 'say'?",
        "a.viva.yaml:9:5: this should be greater than or equal to 1",
        "a.viva.yaml:10:5: this should be a valid integer",
        "a.viva.yaml:11:26: this should be text: put it in quotation marks",
        "a.viva.yaml:11:37: there is no key 'argumets' here; did you mean 'arguments'?",
        "a.viva.yaml:12:5: 'name' is missing",
        "a.viva.yaml:12:5: this should be text: put it in quotation marks",
        "a.viva.yaml:14:5: there is no key 'naem' here; did you mean 'name'?",
        f"a.viva.yaml:15:5: {schema.NO_BRIEF}",
        "a.viva.yaml:22:5: it should be 3 at least: there are so many turns",
        "a.viva.yaml:25:5: 'name' is missing",
        found[-2],
        "a.viva.yaml:25:41: 'kind' is missing",
    ]
    assert found[-2].startswith("a.viva.yaml:25:25: there is no kind 'webhok' here; there are 'webhook', ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: there is nothing in this file"),
        ("--- x", "1:5: this should be a suite"),
        ("suite: s\ntests: []\n", "2:1: this should have at least 1 item after validation, not 0"),
        ("suite: s\ntests: [{name: a, scenario: b}]\n", "2:9: it says neither 'assistant' nor 'destination'"),
        (f"{HEAD}  - {{name: a, scenario: b}}\n", "4:5: the test 'a' has neither 'criteria' nor 'checks'"),
        (f"{ONE}  - {{name: one, scenario: b, criteria: [c]}}\n", "7:6: the test in line 4 has the name 'one' too"),
        (f"{ONE}  - {{name: b, turns: [hang_up, x], criteria: [c]}}\n", "7:23: the caller can hang up at the last"),
        (f"{ONE}assistant: Desk\n", "1:1: either 'assistant' or 'destination'"),
        (f"{ONE}assistant: {{id: a, name: b}}\n", "7:1: either 'id' or 'name'"),
        (f"{ONE}wholly_unknown: 1\n", "7:1: there is no key 'wholly_unknown' here; there are assistant, destination,"),
        ("name: a\nflow: {start: a, nodes: [{kind: promt, id: a}]}\n", "2:27: there is no kind 'promt' here"),
        ("name: a\nflow: {start: a, nodes: [{kind: speak, id: a, mesage: x}]}\n", "2:26: 'message' is missing"),
        ("name: a\nflow: {start: a, nodes: []}\n", "2:1: it starts at 'a'"),
        ("name: a\ntools: [{kind: skip}, {kind: skip}]\n", "2:1: 2 tools have the name 'skip_turn'"),
        (
            f"{ONE}turn_limit: 2\n".replace("[is kind]", "[is kind]\n    turns: [a, free, c]"),
            "8:1: it should be 3 at least: the test 'one'",
        ),
        (
            f"{ONE}utterance_limit: 1\n".replace("[is kind]", "[is kind]\n    turns: [a, hang_up]"),
            "8:1: it should be 2 at",
        ),
        (f"{ONE}    turns: [a, hang_up]\n    utterance_limit: 1\n", "8:5: it should be 2 at least: there are so many"),
        (ONE.replace("suite: s", "suite: ."), "1:1: dots alone are no name"),
        (ONE.replace("suite: s", "suite: .."), "1:1: dots alone are no name"),
        (ONE.replace("suite: s", "suite: /s"), "1:1: the name of a suite should neither begin nor end with a slash"),
        (ONE.replace("suite: s", "suite: s/"), "1:1: the name of a suite should neither begin nor end with a slash"),
        (ONE.replace("suite: s", "suite: s/history"), "1:1: the name of a suite should not end with /history or"),
        (ONE.replace("suite: s", "suite: s/cancel"), "1:1: the name of a suite should not end with /history or"),
        ("suite: s\nassistant: {file: no.yaml}\ntests: [{name: a, scenario: b, criteria: [c]}]", "2:13: "),
    ],
)
def test_a_mistake_has_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert faults(write(tmp_path, text))[0].startswith(f"a.viva.yaml:{expected}")


def test_a_known_kind_is_told_only_of_itself(tmp_path: Path) -> None:
    text = "name: a\nflow: {start: a, nodes: [{kind: speak, id: a, mesage: x}]}\n"
    assert [one.split(": ", 1)[1] for one in faults(write(tmp_path, text))] == [
        "'message' is missing",
        "there is no key 'mesage' here; did you mean 'message'?",
    ]


def test_what_cannot_be_opened_is_told_with_the_rest(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"suite: caf\xe9")
    found = faults(tmp_path / "none.yaml", latin, tmp_path, write(tmp_path, "x: 1", "b.yaml"))
    assert [one.split(":")[0] for one in found[:3]] == ["none.yaml", "latin.yaml", str(tmp_path)]
    assert "No such file" in found[0]
    assert "UTF-8 (byte 10)" in found[1]
    assert found[3].startswith("b.yaml:1:1: 'name' is missing")


def test_a_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    assert "is larger than 100 bytes" in faults(write(tmp_path, "#" * 101))[0]


def test_a_byte_order_mark_is_none_of_the_text(tmp_path: Path) -> None:
    assert suite(write(tmp_path, "\ufeff" + ONE)).suite.suite == "s"


@pytest.mark.parametrize("name", ["history", "s/histories", "s/history/x", "...", "a/b"])
def test_other_names_of_suites_are_good(tmp_path: Path, name: str) -> None:
    assert suite(write(tmp_path, ONE.replace("suite: s", f"suite: {name}"))).suite.suite == name
    assert schema.nameable(name)
    assert not schema.nameable(f"{name}/history")


def test_the_limits_of_a_suite_are_not_those_of_tests_that_have_their_own(tmp_path: Path) -> None:
    own = "    turns: [a, b, hang_up]\n    turn_limit: 3\n    utterance_limit: 9\n"
    assert suite(write(tmp_path, f"{ONE}{own}turn_limit: 2\nutterance_limit: 2\n")).suite.turn_limit == 2


# --- files that files name ------------------------------------------------------------------------------------------

SHARED = """\
suite: s
assistant: {file: desk/desk.yaml}
persona: {file: dana.txt}
tests:
  - name: one
    scenario:
      file: brief.md
    criteria: [is kind]
  - name: two
    scenario: x
    assistant: {file: desk/other.json}
    mocks: [{tool: t, output: {file: x}}]
    variables: {persona: {file: "kept as it is"}}
    criteria: [is kind]
"""


def test_files_are_looked_for_beside_the_file_that_names_them(tmp_path: Path) -> None:
    path = write(tmp_path, SHARED)
    write(tmp_path, "name: Desk\ninstructions: {file: prompt.md}\n", "desk/desk.yaml")
    write(tmp_path, "Be kind.\n", "desk/prompt.md")
    write(tmp_path, '{"name": "Other"}', "desk/other.json")
    write(tmp_path, "You are Dana.", "dana.txt")
    write(tmp_path, "You wait.", "brief.md")
    one = suite(path)
    assert one.document["assistant"] == {"name": "Desk", "instructions": "Be kind.\n"}
    assert one.document["persona"] == "You are Dana."
    assert one.document["tests"][0]["scenario"] == "You wait."
    assert one.document["tests"][1]["assistant"] == {"name": "Other"}
    assert one.suite.tests[1].mocks[0].output == '{"file": "x"}'
    assert one.suite.tests[1].variables == {"persona": {"file": "kept as it is"}}
    assert one.place("assistant", "instructions") == Place(tmp_path / "desk/desk.yaml", 2, 1)


def test_mistakes_in_them_are_told_where_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, SHARED)
    write(tmp_path, "name: Desk\ntols: []\ninstructions: {file: none.md}\n", "desk/desk.yaml")
    write(tmp_path, "[1]", "desk/other.json")
    found = faults(path)
    assert len(found) == 5
    assert found[0].startswith("a.viva.yaml:3:11: dana.txt cannot be read: No such file")
    assert found[1].startswith("a.viva.yaml:7:7: brief.md cannot be read")
    assert found[2].startswith("a.viva.yaml:11:17: desk/other.json should hold one assistant")
    assert found[3].startswith("desk/desk.yaml:2:1: there is no key 'tols' here; did you mean 'tools'?")
    assert found[4].startswith("desk/desk.yaml:3:16: desk/none.md cannot be read")


def test_what_a_database_cannot_carry_is_in_no_text_of_theirs(tmp_path: Path) -> None:
    text = "suite: s\ndestination: x\npersona: {file: dana.txt}\ntests: [{name: a, scenario: b, criteria: [c]}]\n"
    write(tmp_path, "You are\0 Dana.", "dana.txt")
    message = "this text should contain neither NUL characters nor lone surrogates"
    assert faults(write(tmp_path, text)) == [f"a.viva.yaml:3:11: {message}"]


def test_a_mistake_in_a_file_that_two_suites_share_is_told_once(tmp_path: Path) -> None:
    text = "suite: s\nassistant: {file: d.yaml}\ntests: [{name: a, scenario: b, criteria: [c]}]\n"
    write(tmp_path, "name: Desk\ntols: []\n", "d.yaml")
    found = faults(write(tmp_path, text), write(tmp_path, text, "b.yaml"))
    assert found == ["d.yaml:2:1: there is no key 'tols' here; did you mean 'tools'?"]


def test_files_do_not_lead_in_circles(tmp_path: Path) -> None:
    text = "suite: s\nassistant: {file: d.yaml}\ntests: [{name: a, scenario: b, criteria: [c]}]\n"
    write(tmp_path, "file: d.yaml\n", "d.yaml")
    assert faults(write(tmp_path, text))[0].startswith("d.yaml:1:1: ")


# --- the schema -----------------------------------------------------------------------------------------------------


def test_the_schema_that_is_kept_is_the_schema() -> None:
    kept = Path(editors.__file__).with_name("suite.schema.json")
    assert kept.read_text("utf-8") == editors.schema_text()
    jsonschema.Draft202012Validator.check_schema(editors.suite_schema())


def conforms(document: Any) -> bool:
    return jsonschema.Draft202012Validator(editors.suite_schema()).is_valid(document)


@pytest.mark.parametrize(
    "given",
    [
        {"turns": ["Hi.", "free", {"say": "free"}, {"free": True}, {"hang_up": True}]},
        {"criteria": ["a", {"B": "b"}, {"name": "c", "text": "c"}], "checks": ["x"]},
        {"persona": {"file": "x"}, "scenario": {"file": "y"}, "assistant": {"file": "z"}},
        {"assistant": {"name": "a", "instructions": {"file": "p"}, "tools": [{"kind": "hangup"}]}},
        {"mocks": [{"tool": "t", "output": {"a": 1}}], "repeats": 2},
    ],
)
def test_editors_know_every_form(given: Any) -> None:
    assert conforms({"suite": "s", "tests": [{"name": "a", **given}]})
    assert conforms({"suite": "s", "tests": [{"name": "a"}], **{k: v for k, v in given.items() if k == "persona"}})


@pytest.mark.parametrize(
    "given", [{"turns": [{"sya": "x"}]}, {"criteria": [5]}, {"repeats": 0}, {"nonsense": 1}, {"assistant": {"file": 5}}]
)
def test_editors_know_mistakes(given: Any) -> None:
    assert not conforms({"suite": "s", "tests": [{"name": "a", **given}]})


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
NEEDED: dict[str, st.SearchStrategy[Any]] = {
    "name": WORDS,
    "scenario": WORDS,
    "criteria": st.lists(WORDS, min_size=1, max_size=3),
}
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "persona": WORDS,
    "turns": st.lists(WORDS.filter(lambda one: one != "hang_up"), max_size=3),
    "medium": st.sampled_from(["web_chat", "sms_chat"]),
    "repeats": st.integers(1, 9),
    "variables": st.dictionaries(WORDS, st.integers() | WORDS, max_size=2),
}


def named(test: dict[str, Any]) -> str:
    return test["name"]


TESTS = st.lists(st.fixed_dictionaries(NEEDED, optional=OPTIONAL), min_size=1, max_size=3, unique_by=named)


@settings(deadline=None, max_examples=50)
@given(TESTS)
def test_a_suite_that_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, tests: list[dict[str, Any]]
) -> None:
    document = {"suite": "s", "destination": "https://a.example", "tests": tests}
    path = write(tmp_path_factory.mktemp("suite"), to_yaml(document, "suite.schema.json"))
    assert suite(path).document == document
