"""``viva run``, ``viva show`` and ``viva watch``, as users and CI type them."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from tests.support.server import MAIN, Server, environment, serving
from typer.testing import CliRunner, Result

from vivavoce.cli import logs
from vivavoce.cli.main import app
from vivavoce.cli.run import _weight  # pyright: ignore[reportPrivateUsage]
from vivavoce.client import wire
from vivavoce.running.desk import Heard, open_desk

# A shell has what it starts in the background ignore interruptions, and so everything that this starts.
HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
HEAD = """\
suite: {name}
assistant:
  name: Desk of {name}
  model: scripted
  instructions: |
    on hear "order": say "What is your order number?"
    else: say "Pardon?"
tests:
"""
PASSES = """\
  - name: Asks
    turns: [My order, hang_up]
    checks: ['The assistant says "order number"']
"""
FAILS = """\
  - name: Refund
    turns: [My money, hang_up]
    checks:
      - Offers a ticket: The assistant says "ticket"
"""
OPEN = """\
  - name: Kind
    turns: [Hello, hang_up]
    criteria: [It is kind]
"""
AWAY = """\
  - name: Away
    destination: http://10.0.0.1/
    turns: [Hello, hang_up]
    criteria: [It is kind]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with serving(tmp_path_factory.mktemp("server"), {"VIVA_ALLOW_NETWORKS": "127.0.0.0/8"}, dev=False) as one:
        yield one


@pytest.fixture(autouse=True)
def around(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIVA_SERVER", server.url)
    monkeypatch.setenv("VIVA_API_KEY", server.key)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)

    # It sets up the logs of this whole process.
    def configure(_form: str, _level: str) -> None: ...

    monkeypatch.setattr(logs, "configure", configure)
    monkeypatch.chdir(tmp_path)


def suite(name: str, *tests: str) -> Path:
    path = Path(f"{name}.viva.yaml")
    path.write_text(HEAD.format(name=name) + "".join(tests), encoding="utf-8")
    return path


