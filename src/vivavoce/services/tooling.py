"""What the tools of a conversation can reach: the organisation's secrets, servers and documents, and the caller."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Cast
from vivavoce.core.passage import Passage, Recall
from vivavoce.core.tool import RemoteTool, Tool, ToolMock
from vivavoce.services import documents, mcp_servers, secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.storage.seal import Unreadable
from vivavoce.tools.code import run_code
from vivavoce.tools.reach import OutOfReach, Reach
from vivavoce.tools.toolbox import Toolbox

Send = Callable[[str, str], Awaitable[str]]
"""Sends a text message to the caller (text, idempotency key) and says what became of it."""


@dataclass(frozen=True, slots=True)
class ToolsOf:
    """The tools of one conversation; implements ``vivavoce.assistant.ports.Tools``. ``prefix`` is that of the API that
    wrote the assistant; ``send`` None where the caller cannot be sent text messages; ``cast`` are those who speak,
    whose own servers are called.

    What they reach is put together for each call: most conversations under way are calling nothing.
    """

    ctx: Context
    org: str
    prefix: str
    conversation_id: str
    mocks: tuple[ToolMock, ...] = ()
    send: Send | None = None
    cast: Cast | None = None

    async def call(self, tool: Tool, arguments: Mapping[str, Any], *, key: str, filling: Filling) -> ToolOutput:
        """Call the tool once."""
        return await self._box().call(tool, arguments, key=key, filling=filling)

    async def recalled(self, recall: Recall, about: str) -> tuple[str, ...]:
        """Passages that bear on this text, the best first; none where there are no documents to search."""
        return await self._box().recalled(recall, about)

    def _box(self) -> Toolbox:
        ctx, spoken_to = self.ctx, self.conversation_id
        reached = reach(ctx, self.org, self.prefix, conversation_id=spoken_to, send=self.send, cast=self.cast)
        return Toolbox(ctx.outbound, self.mocks, reached, ctx.telemetry)


def reach(
    ctx: Context,
    org: str,
    prefix: str,
    *,
    conversation_id: str,
    send: Send | None = None,
    cast: Cast | None = None,
) -> Reach:
    """What a conversation's tools can reach."""

    async def secret(identifier: str) -> str | None:
        try:
            return await secrets.in_template(ctx, org, identifier)
        except (Unreadable, Broken):
            raise OutOfReach(f"The tool was not called: the secret {identifier!r} cannot be read.") from None

    def sign(body: bytes, header: str) -> Mapping[str, str]:
        now = ctx.clock.now()
        return ctx.signer.sealed(header, body, now) if header else ctx.signer.headers(prefix, body, now)

    async def remote(tool: RemoteTool, arguments: Mapping[str, Any], key: str, filling: Filling) -> ToolOutput:
        own = mcp_servers.owned(cast, tool) if cast is not None else None
        try:
            return await mcp_servers.call_tool(
                ctx,
                org,
                tool,
                arguments,
                conversation_id=conversation_id,
                prefix=prefix,
                key=key,
                own=own,
                filling=filling,
            )
        except (Broken, Busy, NotFound, Rejected) as failure:
            raise OutOfReach(f"The tool could not be called: {failure}") from failure

    async def search(buckets: Sequence[str], query: str, most: int | None) -> Sequence[Passage]:
        try:
            return await documents.search(ctx, org, buckets, query, most)
        except (Broken, Busy, NotFound, Rejected) as failure:
            raise OutOfReach(f"The search could not be made: {failure}") from failure

    async def message(text: str, key: str) -> str:
        assert send is not None
        try:
            return await send(text, key)
        except (Broken, Busy, NotFound, Rejected) as failure:
            raise OutOfReach(f"The message was not sent: {failure}") from failure

    return Reach(
        secret,
        sign,
        remote,
        search,
        message if send else None,
        ctx.background,
        code=partial(run_code, ctx.sandbox) if ctx.sandbox else None,
        conversation=conversation_id,
    )
