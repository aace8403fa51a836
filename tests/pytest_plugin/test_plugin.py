"""The pytest plugin in a project of its own, run as its users run it: with all warnings as errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.server import environment

from vivavoce.pytest_plugin import station
from vivavoce.pytest_plugin.station import open_station
from vivavoce.running.errors import CannotStart

SUITE = """\
suite: desk
assistant:
  name: Desk
  model: scripted
  instructions: 'else: say "Good morning!"'
tests:
  - name: Greets
    turns: [Hello, hang_up]
    checks: ['The assistant says "good morning"']
  - name: Sings
    turns: [Hello, hang_up]
    checks: ['The assistant says "la la la"']
  - name: Kind
    turns: [Hello, hang_up]
    criteria: [It is kind]
  - name: Away
    destination: http://10.0.0.1/
    turns: [Hello, hang_up]
    criteria: [It is kind]
"""
BAD = "suite: bad\ntests: []\n"
TESTS = """\
import asyncio
import threading

import pytest


async def bot(text):
    await asyncio.sleep(0)
    return "What is your order number?" if "order" in text else "Goodbye."


ASKS = dict(
    scenario='on start: say "Where is my order?"\\non hear "number": say "Thanks, bye."; hang up',
    criteria=['The assistant says "number"'],
)


async def test_function(viva):
    examination = await viva.examine(bot, **ASKS)
    assert examination.passed, examination.report
    assert examination.verdicts[0].decision == "met"
    assert [turn.text for turn in examination.turns][:2] == ["Where is my order?", "What is your order number?"]


async def test_runs_in_the_loop_of_the_test(viva):
    loop, seen = asyncio.get_running_loop(), []

    async def here(text):
        seen.append(asyncio.get_running_loop() is loop)
        return "number"

    both = await asyncio.gather(viva.examine(here, **ASKS), viva.examine(here, **ASKS, repeats=2))
    assert [one.passed for one in both] == [True, True]
    assert seen == [True] * 3


def test_sync(viva):
    seen = []

    def here(messages, variables):
        seen.append(threading.current_thread() is threading.main_thread())
        return {"message": f"{variables['plan']} {len(messages)}", "tool_calls": [{"name": "look_up"}]}

    examination = viva.examine_sync(
        here,
        turns=["One", "Two"],
        variables={"plan": "gold"},
        checks=['The assistant says "gold 3"', "The assistant calls look_up twice"],
    )
    assert examination.passed, examination.report
    assert seen == [True, True]


def test_coroutine_in_a_plain_test(viva):
    assert viva.examine_sync(bot, **ASKS).passed


def test_assistant_as_a_document(viva):
    greeter = {"name": "Greeter", "model": "scripted", "instructions": 'else: say "Hi."'}
    assert viva.examine_sync(greeter, turns=["Hello"], checks=['The assistant says "hi"']).passed
    assert viva.examine_sync("Greeter", turns=["Hello"], checks=['The assistant says "hi"']).passed


def test_fails_with_its_evidence(viva):
    examination = viva.examine_sync(bot, turns=["Hello"], checks=['The assistant says "elephant"'])
    assert examination.passed, examination.report


def test_raises_what_the_function_raises(viva):
    def broken(text):
        raise KeyError("of the function")

    viva.examine_sync(broken, turns=["Hello"], checks=['The assistant says "x"'])


async def test_mistakes_are_told(viva):
    await viva.examine(bot, turns=["Hello"], criteria=["It is kind"], max_turns=3)


async def test_not_in_a_loop(viva):
    viva.examine_sync(bot, **ASKS)
