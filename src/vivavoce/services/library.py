"""The library of shared tools: made, changed, removed, tried, and given to assistants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vivavoce.assistant.templating import Filling
from vivavoce.assistant.variables import merge, system_variables
from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.library import SharedTool
from vivavoce.core.scenario import Medium
from vivavoce.core.tool import HandoffTool, WebhookTool
from vivavoce.services.assistants import Check, checked
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.tooling import reach
from vivavoce.storage import assistants, tools
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.tools.trial import Trial, attempt

_NAMED = 5
"""How many assistants a refusal names at most."""

Reuse = Callable[[str, Version], None]
"""Raises where an assistant's version (its id is given), completed with its library, cannot be kept any more."""

Attach = Callable[[Version, Sequence[str]], Version]
"""The version with these ids of shared tools."""


def create(ctx: Context, tx: Tx, org: str, draft: SharedTool) -> SharedTool:
    """Keep a new tool; the draft's id and time are set here."""
    tool = replace(draft, id=ctx.new_id(), created_at=ctx.clock.now())
    tools.add(tx, org, tool)
    return tool


async def retrieve(ctx: Context, org: str, tool_id: str) -> SharedTool:
    """One tool. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _get(tx, org, tool_id))


async def get_page(ctx: Context, org: str, window: Window, *, type_: str | None, name: str | None) -> Page[SharedTool]:
    """A page of tools, newest first; the filters are exact."""
    return await ctx.database.read(lambda tx: tools.get_page(tx, org, window, type=type_, name=name))


async def update(
    ctx: Context, org: str, tool_id: str, change: Callable[[SharedTool], SharedTool], check: Reuse
) -> SharedTool:
    """Change a tool, for everybody who uses it at once. Raises ``NotFound``, what ``change`` raises, and what ``check``
    raises for a version that somebody speaks with and that could not be kept with the changed tool."""

    def work(tx: Tx) -> SharedTool:
        before = _get(tx, org, tool_id, lock=True)
        tool = replace(change(before), id=before.id, created_at=before.created_at)
        tools.put(tx, org, tool)
        users = tools.users(tx, org, tool_id)
        for assistant_id, version in users:
            check(assistant_id, tools.completed(tx, org, version))
        known = set(_heirs(before))
        gone = [id_ for id_ in _heirs(tool) if id_ not in known and assistants.get(tx, org, id_) is None]
        if users and gone:
            raise Rejected(f"There is no assistant {gone[0]!r} to hand over to.", tool.type)
        return tool

    return await ctx.database.write(work)


def _heirs(tool: SharedTool) -> tuple[str, ...]:
    """The assistants that it hands over to."""
    handing = tool.tool
    return tuple(target.assistant_id for target in handing.targets) if isinstance(handing, HandoffTool) else ()


async def delete(ctx: Context, org: str, tool_id: str) -> None:
    """Remove a tool. Raises ``NotFound``, and ``Rejected`` while an assistant speaks with it."""

    def work(tx: Tx) -> None:
        _get(tx, org, tool_id, lock=True)
        users = list(dict.fromkeys(assistant_id for assistant_id, _ in tools.users(tx, org, tool_id)))
        if users:
            more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
            raise Rejected(f"This tool is used by {', '.join(users[:_NAMED])}{more}. Detach it first.")
        tools.drop(tx, org, tool_id)

    await ctx.database.write(work)


async def attach(ctx: Context, org: str, assistant_id: str, tool_id: str, change: Attach, check: Check) -> Assistant:
    """Let an assistant have a tool: its main version is changed in its place. One that has it already is left as it is.

    Raises ``NotFound`` for either, and what ``check`` raises.
    """

    def work(tx: Tx) -> Assistant:
        assistant = _assistant(tx, org, assistant_id)
        _get(tx, org, tool_id)
        if tool_id in assistant.main.shared:
            return _completed(tx, org, assistant)
        return _keep(tx, org, assistant, change(assistant.main, (*assistant.main.shared, tool_id)), check)

    return await ctx.database.write(work)


async def detach(ctx: Context, org: str, assistant_id: str, tool_id: str, change: Attach, check: Check) -> Assistant:
    """Take a tool from an assistant: its main version is changed in its place. One that does not have it is left as it
    is. Raises ``NotFound`` for either, and what ``check`` raises."""

    def work(tx: Tx) -> Assistant:
        assistant = _assistant(tx, org, assistant_id)
        shared = assistant.main.shared
        if tool_id not in shared:
            _get(tx, org, tool_id)
            return _completed(tx, org, assistant)
        # A tool that is gone can be detached too.
        return _keep(tx, org, assistant, change(assistant.main, [id_ for id_ in shared if id_ != tool_id]), check)

    return await ctx.database.write(work)


async def attempt_tool(
    ctx: Context, org: str, assistant_id: str, tool_id: str, arguments: Mapping[str, Any], variables: Mapping[str, Any]
) -> Trial:
    """Call a webhook tool as this assistant would, whether or not it has the tool. ``variables`` win over the system's
    and over the assistant's defaults. Raises ``NotFound`` for either, and ``Rejected`` for a tool of another kind."""

    def look_up(tx: Tx) -> tuple[Version, SharedTool]:
        return _assistant(tx, org, assistant_id, lock=False).main, _get(tx, org, tool_id)

    version, shared = await ctx.database.read(look_up)
    if not isinstance(shared.tool, WebhookTool):
        raise Rejected(f"Only webhook tools can be tested, and this one is of type {shared.type}.")
    prefix, trial_id = version.templating.prefix, ctx.new_id()
    system = system_variables(
        prefix,
        now_ms=ctx.clock.now(),
        medium=Medium.WEB_CHAT,
        agent_target=assistant_id,
        user_target=None,
        conversation_id=trial_id,
    )
    known = {**merge(version.variables, reserved=prefix), **system, **variables}
    return await attempt(
        ctx.outbound,
        shared.tool,
        arguments,
        key=f"test:{trial_id}",
        filling=Filling(known, version.templating, ctx.clock.now()).as_texts(),
        reach=reach(ctx, org, prefix, conversation_id=trial_id),
    )


def _get(tx: Tx, org: str, tool_id: str, *, lock: bool = False) -> SharedTool:
    tool = tools.get(tx, org, tool_id, lock=lock)
    if tool is None:
        raise NotFound("tool", tool_id)
    return tool


def _assistant(tx: Tx, org: str, assistant_id: str, *, lock: bool = True) -> Assistant:
    assistant = assistants.get(tx, org, assistant_id, lock=lock)
    if assistant is None:
        raise NotFound("assistant", assistant_id)
    return assistant


def _completed(tx: Tx, org: str, assistant: Assistant) -> Assistant:
    return replace(assistant, main=tools.completed(tx, org, assistant.main))


def _keep(tx: Tx, org: str, assistant: Assistant, version: Version, check: Check) -> Assistant:
    complete = checked(tx, org, version, check, assistant.main)
    assistants.put_version(tx, version)
    return replace(assistant, main=complete)
