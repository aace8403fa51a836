"""``viva schema``, ``viva export`` and ``viva import``, as a user types them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from vivavoce.cli.main import app
from vivavoce.files.editors import schema_text
from vivavoce.files.reading import read
from vivavoce.services import suites

SUITE = """\
suite: shop/orders
assistant:
  name: Desk
  model: scripted
  instructions: |
    on hear "order": say "What is your order number?"
  tools: [{kind: hangup}]
tests:
  - name: order
    persona: You are Dana.
    scenario: You wait for your order.
    turns: ["Where is my order?", free]
    criteria: [is kind]
    checks: ['The assistant says "number"']
  - name: elsewhere
    destination: https://a.example/chat
    scenario: x
    criteria: [y]
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VIVA_DATABASE_URL", "VIVA_SERVER", "VIVA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    Path("orders.viva.yaml").write_text(SUITE, "utf-8")


def viva(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def imported(*words: object) -> list[str]:
    """What became of each thing."""
    done = viva("import", *words, "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line)["change"] for line in done.stdout.splitlines()]


def test_the_schema_is_printed() -> None:
    assert viva("schema").stdout == schema_text()


def test_files_are_taken_in_once() -> None:
    done = viva("import", "orders.viva.yaml")
    assert done.exit_code == 0, done.output
    first, *rest = done.stdout.splitlines()
    assert first.startswith("created    assistant  assistant-")
    assert first.endswith("  Desk")
    assert [one.split("  ")[-1] for one in rest] == ["order", "elsewhere"]
    assert imported("orders.viva.yaml") == ["unchanged"] * 3


def test_what_is_given_out_can_be_taken_in() -> None:
    imported("orders.viva.yaml")
    done = viva("export", "--output", "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == ["out/assistants/Desk.yaml", "out/shop-orders.viva.yaml"]
    assert imported("out") == ["unchanged"] * 4
    assert imported("out", "--data-dir", "elsewhere") == ["created", "unchanged", "created", "created"]
    assert viva("export", "--output", "out").exit_code == 0
    assert sorted(one.name for one in Path("out").rglob("*")) == ["Desk.yaml", "assistants", "shop-orders.viva.yaml"]


@pytest.mark.parametrize("what", [("--suite", "shop/orders"), ("--assistant", "Desk")])
def test_one_thing_is_printed_with_all_that_it_takes(what: tuple[str, str]) -> None:
    imported("orders.viva.yaml")
    done = viva("export", *what)
    assert done.exit_code == 0, done.output
    Path("printed.yaml").write_text(done.stdout, "utf-8")
    assert len(read([Path("printed.yaml")])) == 1
    assert imported("printed.yaml", "--data-dir", "elsewhere")[0] == "created"
    assert set(imported("printed.yaml")) == {"unchanged"}


def test_tests_are_retired_where_that_is_asked_for() -> None:
    imported("orders.viva.yaml")
    Path("fewer.yaml").write_text(SUITE.partition("  - name: elsewhere")[0], "utf-8")
    assert imported("fewer.yaml") == ["unchanged"] * 2
    assert imported("fewer.yaml", "--prune") == ["unchanged", "unchanged", "retired"]


@pytest.mark.parametrize("name", ["telnyx", "retell"])
def test_the_files_of_other_apis_are_given_out_and_taken_in(name: str) -> None:
    imported("orders.viva.yaml")
    done = viva("export", "--format", name, "--output", "out")
    assert done.exit_code == 0, done.output
    assert "its persona and its scripted turns" in done.stderr
    elsewhere = ("out", "--format", name, "--data-dir", "elsewhere")
    first = imported(*elsewhere)
    assert set(first) == {"created"}
    assert imported(*elsewhere) == ["unchanged"] * len(first)
    again = viva("export", "--format", name, "--output", "again", "--data-dir", "elsewhere")
    assert again.exit_code == 0, again.output
    assert imported("again", "--format", name, "--data-dir", "third") == ["created"] * len(first)


def test_no_documents_are_made_for_the_files_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def exported(*_: object) -> None:
        raise AssertionError("nobody wants them")

    imported("orders.viva.yaml")
    monkeypatch.setattr(suites, "exported", exported)
    done = viva("export", "--format", "telnyx", "--output", "out")
    assert done.exit_code == 0, done.output


def test_tests_of_no_suite_stay_behind() -> None:
    body = {"name": "t", "instructions": "x", "rubric": [{"name": "a", "criteria": "b"}], "destination": "a-1"}
    Path("b.json").write_text(json.dumps({"name": "D", "instructions": "x", "id": "a-1"}), "utf-8")
    Path("t.json").write_text(json.dumps(body), "utf-8")
    assert imported("b.json", "t.json", "--format", "telnyx") == ["created", "created"]
    done = viva("export", "--output", "out")
    assert done.stderr == "1 tests are in no suite, and stay behind.\n"
    assert done.stdout == "out/assistants/D.yaml\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import", "none.yaml"), "none.yaml:1:1: none.yaml cannot be read: No such file or directory"),
        (("import", "empty"), "There are no files of YAML or JSON in there."),
        (
            ("import", "bad.yaml", "orders.viva.yaml"),
            "bad.yaml:2:1: there is no key 'testz' here; did you mean 'tests'?",
        ),
        (("import", "lost.yaml"), "lost.yaml:2:1: There is no assistant with the name 'Nobody'."),
        (("import", "bad.json", "--format", "telnyx"), "bad.json:1:1: rubric: "),
        (("import", "bad.json", "--format", "retell"), "bad.json:1:1: this is neither a response engine nor"),
        (("import", "bad.json", "--format", "nobody"), "There is no format 'nobody'; there are viva, telnyx, retell."),
        (("import", "empty.json", "--format", "retell", "--server", "http://x"), "Files of this format are read"),
        (("import", "orders.viva.yaml", "--org", "nobody"), "There is no organisation 'nobody'."),
        (("export",), "Name one --suite or one --assistant to print, or a directory with --output."),
        (("export", "--suite", "a", "--format", "telnyx"), "Name one --suite"),
        (("export", "--suite", "a"), "There is no database in "),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line_and_leaves_nothing(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    Path("empty").mkdir()
    Path("bad.yaml").write_text("suite: s\ntestz: []\n", "utf-8")
    Path("bad.json").write_text('{"destination": "x", "name": "n", "instructions": "i"}', "utf-8")
    Path("empty.json").write_text("[]", "utf-8")
    Path("lost.yaml").write_text(
        "suite: s\nassistant: Nobody\ntests: [{name: a, scenario: b, criteria: [c]}]\n", "utf-8"
    )
    done = viva(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""
    if (tmp_path / "data" / "viva.db").exists():
        assert viva("export", "--output", "out").stdout == ""


@pytest.mark.parametrize("what", [("--suite", "none"), ("--assistant", "none")])
def test_what_there_is_not_is_not_given_out(what: tuple[str, str]) -> None:
    imported("orders.viva.yaml")
    done = viva("export", *what)
    assert done.exit_code == 2
    assert "'none'" in done.stderr


def test_a_directory_that_cannot_be_written_is_told() -> None:
    imported("orders.viva.yaml")
    Path("file").write_text("", "utf-8")
    done = viva("export", "--output", "file")
    assert done.exit_code == 2
    assert "file cannot be written" in done.stderr