"""
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "pytest.md"
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\naddopts = --strict-markers\n"


def run(project: Path, *words: str) -> str:
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", "--no-header", "-rA", *words]
    bare = environment({"VIVA_API_KEY": ""})
    done = subprocess.run(command, cwd=project, env=bare, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    project = tmp_path_factory.mktemp("project")
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (project / "test_page.py").write_text(example, encoding="utf-8")
    for name, text in {"desk.viva.yaml": SUITE, "bad.viva.yaml": BAD, "test_bot.py": TESTS, "pytest.ini": INI}.items():
        (project / name).write_text(text, encoding="utf-8")
    return run(project, "--continue-on-collection-errors")


def outcomes(told: str) -> dict[str, str]:
    summary = told[told.index("short test summary info") :]
    return {name: what for what, name in re.findall(r"^([A-Z]+) (\S+?::\w+|\S+\.yaml)(?: |$)", summary, re.MULTILINE)}


def test_everything_comes_out_as_it_should(told: str) -> None:
    assert outcomes(told) == {
        "desk.viva.yaml::Greets": "PASSED",
        "desk.viva.yaml::Sings": "FAILED",
        "desk.viva.yaml::Kind": "FAILED",
        "desk.viva.yaml::Away": "ERROR",
        "bad.viva.yaml": "ERROR",
        # Whether it tells the day is no matter for the scripted judge.
        "test_page.py::test_tells_when_the_order_comes": "FAILED",
        "test_page.py::test_says_it_word_for_word": "PASSED",
        "test_bot.py::test_function": "PASSED",
        "test_bot.py::test_runs_in_the_loop_of_the_test": "PASSED",
        "test_bot.py::test_sync": "PASSED",
        "test_bot.py::test_coroutine_in_a_plain_test": "PASSED",
        "test_bot.py::test_assistant_as_a_document": "PASSED",
        "test_bot.py::test_fails_with_its_evidence": "FAILED",
        "test_bot.py::test_raises_what_the_function_raises": "FAILED",
        "test_bot.py::test_mistakes_are_told": "FAILED",
        "test_bot.py::test_not_in_a_loop": "FAILED",
    }


def section(told: str, name: str) -> str:
    """What pytest shows of a test that did not pass."""
    heading = rf"^_{{3,}} (?:ERROR at setup of )?{re.escape(name)} _{{3,}}\n"
    found = re.search(heading + r"(.*?)^(?:_{3,} |={3,} )", told, re.MULTILINE | re.DOTALL)
    assert found, told
    return found[1]


def test_a_suite_says_what_is_unmet(told: str) -> None:
    assert section(told, "Sings").splitlines()[:4] == [
        'failed: unmet: The assistant says "la la la"',
        'The assistant says "la la la": unmet. the assistant never said "la la la"',
        "the fault of the assistant",
        "[0] caller: Hello",
    ]
    assert section(told, "Kind").startswith("undecided: inconclusive: It is kind\n")
    assert section(told, "Away").startswith("could not run: ")
    assert "bad.viva.yaml:2:" in section(told, "ERROR collecting bad.viva.yaml")


def test_a_failing_examination_shows_its_report_and_little_else(told: str) -> None:
    shown = section(told, "test_fails_with_its_evidence")
    assert 'the assistant never said "elephant"' in shown
    assert "[0] caller: Hello" in shown
    assert len(shown) < 1500
    raised = section(told, "test_raises_what_the_function_raises")
    assert "KeyError: 'of the function'" in raised
    assert "vivavoce" not in raised
    assert "max_turns" in section(told, "test_mistakes_are_told")
    assert "await viva.examine instead" in section(told, "test_not_in_a_loop")


def test_a_project_that_does_not_use_it_imports_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import sys\n\n\ndef test_one():\n    ours = sorted(n for n in sys.modules if n.startswith('vivavoce'))\n"
        "    assert ours == ['vivavoce', 'vivavoce.pytest_plugin']\n",
        encoding="utf-8",
    )
    (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
    assert "1 passed" in run(tmp_path)


@pytest.mark.parametrize("address", ["http://127.0.0.1:abc", "http://127.0.0.1:99999", "nonsense"])
def test_an_address_that_is_none_ends_at_once(address: str) -> None:
    with pytest.raises(CannotStart, match="is no address of a server"), open_station(address, "key"):
        pass


def test_whatever_goes_wrong_at_the_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_url: str, _key: str | None) -> None:
        raise OverflowError("of something else")

    monkeypatch.setattr(station, "connected", broken)
    with pytest.raises(CannotStart, match="of something else"), open_station("http://127.0.0.1:1", "key"):
        pass


def test_a_server_that_cannot_start_is_said_of_each_test(tmp_path: Path) -> None:
    (tmp_path / "desk.viva.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
    told = run(tmp_path, "--viva-server", "http://127.0.0.1:1")
    assert set(outcomes(told).values()) == {"ERROR"}
    assert section(told, "Greets") == "a key for the server is needed: --api-key or VIVA_API_KEY\n"
