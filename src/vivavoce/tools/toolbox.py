"""Where an assistant's tool calls go: to a mock, to a webhook, or to nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.core.tool import Tool, ToolMock, WebhookTool
from vivavoce.outbound.fetch import Session
from vivavoce.tools.webhook import call_webhook


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Implements ``vivavoce.assistant.ports.Tools``.

    The first mock that matches answers instead of the tool; a mock without an output is passed over.
    A function that no mock answers fails, because nobody here could run it.
    """

    session: Session
    mocks: tuple[ToolMock, ...] = ()

    async def call(
        self, tool: Tool, arguments: Mapping[str, Any], *, key: str, variables: Mapping[str, str]
    ) -> ToolOutput:
        """Call the tool once. Leaving the conversation is the assistant's own business and not called here."""
        for mock in self.mocks:
            if mock.output and mock.matches(tool.name, arguments):
                return ToolOutput(mock.output, ok=True, mocked=True)
        if isinstance(tool, WebhookTool):
            return await call_webhook(self.session, tool, arguments, key=key, variables=variables)
        return ToolOutput(f"Nobody runs {tool.name!r} here.", ok=False)
