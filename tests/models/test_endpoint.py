"""The test endpoint itself: what it says by default, what can be changed from outside, and that it runs alone."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.models.conftest import Connect
from tests.support import endpoint as module
from tests.support.endpoint import Endpoint

from vivavoce.core.model import Prompt, PromptLine
from vivavoce.examination import tasks
from vivavoce.models.openai import OpenAIModel

SYSTEM = PromptLine("system", "You are somebody.")


def conversation(mine: int) -> Prompt:
    lines = [SYSTEM, PromptLine("user", "Hello?")]
    for number in range(mine):
        lines += [PromptLine("assistant", f"mine {number}"), PromptLine("user", f"theirs {number}")]
    return Prompt(tuple(lines))


async def test_the_tester_counts_its_lines_and_hangs_up(model: OpenAIModel) -> None:
    for mine in (0, 1, 9):
        assert (await model.decide(conversation(mine), tasks.TesterMove)).value.message == f"line {mine + 1}"
    assert (await model.decide(conversation(10), tasks.TesterMove)).value.action == "hang_up"


async def test_the_assistant_counts_its_answers(model: OpenAIModel) -> None:
    assert (await model.reply(conversation(2))).text == "answer 3 to: theirs 1"


async def test_behaviours_are_found_by_words_and_role(endpoint: Endpoint, model: OpenAIModel) -> None:
    verdict = {"decision": "unmet", "reason": "rude", "quote": None, "turn": None}
    endpoint.behaviours = [
        {"when": "theirs 0", "role": "tester", "say": ["One.", "Two."]},
        {"role": "tester", "hang_up_after": 0},
        {"role": "judge", "verdicts": {"kind": verdict}},
    ]
    assert (await model.decide(conversation(1), tasks.TesterMove)).value.message == "Two."
    assert (await model.decide(conversation(2), tasks.TesterMove)).value.action == "hang_up"
    assert (await model.decide(conversation(0), tasks.TesterMove)).value.action == "hang_up"
    assert (await model.reply(conversation(0))).text == "answer 1 to: Hello?"
    question = "Criteria:\n1. kind: Be kind.\n2. short: Be short.\n\nTranscript:\n[0] assistant: Go away (1.00 s)"
    answers = (await model.decide(Prompt((SYSTEM, PromptLine("user", question))), tasks.Sheet)).value.answers
    assert [(one.decision, one.reason, one.quote, one.turn) for one in answers] == [
        ("unmet", "rude", None, None),
        ("met", "it is there", "Go away", 0),
    ]


async def test_it_is_steered_over_http(endpoint: Endpoint, connect: Connect) -> None:
    url = endpoint.base_url.replace("/v1", "/_control")
    async with aiohttp.ClientSession() as session:

        async def control(wishes: dict[str, Any]) -> None:
            async with session.post(url, json=wishes) as answer:
                assert answer.status == 200

        async def report() -> dict[str, Any]:
            async with session.get(url) as answer:
                return await answer.json()

        await control({"behaviours": [{"say": ["As told."]}], "faults": [{"kind": "status", "status": 500}]})
        assert (await connect().reply(conversation(0))).usage.attempts == 2
        told = await report()
        assert (told["count"], told["roles"], told["most"]) == (2, {"assistant": 2}, 1)
        assert [request["number"] for request in told["requests"]] == [1, 2]
        assert told["requests"][0]["body"]["messages"][1]["content"] == "Hello?"
        await control({"reset": True, "recording": False})
        assert (await connect().reply(conversation(0))).text == "answer 1 to: Hello?"
        told = await report()
        assert (told["count"], told["requests"]) == (1, [])


async def test_other_addresses_are_not_found(endpoint: Endpoint) -> None:
    async with aiohttp.ClientSession() as session, session.get(endpoint.base_url + "/models") as answer:
        assert answer.status == 404
        assert json.loads(await answer.text())["error"]["message"] == "nothing at /v1/models"


@pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")
def test_it_runs_as_a_program() -> None:
    program = [sys.executable, str(Path(str(module.__file__))), "--port", "0", "--latency", "0.1"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            words = running.stdout.readline().split()
            assert words[:2] == ["listening", "on"]
            assert int(words[2]) > 0
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
