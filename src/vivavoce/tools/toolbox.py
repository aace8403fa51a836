"""Where an assistant's tool calls go: to a mock, to the network, to what the conversation can reach, or to nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.variables import as_text, render
from vivavoce.core.passage import Passage
from vivavoce.core.tool import (
    HandoffTool,
    HangupTool,
    LineTool,
    MessageTool,
    RemoteTool,
    RetrievalTool,
    SkipTool,
    Tool,
    ToolMock,
    VariablesTool,
    WebhookTool,
)
from vivavoce.outbound.fetch import Session
from vivavoce.tools.line import act
from vivavoce.tools.reach import OutOfReach, Reach
from vivavoce.tools.webhook import call_webhook

Arguments = Mapping[str, Any]
Variables = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Implements ``vivavoce.assistant.ports.Tools``.

    The first mock that matches answers instead of the tool; a mock without an output is passed over. What the
    assistant does itself (leaving, handing over, staying silent, setting variables) is neither mocked nor called here,
    and a function that no mock answers fails, because nobody here could run it.
    """

    session: Session
    mocks: tuple[ToolMock, ...] = ()
    reach: Reach = field(default_factory=Reach)

    async def call(self, tool: Tool, arguments: Arguments, *, key: str, variables: Variables) -> ToolOutput:
        """Call the tool once."""
        if isinstance(tool, HangupTool | HandoffTool | SkipTool | VariablesTool):
            return _nobody(tool)
        for mock in self.mocks:
            if mock.output and mock.matches(tool.name, arguments):
                return ToolOutput(mock.output, ok=True, mocked=True)
        try:
            return await self._call(tool, arguments, key, variables)
        except OutOfReach as failure:
            return ToolOutput(str(failure), ok=False)

    async def _call(self, tool: Tool, arguments: Arguments, key: str, variables: Variables) -> ToolOutput:
        match tool:
            case WebhookTool():
                return await call_webhook(self.session, tool, arguments, key=key, variables=variables, reach=self.reach)
            case RemoteTool():
                if self.reach.remote is None:
                    return ToolOutput("The server of this tool cannot be reached from here.", ok=False)
                return await self.reach.remote(tool, arguments, key)
            case RetrievalTool():
                return await _search(self.reach, tool, as_text(arguments.get("query")))
            case MessageTool():
                return await _send(self.reach, tool, arguments, key, variables)
            case LineTool():
                return act(tool, arguments, variables)
            case _:
                return _nobody(tool)


def _nobody(tool: Tool) -> ToolOutput:
    return ToolOutput(f"Nobody runs {tool.name!r} here.", ok=False)


async def _search(reach: Reach, tool: RetrievalTool, query: str) -> ToolOutput:
    if not query.strip():
        return ToolOutput("The search was not made: it needs a query.", ok=False)
    if reach.search is None:
        return ToolOutput("There are no documents to search here.", ok=False)
    found = await reach.search(tool.buckets, query, tool.most)
    return ToolOutput(_told(found) if found else f"Nothing was found for {query!r}.", ok=True)


def _told(passages: Sequence[Passage]) -> str:
    return "\n\n".join(f"[{place}] {one.source}\n{one.text}" for place, one in enumerate(passages, 1))


async def _send(reach: Reach, tool: MessageTool, arguments: Arguments, key: str, variables: Variables) -> ToolOutput:
    # It goes to a person, who has no use for braces.
    template = render(tool.template, variables, unset="empty")
    text = (template if tool.template else as_text(arguments.get("text"))).strip()
    if not text:
        return ToolOutput("The message was not sent: it has no text.", ok=False)
    if reach.send is None:
        return ToolOutput(f"This text message would be sent to the caller: {text}", ok=True)
    return ToolOutput(await reach.send(text, key), ok=True)
