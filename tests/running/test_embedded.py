"""A whole server in this process, and everything that the clients ask of one."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from vivavoce.client import ApiError
from vivavoce.clock import SystemClock
from vivavoce.directory import held
from vivavoce.reports.results import Code, State, code
from vivavoce.running.connecting import connected
from vivavoce.running.embedded import embedded
from vivavoce.running.errors import CannotStart
from vivavoce.running.suites import Plan, Wanted, run_suites

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "client.md"
DESK = {"name": "Desk", "model": "scripted", "instructions": 'on hear "bye": say "Goodbye."\nelse: say "Pardon?"'}
SUITE = {
    "suite": "of all kinds",
    "assistant": DESK,
    "tests": [
        {"name": "fine", "turns": ["bye", "hang_up"], "checks": ['The assistant says "goodbye"'], "repeats": 2},
        {"name": "bad", "turns": ["hello", "hang_up"], "checks": ['The assistant says "goodbye"']},
        {"name": "open", "turns": ["hello", "hang_up"], "criteria": ["It is kind"]},
        {"name": "away", "destination": "http://10.0.0.1/", "turns": ["hello", "hang_up"], "criteria": ["It is kind"]},
    ],
}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    # A server of one's own has a database and a key of its own.
    monkeypatch.setenv("VIVA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("VIVA_API_KEY", "of another server")


async def test_suites_are_run_on_it(tmp_path: Path) -> None:
    async with connected(data_dir=tmp_path) as client:
        report = await run_suites(client, [Plan(SUITE)], Wanted(), SystemClock())
        assert report.all_problems == ()
        assert {test.name: test.state for test in report.tests} == {
            "fine": State.PASSED,
            "bad": State.FAILED,
            "open": State.UNDECIDED,
            "away": State.BROKEN,
        }
        assert [len(test.runs) for test in report.tests] == [2, 1, 1, 1]
        bad = report.tests[1].runs[0]
        assert bad.run.verdicts[0].decision == "unmet"
        assert [turn.text for turn in bad.turns if turn.kind == "message"] == ["hello", "Pardon?"]
        assert bad.run.test is None or bad.run.test.name == "bad"
        assert code(report) is Code.FAILED

        # What else the clients ask, answered by a real server.
        run = await client.get_run(bad.run.id)
        assert run.test is not None
        assert (run.test.name, run.suite) == ("bad", "of all kinds")
        assert run.assistant is not None
        assert run.assistant.name == "Desk"
        (suite,) = (await client.get_suites()).items
        assert suite.last is not None
        assert (suite.tests, suite.last.total, suite.last.passed) == (4, 5, 2)
        (point,) = await client.get_history("of all kinds")
        assert point.standing == suite.last
        again = await run_suites(client, [Plan(SUITE)], Wanted(repeats=1), SystemClock())
        batches = report.suites[0].batch_id, again.suites[0].batch_id
        compared = await client.compare("batches", str(batches[0]), str(batches[1]))
        assert compared.changes == ()
        assert compared.same > 0
        assert "judge" in {one.role for one in await client.get_models()}
        assistant = (await client.get_assistants()).items[0]
        chat = await client.start_chat(assistant["id"])
        said = await client.say(chat.id, "bye")
        assert [turn.text for turn in said.turns if turn.speaker == "assistant"] == ["Goodbye."]
        await client.end_chat(chat.id)
        assert (await client.get_suite("of all kinds"))["suite"] == "of all kinds"
        assert await client.cancel_batch(str(batches[0])) == 0
        with pytest.raises(ApiError) as caught:
            await client.put_suite({"suite": "x", "tests": [{"name": "y", "oops": 1}]})
        assert caught.value.status == 422
        assert any("oops" in place.at for place in caught.value.places)
        with pytest.raises(CannotStart, match="another server is using"):
            async with embedded(tmp_path):
                pass
    assert (tmp_path / "viva.db").is_file()


async def test_the_examples_of_the_page_do_what_they_show() -> None:
    found: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), found)
    async with embedded() as serving:
        assert await found["examine"](serving.url, serving.key) == "3 of 3 passed"
        told = await asyncio.to_thread(found["look"], serving.url, serving.key)
    assert told == [
        "greetings: 100%",
        "caller: Hello",
        "assistant: Good morning!",
        "404: test run 'unknown' was not found.",
    ]


async def test_what_is_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(tmp_path), pytest.raises(CannotStart, match="another server is using"):
        async with embedded(tmp_path):
            pass
    monkeypatch.setenv("VIVA_TURN_LIMIT", "many")
    with pytest.raises(CannotStart, match=r"^VIVA_TURN_LIMIT: "):
        async with embedded():
            pass
    monkeypatch.setenv("VIVA_NUMBERS", "{")
    with pytest.raises(CannotStart, match="numbers"):
        async with embedded():
            pass


async def test_another_server_needs_an_address_and_a_key(tmp_path: Path) -> None:
    for url, key, data_dir, why in (
        ("http://viva.example", None, None, "a key for the server is needed"),
        ("viva.example", "key", None, "no address of a server"),
        ("http://viva.example", "key", tmp_path, "either that or a server"),
    ):
        with pytest.raises(CannotStart, match=why):
            async with connected(url, key, data_dir):
                pass
