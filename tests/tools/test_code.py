"""Code tools (testing contract, section 3.6): they run in the operator's sandbox, and nowhere else."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import Reply, Seen, always, raw_serving, serving

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import CodeTool, StoredField
from vivavoce.tools.answers import MODEL_READS
from vivavoce.tools.code import open_sandbox, run_code

TOOL = CodeTool("add", "return {{a}} + dv.b", timeout_ms=5000)


async def run(url: str, tool: CodeTool = TOOL, **arguments: Any) -> ToolOutput:
    async with open_sandbox(url) as sandbox:
        assert sandbox is not None
        return await run_code(sandbox, tool, arguments, Filling({"a": 1, "b": "2"}))


async def test_the_sandbox_is_told_the_code_and_what_it_works_on() -> None:
    async with serving(always({"result": 3})) as server:
        output = await run(server.url + "/run", n=1)
    assert output == ToolOutput("3", ok=True)
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/run")
    # Nothing is filled into the code: a variable must not become a part of a program.
    assert seen.json == {
        "code": "return {{a}} + dv.b",
        "arguments": {"n": 1},
        "variables": {"a": "1", "b": "2"},
        "timeout_ms": 5000,
    }


@pytest.mark.parametrize(
    ("result", "text", "variables"),
    [
        ({"order": {"ids": [4, 5]}}, '{"order": {"ids": [4, 5]}}', {"second": "5"}),
        ('{"order": {"ids": [4, 6]}}', '{"order": {"ids": [4, 6]}}', {"second": "6"}),
        ("plain", "plain", {}),
        (None, "", {}),
    ],
)
async def test_parts_of_the_result_become_variables(result: object, text: str, variables: dict[str, str]) -> None:
    tool = CodeTool("add", "", stored=(StoredField("second", "order.ids.1"),))
    async with serving(always({"result": result})) as server:
        assert await run(server.url, tool) == ToolOutput(text, ok=True, variables=variables)


async def test_a_long_result_is_cut() -> None:
    async with serving(always({"result": "x" * (MODEL_READS + 1)})) as server:
        assert (await run(server.url)).text.endswith(f"[cut: the answer has {MODEL_READS + 1} characters]")


def page(_: Seen) -> web.Response:
    return web.Response(text="<html>")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (always({"error": "b is not defined"}), "The code failed: b is not defined"),
        (always({"error": "too long"}, 408), "The code failed: too long"),
        (always({"result": 1}, 500), "The code was not run: the sandbox gave no result (HTTP status 500)."),
        (always(["result"]), "The code was not run: the sandbox gave no result (HTTP status 200)."),
        (page, "The code was not run: the sandbox gave no result (HTTP status 200)."),
    ],
)
async def test_what_goes_wrong_in_the_sandbox_is_told(reply: Reply, told: str) -> None:
    async with serving(reply) as server:
        assert await run(server.url) == ToolOutput(told, ok=False)


async def test_a_sandbox_that_does_not_answer_in_time_is_told() -> None:
    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_serving(silence) as url:
        output = await run(url, CodeTool("add", "", timeout_ms=50))
    assert output == ToolOutput("The tool did not answer within 0.05 seconds.", ok=False)


async def test_arguments_that_do_not_fit_are_not_sent() -> None:
    def never(_: Seen) -> web.Response:
        raise AssertionError

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    async with serving(never) as server:
        output = await run(server.url, CodeTool("add", "", parameters=schema), n="x")
    assert not output.ok
    assert "n: 'x' is not of type 'integer'" in output.text


async def test_without_an_address_there_is_no_sandbox() -> None:
    async with open_sandbox("") as sandbox:
        assert sandbox is None
