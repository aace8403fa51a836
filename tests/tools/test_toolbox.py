import pytest
from tests.outbound.local_server import always, serving

from vivavoce.assistant.ports import ToolOutput, Tools
from vivavoce.core.tool import FunctionTool, HangupTool, OtherTool, Tool, ToolMock, WebhookTool
from vivavoce.outbound.fetch import Session
from vivavoce.tools.toolbox import Toolbox


async def call(tools: Tools, tool: Tool, **arguments: object) -> ToolOutput:
    return await tools.call(tool, arguments, key="k", variables={})


async def test_a_webhook_is_called(session: Session) -> None:
    async with serving(always({"a": 1})) as server:
        output = await call(Toolbox(session), WebhookTool("w", "", server.url))
    assert output == ToolOutput('{"a": 1}', ok=True, status_code=200)


async def test_the_first_mock_that_matches_answers_instead(session: Session) -> None:
    mocks = (
        ToolMock("other", "no"),
        ToolMock("w", ""),
        ToolMock("w", "for two", {"n": 2}),
        ToolMock("w", "for all"),
        ToolMock("w", "never"),
    )
    async with serving(always({})) as server:
        tool = WebhookTool("w", "", server.url)
        assert await call(Toolbox(session, mocks), tool, n=2) == ToolOutput("for two", ok=True, mocked=True)
        assert await call(Toolbox(session, mocks), tool, n=3) == ToolOutput("for all", ok=True, mocked=True)
    assert server.seen == []


@pytest.mark.parametrize("tool", [FunctionTool("f"), HangupTool(name="f"), OtherTool("x", name="f")])
async def test_what_nobody_runs_fails_unless_it_is_mocked(session: Session, tool: Tool) -> None:
    assert await call(Toolbox(session), tool) == ToolOutput("Nobody runs 'f' here.", ok=False)
    assert await call(Toolbox(session, (ToolMock("f", "done"),)), tool) == ToolOutput("done", ok=True, mocked=True)