def viva(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_the_four_codes(tmp_path: Path) -> None:
    codes = {
        name: viva("run", suite(name, *tests)).exit_code
        for name, tests in {
            "passing": (PASSES,),
            "failing": (PASSES, FAILS, OPEN, AWAY),
            "away": (PASSES, OPEN, AWAY),
            "open": (PASSES, OPEN),
        }.items()
    }
    assert codes == {"passing": 0, "failing": 1, "away": 2, "open": 3}
    (tmp_path / "bad.viva.yaml").write_text("suite: bad\n", encoding="utf-8")
    assert viva("run", "bad.viva.yaml", "passing.viva.yaml").exit_code == 2


def test_it_says_what_is_unmet_and_shows_it() -> None:
    done = viva("run", suite("desk", PASSES, FAILS, OPEN))
    lines = done.stdout.splitlines()
    assert sorted(lines[:3]) == [
        "error      desk / Kind: inconclusive: It is kind",
        "failed     desk / Refund: unmet: Offers a ticket",
        "passed     desk / Asks",
    ]
    shown = lines[lines.index("FAILED  desk / Refund  desk.viva.yaml:12") :]
    assert shown[1:6] == [
        '  Offers a ticket: unmet. the assistant never said "ticket"',
        "  the fault of the assistant",
        "  [0] caller: My money",
        "  [1] assistant: Pardon?",
        "  [2] end: goodbye: the script ends here",
    ]
    assert lines[-1].startswith("3 tests: 1 failed, 1 undecided, 1 passed in ")
    assert done.stderr == ""


def test_quiet_and_chosen_and_repeated() -> None:
    path = suite("chosen", PASSES, FAILS)
    done = viva("run", path, "--quiet", "--filter", "as?s", "--repeat", "3")
    lines = done.stdout.splitlines()
    assert (done.exit_code, lines[1]) == (0, "passed  chosen / Asks  3 of 3 runs passed (100 %)")
    assert lines[2].startswith("1 test: 1 passed in ")
    nothing = viva("run", path, "-k", "zebra")
    assert (nothing.exit_code, nothing.stderr) == (2, "No test has a name with 'zebra'.\n")


def test_reports_are_written(tmp_path: Path) -> None:
    names = {"junit": "r/j.xml", "json": "r/j.json", "markdown": "r/m.md", "html": "r/p.html"}
    options = [word for name, path in names.items() for word in (f"--{name}", path)]
    assert viva("run", suite("written", PASSES, FAILS), *options).exit_code == 1
    assert [path.name for path in sorted(Path("r").iterdir())] == ["j.json", "j.xml", "m.md", "p.html"]
    assert Xml.parse(tmp_path / "r" / "j.xml").getroot().get("failures") == "1"
    told = json.loads(Path("r/j.json").read_text("utf-8"))
    assert (told["exit_code"], [test["result"] for test in told["suites"][0]["tests"]]) == (1, ["passed", "failed"])
    assert "| ❌ | Refund |" in Path("r/m.md").read_text("utf-8")
    assert "<!doctype html>" in Path("r/p.html").read_text("utf-8")


def test_json_can_be_printed() -> None:
    done = viva("run", suite("printed", PASSES), "--json", "-")
    assert json.loads(done.stdout)["result"] == "passed"
    assert "1 test: 1 passed" in done.stderr


def test_a_report_that_cannot_be_written_is_told_first(server: Server) -> None:
    path = suite("unwritten", PASSES)
    Path("there").mkdir()
    done = viva("run", path, "--junit", "there")
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", "Cannot write there: Is a directory\n")
    done = viva("run", path, "--junit", path / "below.xml")
    assert (done.exit_code, done.stdout) == (2, "")


def test_on_github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    Path("summary.md").write_text("# Before\n", encoding="utf-8")
    lines = viva("run", suite("hub", PASSES, FAILS)).stdout.splitlines()
    # What people say in between is no command.
    assert lines[0].startswith("::stop-commands::")
    token = lines[0].removeprefix("::stop-commands::")
    assert [line.startswith(f"::{token}::") for line in lines[-2:]] == [True, False]
    assert lines[-1].startswith(f"::error file={tmp_path.name}/hub.viva.yaml,line=12,title=hub%3A Refund (failed)::")
    summary = Path("summary.md").read_text("utf-8")
    assert summary.startswith("# Before\n## 2 tests: 1 failed, 1 passed")
    assert "::" not in viva("run", "hub.viva.yaml", "--no-github").stdout


def test_no_server_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ATTEMPTS", 1)
    path = suite("nowhere", PASSES)
    done = viva("run", path, "--server", "http://127.0.0.1:1")
    assert done.exit_code == 2
    assert "nowhere.viva.yaml: no answer from http://127.0.0.1:1: " in done.stdout
    wrong = viva("run", path, "--api-key", "wrong")
    assert (wrong.exit_code, "key is missing or not known" in wrong.stdout) == (2, True)
    none = viva("run", path, "--api-key", "")
    assert (none.exit_code, "a key for the server is needed" in none.stderr) == (2, True)
    assert viva("run", "missing.viva.yaml").exit_code == 2
    assert viva("run", path, "--server", "nonsense").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("show", ""),
        ("show", "\udcff"),
        ("show", "x", "--server", "http://127.0.0.1:abc"),
        ("show", "x", "--server", "http://127.0.0.1:99999"),
        ("show", "x", "--api-key", "topsecret\x00"),
        ("show", "x", "--api-key", " "),
        ("watch", "--suite", "\udcff"),
        ("watch", "--batch", "."),
    ],
)
def test_what_nobody_can_be_asked_is_one_line_and_no_failed_test(words: tuple[str, ...]) -> None:
    done = viva(*words)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "topsecret" not in done.stderr


