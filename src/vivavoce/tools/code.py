"""Code that a tool's author wrote: it runs in the sandbox that the operator gave this server, and nowhere else.

The sandbox is told ``{code, arguments, variables, timeout_ms}`` in a POST, and answers ``{result}`` or ``{error}``.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.assistant.variables import as_text
from vivavoce.core.tool import CodeTool
from vivavoce.outbound.answer import json_of
from vivavoce.outbound.fetch import Session, Unreachable, fetch, open_session
from vivavoce.outbound.guard import Guard, Refused, networks
from vivavoce.tools.answers import cut, kept, kept_of
from vivavoce.tools.arguments import mismatch
from vivavoce.tools.webhook import MAX_BYTES, failure, misfit

_ANYWHERE = ("0.0.0.0/0", "::/0")
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where code runs. The session has a guard of its own: who chose this address is the operator, and allowing it for
    everybody would let the users' tools call it as well."""

    session: Session
    url: str


@asynccontextmanager
async def open_sandbox(url: str) -> AsyncGenerator[Sandbox | None]:
    """The sandbox at this address; None for an empty one."""
    if not url:
        yield None
        return
    async with open_session(Guard(networks(_ANYWHERE)), connections=_CONNECTIONS) as session:
        yield Sandbox(session, url)


async def run_code(sandbox: Sandbox, tool: CodeTool, arguments: Mapping[str, Any], filling: Filling) -> ToolOutput:
    """Run it once. Variables are given to it as data: nothing is filled into the code. Never raises for what the code,
    the sandbox or the network does: the output then says what went wrong."""
    wrong = mismatch(tool.parameters or {}, arguments)
    if wrong is not None:
        return ToolOutput(misfit(wrong), ok=False)
    asked = {
        "code": tool.code,
        "arguments": dict(arguments),
        "variables": dict(filling.as_texts().variables),
        "timeout_ms": tool.timeout_ms,
    }
    try:
        answer = await fetch(
            sandbox.session,
            "POST",
            sandbox.url,
            headers={"accept": "application/json", "content-type": "application/json"},
            body=json.dumps(asked, ensure_ascii=False).encode(errors="replace"),
            timeout_s=tool.timeout_ms / 1000,
            max_bytes=MAX_BYTES,
        )
    except (Refused, Unreachable) as error:
        return ToolOutput(failure(error, tool.timeout_ms), ok=False)
    try:
        told = json_of(answer)
    except ValueError:
        told = None
    return _output(tool, answer.status, cast("Mapping[str, Any]", told) if isinstance(told, Mapping) else {})


def _output(tool: CodeTool, status: int, told: Mapping[str, Any]) -> ToolOutput:
    if told.get("error") is not None:
        return ToolOutput(f"The code failed: {cut(as_text(told['error']))}", ok=False)
    if not 200 <= status < 300 or "result" not in told:
        return ToolOutput(f"The code was not run: the sandbox gave no result (HTTP status {status}).", ok=False)
    result = told["result"]
    variables = kept_of(tool.stored, result) if isinstance(result, str) else kept(tool.stored, result)
    return ToolOutput(cut(as_text(result)), ok=True, variables=variables)
