"""``viva chat``, as a user types it, with lines from a pipe; the server is in this process."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from vivavoce.cli.main import app

DESK = """name: Desk
instructions: |
  on hear "bye": call hangup {}
  on hear "look": call find {"number": 7}
  on hear /(.+)/: say "You said $1, {{who}}."
greeting: Hello.
variables: {who: nobody}
tools: [{kind: hangup}, {kind: function, name: find}]
"""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.startswith(("VIVA_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "desk.yaml").write_text(DESK, "utf-8")
    return tmp_path


def viva(*words: str, said: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["chat", *words], input=said)


def test_an_assistant_of_a_file_then_by_its_name(place: Path) -> None:
    result = viva("desk.yaml", "--data-dir", "kept", "--var", "who=Ada", said="Hm\nlook\nbye\nmore\n")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "assistant: Hello.",
        "assistant: You said Hm, Ada.",
        '  calls find({"number": 7})',
        "  find failed: Nobody runs 'find' here.",
        "  calls hangup({})",
        "  the assistant left: hangup",
    ]
    again = viva("Desk", "--data-dir", "kept", "--json", said="Hm\n\nlook\n")
    turns = [json.loads(line) for line in again.output.splitlines()]
    assert [(one["turn"], one["text"]) for one in turns] == [(0, "Hello."), (2, "You said Hm, nobody.")]


def test_input_in_another_encoding_is_taken_as_far_as_it_can_be_read() -> None:
    result = viva("desk.yaml", said=b"caf\xe9\r\nbye\r\n")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1] == "assistant: You said caf\ufffd, nobody."
    assert result.output.splitlines()[-1] == "  the assistant left: hangup"


def test_an_assistant_that_there_is_not_is_told() -> None:
    result = viva("Nobody")
    assert (result.exit_code, result.stderr) == (2, "There is no assistant 'Nobody'.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("desk.yaml", "--var", "who"), "--var 'who' should be NAME=VALUE."),
        (("broken.yaml",), "broken.yaml:1:"),
        (("suite.yaml",), "describes no assistants"),
    ],
)
def test_mistakes_are_told_before_anything_starts(place: Path, words: tuple[str, ...], said: str) -> None:
    (place / "broken.yaml").write_text("name: [", "utf-8")
    (place / "suite.yaml").write_text(
        "suite: s\nassistant: a\ntests: [{name: t, scenario: x, criteria: [y]}]\n", "utf-8"
    )
    result = viva(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_without_a_key_another_server_is_not_asked() -> None:
    result = viva("Desk", "--server", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "VIVA_API_KEY" in result.stderr