def test_a_suite_without_a_name_that_can_be_addressed() -> None:
    path = suite("dot", PASSES)
    path.write_text(path.read_text("utf-8").replace("suite: dot", 'suite: "."'), "utf-8")
    assert viva("run", path).exit_code == 2


def test_a_time_limit(tmp_path: Path) -> None:
    with open_desk() as desk:
        over = threading.Event()

        def respond(_heard: Heard) -> dict[str, Any]:
            over.wait(30)
            return {"message": "late"}

        with desk.serving(respond) as url:
            path = suite("slow", PASSES, AWAY.replace("http://10.0.0.1/", url))
            done = viva("run", path, "--timeout", "0.5", "--filter", "away")
            over.set()
    assert done.exit_code == 2
    assert "it was not over within 0.5 s" in done.stdout


def test_a_server_of_its_own_and_an_interruption_that_cancels_and_says_so(tmp_path: Path) -> None:
    began, over = threading.Event(), threading.Event()

    def respond(_heard: Heard) -> dict[str, Any]:
        began.set()
        over.wait(30)
        return {"message": "late"}

    with open_desk() as desk, desk.serving(respond) as url:
        suite("own", PASSES, AWAY.replace("http://10.0.0.1/", url))
        running = subprocess.Popen(
            [sys.executable, "-c", HEARS + MAIN, "run", "--data-dir", "record"],
            env=environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        try:
            first = running.stdout.readline()
            assert began.wait(30)
            running.send_signal(signal.SIGINT)
            told, errors = running.communicate(timeout=30)
        finally:
            over.set()
            running.kill()
            running.wait()
    assert first == "passed     own / Asks\n"
    assert (running.returncode, errors) == (130, "Interrupted: what was begun was cancelled.\n"), told
    with closing(sqlite3.connect(tmp_path / "record" / "viva.db")) as database:
        ended = database.execute("SELECT status, ending, reason FROM runs ORDER BY id").fetchall()
    assert ended == [
        ("passed", "goodbye", "every criterion is met"),
        ("error", "cancelled", "cancelled: whoever ran it stopped"),
    ]


def test_a_run_is_shown_and_watched() -> None:
    viva("run", suite("shown", FAILS, PASSES), "--json", "told.json")
    (told,) = json.loads(Path("told.json").read_text("utf-8"))["suites"]
    run_id = told["tests"][0]["runs"][0]["run_id"]
    shown = viva("show", run_id)
    assert (shown.exit_code, shown.stdout.splitlines()[0]) == (0, "failed  shown / Refund")
    assert '  unmet        Offers a ticket: the assistant never said "ticket"' in shown.stdout
    assert "[1] assistant" in shown.stdout
    document = json.loads(viva("show", run_id, "--json").stdout)
    assert (document["test"]["name"], document["transcript"][1]["text"]) == ("Refund", "Pardon?")
    assert viva("show", "unknown").exit_code == 2

    turns = viva("watch", "--run", run_id)
    assert (turns.exit_code, turns.stdout.splitlines()[0]) == (1, "[0] caller: My money")
    assert turns.stdout.splitlines()[-1] == "failed: unmet: Offers a ticket"
    whole = viva("watch", "--batch", told["batch_id"])
    assert (whole.exit_code, whole.stdout.splitlines()[-1]) == (1, "over: 1 passed, 1 failed")
    assert f"shown / Refund: unmet: Offers a ticket  {run_id}" in whole.stdout
    told_again = [json.loads(line) for line in viva("watch", "--batch", told["batch_id"], "--json").stdout.splitlines()]
    assert told_again[-1]["event"] == "BatchEnded"
    assert viva("watch", "--batch", "unknown").exit_code == 2
    both = viva("watch", "--suite", "shown", "--run", run_id)
    assert (both.exit_code, both.stderr) == (2, "Give one of --run, --batch and --suite.\n")


def test_a_report_that_could_not_be_written_never_hides_a_failure() -> None:
    assert [max(code, 2, key=_weight) for code in (0, 1, 2, 3)] == [2, 1, 2, 2]
