"""Where an assistant's tool calls go: to a mock, to the network, to what the conversation can reach, or to nobody."""

import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling, fill
from vivavoce.assistant.variables import as_text
from vivavoce.core.assistant import Rules
from vivavoce.core.passage import Passage, Recall
from vivavoce.core.telemetry import DEFECT, GIVEN_UP, NOBODY, OK, Telemetry, ToolUse
from vivavoce.core.tool import (
    Act,
    CodeTool,
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
from vivavoce.tools.answers import SUBMITTED, kept_of
from vivavoce.tools.line import act
from vivavoce.tools.reach import OutOfReach, Reach
from vivavoce.tools.webhook import call_webhook, rendered

Arguments = Mapping[str, Any]

NO_SANDBOX = "The code was not run: this server has no sandbox for code (VIVA_SANDBOX_URL)."


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Implements ``vivavoce.assistant.ports.Tools``.

    The first mock that matches answers instead of the tool; a mock without an output is passed over. What the
    assistant does itself (leaving, handing over, staying silent, setting variables) is neither mocked nor called here,
    keys are pressed and some servers called whatever mocks say (testing contract, section 3.6), and a function that no
    mock answers fails, because nobody here could run it.
    """

    session: Session
    mocks: tuple[ToolMock, ...] = ()
    reach: Reach = field(default_factory=Reach)
    telemetry: Telemetry = NOBODY

    async def call(self, tool: Tool, arguments: Arguments, *, key: str, filling: Filling) -> ToolOutput:
        """Call the tool once."""
        if isinstance(tool, HangupTool | HandoffTool | SkipTool | VariablesTool):
            return _nobody(tool)
        kind = type(tool).__name__.removesuffix("Tool").lower()
        began, outcome = time.perf_counter(), GIVEN_UP
        try:
            output = await self._answer(tool, arguments, key, filling)
            kind = "mock" if output.mocked else kind
            outcome = OK if output.ok else "failed"
        except Exception:
            outcome = DEFECT
            raise
        finally:
            self.telemetry.tool_called(ToolUse(tool.name, kind, time.perf_counter() - began, outcome))
        return output

    async def _answer(self, tool: Tool, arguments: Arguments, key: str, filling: Filling) -> ToolOutput:
        mocked = self._mocked(tool, arguments, filling) if _is_mockable(tool) else None
        if mocked is not None:
            return mocked
        return await _caught(self._call(tool, arguments, key, filling))

    async def recalled(self, recall: Recall, about: str) -> tuple[str, ...]:
        """Passages that bear on this text, the best first; none where there are no documents to search."""
        if self.reach.search is None or not about.strip():
            return ()
        try:
            found = await self.reach.search(recall.buckets, about, recall.most)
        except OutOfReach:
            return ()
        return tuple(one.text for one in found)

    async def _call(self, tool: Tool, arguments: Arguments, key: str, filling: Filling) -> ToolOutput:
        match tool:
            case WebhookTool():
                return await call_webhook(self.session, tool, arguments, key=key, filling=filling, reach=self.reach)
            case RemoteTool():
                if self.reach.remote is None:
                    return ToolOutput("The server of this tool cannot be reached from here.", ok=False)
                return await self._apart(
                    _kept(tool, self.reach.remote(tool, arguments, key, filling)), waits=tool.waits
                )
            case CodeTool():
                if self.reach.code is None:
                    return ToolOutput(NO_SANDBOX, ok=False)
                return await self._apart(self.reach.code(tool, arguments, filling), waits=tool.waits)
            case RetrievalTool():
                return await _search(self.reach, tool, as_text(arguments.get("query")))
            case MessageTool():
                return await _send(self.reach, tool, arguments, key, filling)
            case LineTool():
                return act(tool, arguments, filling)
            case _:
                return _nobody(tool)

    def _mocked(self, tool: Tool, arguments: Arguments, filling: Filling) -> ToolOutput | None:
        if isinstance(tool, WebhookTool) and tool.preset_body:  # what is always sent can be asked for too
            arguments = {**arguments, **rendered(tool.preset_body, lambda template: fill(template, filling))}
        for mock in self.mocks:
            if mock.output.strip() and mock.matches(tool.name, arguments):
                stored = tool.stored if isinstance(tool, WebhookTool | CodeTool | RemoteTool) and mock.ok else ()
                return ToolOutput(mock.output, mock.ok, mocked=True, variables=kept_of(stored, mock.output))
        return None

    async def _apart(self, work: Awaitable[ToolOutput], *, waits: bool) -> ToolOutput:
        if waits or self.reach.background is None:
            return await work
        self.reach.background.start(_caught(work))
        return ToolOutput(SUBMITTED, ok=True)


async def _caught(work: Awaitable[ToolOutput]) -> ToolOutput:
    try:
        return await work
    except OutOfReach as failure:
        return ToolOutput(str(failure), ok=False)


async def _kept(tool: RemoteTool, work: Awaitable[ToolOutput]) -> ToolOutput:
    output = await work
    return replace(output, variables=kept_of(tool.stored, output.text)) if output.ok and tool.stored else output


def _is_mockable(tool: Tool) -> bool:
    if isinstance(tool, RemoteTool):
        return tool.mockable
    return not (isinstance(tool, LineTool) and tool.act is Act.TONES)


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


async def _send(reach: Reach, tool: MessageTool, arguments: Arguments, key: str, filling: Filling) -> ToolOutput:
    # It goes to a person, who has no use for braces.
    template = fill(tool.template, filling, unset="empty")
    text = (template if tool.template else as_text(arguments.get("text"))).strip()
    if not text and reach.send is None and filling.templating.rules is Rules.NESTED:
        return ToolOutput("A text message would be sent.", ok=True)  # always (testing contract, section 3.6)
    if not text:
        return ToolOutput("The message was not sent: it has no text.", ok=False)
    if reach.send is None:
        return ToolOutput(f"This text message would be sent to the caller: {text}", ok=True)
    return ToolOutput(await reach.send(text, key), ok=True)
