"""Insights and their groups: made, changed, put together (contract, section 5.16)."""

from collections.abc import Callable
from dataclasses import replace

from vivavoce.core.insight import MANAGED, Insight, InsightGroup, schema_of
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import insights
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window

_MANAGED = {one.id: one for one in MANAGED}
_TOLD = 300  # characters of what is wrong with a schema


def create(ctx: Context, tx: Tx, org: str, draft: Insight) -> Insight:
    """Keep an insight (its id and time are set here). Raises ``Rejected`` for a schema that is none."""
    _check(draft)
    insight = replace(draft, id=ctx.new_id(), created_at=ctx.clock.now())
    insights.add(tx, org, insight)
    return insight


async def retrieve(ctx: Context, org: str, insight_id: str) -> Insight:
    """One insight, the organisation's own or one that comes with the server. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _get(tx, org, insight_id))


async def get_page(ctx: Context, org: str, window: Window) -> Page[Insight]:
    """A page of insights: the organisation's own, newest first, and then those that come with the server."""

    def work(tx: Tx) -> Page[Insight]:
        own = insights.get_page(tx, org, window)
        first = max(0, (window.number - 1) * window.size - own.total)
        rest = MANAGED[first : first + window.size - len(own.items)]
        return Page((*own.items, *rest), own.total + len(MANAGED), window)

    return await ctx.database.read(work)


async def update(ctx: Context, org: str, insight_id: str, change: Callable[[Insight], Insight]) -> Insight:
    """Change an insight. Raises ``NotFound``, and ``Rejected`` for a schema that is none and for one that comes with
    the server."""

    def work(tx: Tx) -> Insight:
        changed = change(_get_own(tx, org, insight_id))
        _check(changed)
        insights.put(tx, org, changed)
        return changed

    return await ctx.database.write(work)


async def delete(ctx: Context, org: str, insight_id: str) -> None:
    """Remove an insight, also from its groups; what it found stays. Raises ``NotFound``, and ``Rejected`` for one that
    comes with the server."""

    def work(tx: Tx) -> None:
        _get_own(tx, org, insight_id)
        insights.drop(tx, org, insight_id)

    await ctx.database.write(work)


def create_group(ctx: Context, tx: Tx, org: str, draft: InsightGroup) -> InsightGroup:
    """Keep a group (its id and time are set here)."""
    group = replace(draft, id=ctx.new_id(), created_at=ctx.clock.now())
    insights.add_group(tx, org, group)
    return group


async def retrieve_group(ctx: Context, org: str, group_id: str) -> InsightGroup:
    """One group with its insights. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _get_group(tx, org, group_id))


async def get_group_page(ctx: Context, org: str, window: Window) -> Page[InsightGroup]:
    """A page of groups with their insights, newest first."""
    return await ctx.database.read(lambda tx: insights.get_group_page(tx, org, window))


async def update_group(
    ctx: Context, org: str, group_id: str, change: Callable[[InsightGroup], InsightGroup]
) -> InsightGroup:
    """Change a group, but not what is in it. Raises ``NotFound``."""

    def work(tx: Tx) -> InsightGroup:
        changed = change(_get_group(tx, org, group_id, lock=True))
        insights.put_group(tx, org, changed)
        return changed

    return await ctx.database.write(work)


async def delete_group(ctx: Context, org: str, group_id: str) -> None:
    """Remove a group; its insights stay, and what they found. Raises ``NotFound``."""
    if not await ctx.database.write(lambda tx: insights.drop_group(tx, org, group_id)):
        raise NotFound("insight group", group_id)


async def assign(ctx: Context, org: str, group_id: str, insight_id: str) -> None:
    """Put an insight into a group; one that is in it already stays where it is. Raises ``NotFound``."""

    def work(tx: Tx) -> None:
        group = _get_group(tx, org, group_id, lock=True)
        insight = _get(tx, org, insight_id, lock=True)
        if insight_id in {one.id for one in group.insights}:
            return
        if insight.managed:
            insights.put_group(tx, org, replace(group, managed=(*group.managed, insight_id)))
        else:
            insights.join(tx, group_id, insight_id)

    await ctx.database.write(work)


async def unassign(ctx: Context, org: str, group_id: str, insight_id: str) -> None:
    """Take an insight out of a group. Raises ``NotFound``, also where it is not in it."""

    def work(tx: Tx) -> None:
        group = _get_group(tx, org, group_id, lock=True)
        if insight_id not in {one.id for one in group.insights}:
            raise NotFound("insight in this group", insight_id)
        left = tuple(one for one in group.managed if one != insight_id)
        if left != group.managed:
            insights.put_group(tx, org, replace(group, managed=left))
        else:
            insights.leave(tx, group_id, insight_id)

    await ctx.database.write(work)


def _get(tx: Tx, org: str, insight_id: str, *, lock: bool = False) -> Insight:
    insight = _MANAGED.get(insight_id) or insights.get(tx, org, insight_id, lock=lock)
    if insight is None:
        raise NotFound("insight", insight_id)
    return insight


def _get_own(tx: Tx, org: str, insight_id: str) -> Insight:
    insight = _get(tx, org, insight_id, lock=True)
    if insight.managed:
        raise Rejected(f"The insight {insight.name!r} comes with the server and cannot be changed or deleted.")
    return insight


def _get_group(tx: Tx, org: str, group_id: str, *, lock: bool = False) -> InsightGroup:
    group = insights.get_group(tx, org, group_id, lock=lock)
    if group is None:
        raise NotFound("insight group", group_id)
    return group


def _check(insight: Insight) -> None:
    """Results are kept as JSON objects, so a schema must be one, and describe one."""
    # Here, since the library is large and insights are seldom written.
    from jsonschema import Draft202012Validator, SchemaError, validators

    try:
        schema = schema_of(insight.schema)
        if schema is None:
            return
        validators.validator_for(schema, default=Draft202012Validator).check_schema(dict(schema))
    except SchemaError as failure:
        raise Rejected(f"json_schema is no JSON Schema: {failure.message[:_TOLD]}", "json_schema") from failure
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as failure:
        # The last four are the library's, for a $schema that is no text and for patterns out of all proportion.
        raise Rejected(f"json_schema cannot be read: {str(failure)[:_TOLD]}", "json_schema") from failure
    kinds = schema.get("type", "object")
    if kinds != "object" and "object" not in kinds:
        raise Rejected("json_schema must describe an object.", "json_schema")
