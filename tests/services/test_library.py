"""The library of shared tools (contract, sections 5.6 and 5.12)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, a_version

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.flow import Flow, ToolNode
from vivavoce.core.library import SharedTool
from vivavoce.core.tool import HandoffTarget, HandoffTool, HangupTool, Header, Tool, WebhookTool
from vivavoce.services import assistants, library, secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage.page import Window
from vivavoce.storage.seal import Seal
from vivavoce.tools.secrets import section
from vivavoce.tools.trial import Trial

OTHER = "org-b"
HOOK = WebhookTool("find", "Finds.", "https://a.example")


class Refused(Exception):
    """The rule of these tests: no two tools of one kind."""


def one_of_a_kind(version: Version) -> None:
    shared = [version.library[id_] for id_ in version.shared if id_ in version.library]
    kinds = [tool.kind for tool in (*version.tools, *shared)]
    if len(set(kinds)) < len(kinds):
        raise Refused


def reused(_assistant_id: str, version: Version) -> None:
    one_of_a_kind(version)


def with_tools(version: Version, ids: Sequence[str]) -> Version:
    return replace(version, shared=tuple(ids))


async def made(ctx: Context, tool: Tool = HOOK, name: str = "Finder") -> SharedTool:
    draft = SharedTool("", name, tool.kind, tool, 0)
    return await ctx.database.write(lambda tx: library.create(ctx, tx, ORG, draft))


async def assistant(ctx: Context, *shared: str, **given: object) -> Assistant:
    draft = a_version(shared=shared, **given)
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, one_of_a_kind))


async def attach(ctx: Context, assistant_id: str, tool_id: str) -> Assistant:
    return await library.attach(ctx, ORG, assistant_id, tool_id, with_tools, one_of_a_kind)


async def detach(ctx: Context, assistant_id: str, tool_id: str) -> Assistant:
    return await library.detach(ctx, ORG, assistant_id, tool_id, with_tools, one_of_a_kind)


async def test_a_tool_is_kept_and_belongs_to_its_organisation(ctx: Context) -> None:
    tool = await made(ctx)
    assert tool == SharedTool(tool.id, "Finder", "webhook", HOOK, NOW)
    assert await library.retrieve(ctx, ORG, tool.id) == tool
    with pytest.raises(NotFound):
        await library.retrieve(ctx, OTHER, tool.id)
    with pytest.raises(NotFound):
        await library.delete(ctx, OTHER, tool.id)
    page = await library.get_page(ctx, ORG, Window(), type_="webhook", name="Finder")
    assert page.items == (tool,)
    assert (await library.get_page(ctx, ORG, Window(), type_=None, name="Find")).items == ()


async def test_a_used_handoff_cannot_be_pointed_at_nobody(ctx: Context) -> None:
    heir = await assistant(ctx)
    tool = await made(ctx, HandoffTool((HandoffTarget(heir.id, "desk"),)))
    user = await assistant(ctx, tool.id)
    gone = HandoffTool((HandoffTarget("assistant-nobody", "desk"),))
    with pytest.raises(Rejected, match="assistant-nobody"):
        await library.update(ctx, ORG, tool.id, lambda one: replace(one, tool=gone), reused)
    assert (await library.retrieve(ctx, ORG, tool.id)).tool == tool.tool
    await detach(ctx, user.id, tool.id)
    assert (await library.update(ctx, ORG, tool.id, lambda one: replace(one, tool=gone), reused)).tool == gone


async def test_a_change_reaches_everybody_who_uses_the_tool(ctx: Context) -> None:
    tool = await made(ctx)
    user = await assistant(ctx, tool.id)
    other = WebhookTool("search", "Searches.", "https://b.example")
    changed = await library.update(ctx, ORG, tool.id, lambda one: replace(one, tool=other, id="x"), reused)
    assert changed == replace(tool, tool=other)
    assert (await assistants.retrieve(ctx, ORG, user.id)).main.library == {tool.id: other}


async def test_a_change_that_would_break_a_user_is_refused_and_undone(ctx: Context) -> None:
    tool = await made(ctx)
    await assistant(ctx, tool.id, tools=(HangupTool(),))
    with pytest.raises(Refused):
        await library.update(ctx, ORG, tool.id, lambda one: replace(one, tool=HangupTool()), reused)
    assert await library.retrieve(ctx, ORG, tool.id) == tool


async def test_a_version_that_nobody_speaks_with_does_not_stand_in_the_way(ctx: Context) -> None:
    tool = await made(ctx)
    user = await assistant(ctx, tool.id, tools=(HangupTool(),))
    await assistants.update(ctx, ORG, user.id, lambda main: with_tools(main, ()), one_of_a_kind, promote=True)
    await library.update(ctx, ORG, tool.id, lambda one: replace(one, tool=HangupTool()), reused)
    await library.delete(ctx, ORG, tool.id)
    with pytest.raises(NotFound):
        await library.retrieve(ctx, ORG, tool.id)


async def test_a_tool_that_is_used_is_not_deleted_and_its_users_are_named(ctx: Context) -> None:
    tool = await made(ctx)
    by_id = await assistant(ctx, tool.id)
    by_flow = await assistant(ctx, flow=Flow("t", (ToolNode("t", tool.id),)))
    with pytest.raises(Rejected) as refused:
        await library.delete(ctx, ORG, tool.id)
    assert by_id.id in str(refused.value)
    assert by_flow.id in str(refused.value)
    for one in (by_id, by_flow):
        await assistants.delete(ctx, ORG, one.id, hard=False)
    await library.delete(ctx, ORG, tool.id)


async def test_of_many_users_a_few_are_named(ctx: Context) -> None:
    tool = await made(ctx)
    for _ in range(7):
        await assistant(ctx, tool.id)
    with pytest.raises(Rejected, match=r"and 2 more\. Detach it first\."):
        await library.delete(ctx, ORG, tool.id)


async def test_attaching_changes_main_in_its_place(ctx: Context) -> None:
    tool, user = await made(ctx), await assistant(ctx)
    after = await attach(ctx, user.id, tool.id)
    for _ in range(2):  # the second time changes nothing
        assert await attach(ctx, user.id, tool.id) == after
        assert (after.main.id, after.main.created_at) == (user.main.id, user.main.created_at)
        assert (after.main.shared, after.main.library) == ((tool.id,), {tool.id: HOOK})
    assert len((await assistants.get_versions(ctx, ORG, user.id))[1]) == 1
    assert (await assistants.retrieve(ctx, ORG, user.id)).main == after.main
    for _ in range(2):
        assert (await detach(ctx, user.id, tool.id)).main == user.main
    assert (await assistants.retrieve(ctx, ORG, user.id)).main == user.main


async def test_attaching_what_does_not_fit_is_refused(ctx: Context) -> None:
    tool, user = await made(ctx, HangupTool()), await assistant(ctx, tools=(HangupTool(),))
    with pytest.raises(Refused):
        await attach(ctx, user.id, tool.id)
    assert (await assistants.retrieve(ctx, ORG, user.id)).main == user.main


async def test_both_must_exist(ctx: Context) -> None:
    tool, user = await made(ctx), await assistant(ctx)
    for act in (attach, detach):
        for pair in ((user.id, "x"), ("x", tool.id)):
            with pytest.raises(NotFound):
                await act(ctx, *pair)


async def test_a_tool_that_is_gone_can_be_detached(ctx: Context) -> None:
    tool = await made(ctx)
    user = await assistant(ctx, tool.id)
    old = user.main.id
    await assistants.update(ctx, ORG, user.id, lambda main: with_tools(main, ()), one_of_a_kind, promote=True)
    await library.delete(ctx, ORG, tool.id)
    await assistants.promote(ctx, ORG, user.id, old)
    assert (await assistants.retrieve(ctx, ORG, user.id)).main.shared == (tool.id,)
    assert (await detach(ctx, user.id, tool.id)).main.shared == ()


async def test_only_webhooks_can_be_tried(ctx: Context) -> None:
    tool, user = await made(ctx, HangupTool()), await assistant(ctx)
    with pytest.raises(Rejected, match="Only webhook tools"):
        await library.attempt_tool(ctx, ORG, user.id, tool.id, {}, {})


async def test_a_trial_whose_secret_cannot_be_read_says_so(ctx: Context) -> None:
    await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, "key", "bearer", "t0ken"))
    tool = await made(ctx, replace(HOOK, headers=(Header("A", section("key")),)))
    user = await assistant(ctx)
    other = replace(ctx, seal=Seal("another key"))
    trial = await library.attempt_tool(other, ORG, user.id, tool.id, {}, {})
    told = "The tool was not called: the secret 'key' cannot be read."
    assert trial == Trial(False, 0, "", told, None)
