"""The tools, called by the reference client in this process, on a real server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from mcp import Client
from mcp_types import CallToolResult
from tests.agents.conftest import WARM, Served

from vivavoce.agents.tools import server
from vivavoce.client import AsyncClient

TOOLS = {
    "list_suites",
    "get_suite",
    "run_suite",
    "get_batch",
    "get_run",
    "list_failures",
    "propose_test",
    "save_test",
    "compare",
}
WRITING = {"run_suite", "save_test"}


@asynccontextmanager
async def agent_of(served: Served) -> AsyncGenerator[Client]:
    async with AsyncClient(served.url, served.key) as client:

        @asynccontextmanager
        async def opening(_request: object) -> AsyncGenerator[AsyncClient]:
            yield client

        async with Client(server(opening)) as agent:
            yield agent


async def called(agent: Client, tool: str, **given: Any) -> Any:
    result = await agent.call_tool(tool, given)
    assert not result.is_error, result.content
    return result.structured_content


def words(result: CallToolResult) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text


async def test_the_tools_say_what_they_do_and_which_of_them_change_something(served: Served) -> None:
    async with agent_of(served) as agent:
        tools = {one.name: one for one in (await agent.list_tools()).tools}
        assert tools.keys() == TOOLS
        assert all(one.description for one in tools.values())
        reading = {name for name, one in tools.items() if one.annotations and one.annotations.read_only_hint}
        assert reading == TOOLS - WRITING
        assert "transcript" in tools["get_run"].input_schema["properties"]
        assert "called" not in tools["get_run"].input_schema["properties"]


async def test_suites(served: Served) -> None:
    async with agent_of(served) as agent:
        found = await called(agent, "list_suites")
        (desk,) = [one for one in found["suites"] if one["name"] == "desk"]
        assert desk["last"]["batch_id"]
        document = await called(agent, "get_suite", name="desk")
        assert [one["name"] for one in document["tests"]][:2] == ["finds it", "warm"]
        assert document["assistant"] == "Desk"


async def test_failures_lead_to_the_run_with_its_evidence_and_its_conversation(served: Served) -> None:
    async with agent_of(served) as agent:
        found = await called(agent, "list_failures", batch_id=served.bad)
        assert found["more"] is False
        assert sorted(one["test"] for one in found["failures"]) == ["finds it", "warm"]
        (finds,) = [one for one in found["failures"] if one["test"] == "finds it"]
        assert (finds["status"], finds["fault"]) == ("failed", "assistant")
        assert [one["criterion"] for one in finds["criteria"]] == ['says "Friday"']
        run = await called(agent, "get_run", run_id=finds["run_id"])
        (asks,) = [one for one in run["verdicts"] if one["criterion"] == "asks"]
        turn = asks["evidence"]["turn"]
        (line,) = [one for one in run["transcript"] if one.startswith(f"[{turn}] ")]
        assert line.startswith(f"[{turn}] assistant: What is your order number?")
        told = "\n".join(run["transcript"])
        assert "assistant calls find(number='A-1001')" in told
        assert 'find returned, mocked: {"arrives": "Friday"}' in told
        assert "the end: goodbye" in told
        assert "transcript" not in await called(agent, "get_run", run_id=finds["run_id"], transcript=False)
        assert (await called(agent, "list_failures", suite="nobody's"))["failures"] == []


async def test_a_change_for_the_worse_is_seen(served: Served) -> None:
    async with agent_of(served) as agent:
        found = await called(agent, "compare", kind="batches", left=served.good, right=served.bad)
        assert [(one["kind"], one["test"]["name"]) for one in found["changes"]] == [("broke", "finds it")]
        assert found["pass_rate"] == [0.5, 0.0]


async def test_a_suite_is_run_with_progress(served: Served) -> None:
    async with agent_of(served) as agent:
        seen: list[tuple[float, float | None, str | None]] = []

        async def noted(progress: float, total: float | None, message: str | None) -> None:
            seen.append((progress, total, message))

        given = {"name": "desk", "only": ["warm"], "repeats": 2}
        result = await agent.call_tool("run_suite", given, progress_callback=noted)
        told: Any = result.structured_content
        assert (told["over"], told["total"], told["counts"]) == (True, 2, {"failed": 2})
        assert [one["test"] for one in told["not_passed"]] == ["warm", "warm"]
        assert seen
        assert seen[-1] == (2, 2, "2 of 2 runs are over")
        again = await called(agent, "get_batch", batch_id=told["batch_id"], wait_seconds=5)
        assert again == told


async def test_who_does_not_wait_is_told_where_to_look(served: Served) -> None:
    async with agent_of(served) as agent:
        told = await called(agent, "run_suite", name="desk", timeout_seconds=0)
        assert told["total"] == 2
        done = await called(agent, "get_batch", batch_id=told["batch_id"], wait_seconds=30)
        assert done["over"]


async def test_a_test_is_proposed_saved_and_changed(served: Served) -> None:
    async with agent_of(served) as agent:
        name = f"greets {uuid4().hex}"
        test = {"suite": "written", "name": name, "assistant": "Desk", "scenario": "Wait.", "criteria": ["is kind"]}
        proposed = await called(agent, "propose_test", document=test)
        assert (proposed["valid"], proposed["would"], proposed["test"]) == (True, "create", test)
        assert (await called(agent, "propose_test", document=test))["would"] == "create"  # nothing was saved
        saved = await called(agent, "save_test", document=test)
        assert (saved["change"], saved["test"]["name"]) == ("created", name)
        assert (await called(agent, "propose_test", document={**test, "assistant": {"name": "Desk"}}))[
            "would"
        ] == "leave"
        changed = {**test, "criteria": ['says "hello"'], "persona": "You are in a hurry."}
        proposed = await called(agent, "propose_test", document=changed)
        assert (proposed["would"], proposed["id"]) == ("change", saved["test"]["id"])
        assert proposed["changes"] == {
            "criteria": {"is": ["is kind"], "would_be": ['says "hello"']},
            "persona": {"is": None, "would_be": "You are in a hurry."},
        }
        again = await called(agent, "save_test", document=changed)
        assert (again["change"], again["test"]["id"]) == ("replaced", saved["test"]["id"])
        assert (await called(agent, "get_suite", name="written"))["tests"]


async def test_mistakes_in_a_test_are_told_by_their_places(served: Served) -> None:
    async with agent_of(served) as agent:
        wrong = {"name": "x", "assistant": "Desk", "scenario": "Wait.", "checks": ["is kind"], "scenari": "y"}
        told = await called(agent, "propose_test", document=wrong)
        assert told["valid"] is False
        assert {one["at"] for one in told["problems"]} == {"checks/0/text", "scenari"}
        result = await agent.call_tool("save_test", {"document": wrong})
        assert result.is_error
        assert "scenari: " in words(result)


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("get_run", {"run_id": "nobody"}, "'nobody' was not found"),
        ("get_batch", {"batch_id": "nobody"}, "'nobody' was not found"),
        ("get_suite", {"name": "nobody's"}, "was not found"),
        ("run_suite", {"name": "desk", "only": ["warm", "cold"]}, "has no test 'cold'"),
        ("run_suite", {"name": "desk", "repeats": 0}, "repeats"),
        ("compare", {"kind": "runs", "left": "a", "right": "b"}, "was not found"),
        ("save_test", {"document": {**WARM, "assistant": "nobody"}}, "nobody"),
    ],
)
async def test_what_cannot_be_done_is_told(served: Served, tool: str, given: dict[str, Any], said: str) -> None:
    async with agent_of(served) as agent:
        result = await agent.call_tool(tool, given)
        assert result.is_error
        assert said in words(result)
