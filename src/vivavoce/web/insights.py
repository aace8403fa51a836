"""Insights: what is asked of conversations when they are over, and what was found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vivavoce.core.filter import Comparison, Field, Filter, Op
from vivavoce.core.insight import Insight, Tally, schema_of
from vivavoce.services import findings, insights
from vivavoce.services.context import Context
from vivavoce.services.errors import Rejected
from vivavoce.storage.page import Window
from vivavoce.web import asked
from vivavoce.web.pages import Pages
from vivavoce.web.places import DAY_MS, at_place, place
from vivavoce.web.telling import word
from vivavoce.web.visitor import visitor

SIZE = 20
DAYS = 30
_MOST_VALUES = 12
_MOST_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Counted:
    """How often each value of a field was answered; ``rest`` are answers with a value that is not shown."""

    field: str
    values: tuple[tuple[str, int], ...]
    rest: int
    total: int


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """All insights with what was found lately, and one with its answers counted."""

    async def show_all(request: Request) -> Response:
        org = visitor(request).org
        behind = place(asked.text(request, "behind") or "")
        found = await findings.get_newest(ctx, org, SIZE + 1, behind)
        shown = found[:SIZE]
        groups = await insights.get_group_page(ctx, org, Window(1, 100))
        return pages.render(
            request,
            "insights.html",
            known=await insights.get_page(ctx, org, asked.window(request)),
            groups=groups.items,
            group_names={one.id: one.name or one.id for one in groups.items},
            found=shown,
            rest=at_place(shown[-1].created_at, shown[-1].id) if len(found) > SIZE else "",
            first=behind is None,
        )

    async def show(request: Request) -> Response:
        org = visitor(request).org
        one = await insights.retrieve(ctx, org, request.path_params["id"])
        since = ctx.clock.now() - DAYS * DAY_MS
        lately = Filter((Comparison(Field("created_at"), Op.GTE, since),))
        counted: list[Counted] = []
        too_many = ""
        try:
            counted = [
                _counted(name, await findings.get_tally(ctx, org, lately, one.id, [Field(name)]))
                for name in fields(one)
            ]
        except Rejected as failure:
            too_many = str(failure)
        return pages.render(
            request,
            "insight.html",
            one=one,
            schema=json.dumps(_schema(one), indent=2, ensure_ascii=False) if _schema(one) else "",
            counted=counted,
            too_many=too_many,
            days=DAYS,
        )

    return [
        Route("/ui/insights", show_all, methods=["GET"]),
        Route("/ui/insights/{id}", show, methods=["GET"]),
    ]


def fields(one: Insight) -> tuple[str, ...]:
    """The fields of its answers that have few values: what is a choice, or yes and no; plain text has one."""
    schema = _schema(one)
    if schema is None:
        return ("result",)
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return ()
    known = cast("dict[str, Any]", properties)
    return tuple(
        name
        for name, shape in known.items()
        if isinstance(shape, dict) and ("enum" in shape or cast("dict[str, Any]", shape).get("type") == "boolean")
    )[:_MOST_FIELDS]


def _schema(one: Insight) -> Mapping[str, Any] | None:
    try:
        return schema_of(one.schema)
    except ValueError:
        return None


def _counted(name: str, tallies: Sequence[Tally]) -> Counted:
    rows = tuple((word(one.values[0]), one.count) for one in tallies)
    rest = sum(many for _, many in rows[_MOST_VALUES:])
    return Counted(name, rows[:_MOST_VALUES], rest, sum(many for _, many in rows))
