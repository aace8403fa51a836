"""Insights and their groups, kept. Those that come with the server are code and stand in no table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from vivavoce.core.insight import MANAGED, Insight, InsightGroup
from vivavoce.storage.codec import Codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import insight_groups, insight_members, insights

_insight_codec: Codec[Insight] = Codec(Insight)
_group_codec: Codec[InsightGroup] = Codec(InsightGroup)


def add(tx: Tx, org: str, insight: Insight) -> None:
    """Keep a new insight."""
    body = _insight_codec.dumps(insight)
    tx.execute(insert(insights).values(id=insight.id, org=org, body=body, created_at=insight.created_at))


def put(tx: Tx, org: str, insight: Insight) -> None:
    """Overwrite an insight."""
    mine = (insights.c.org == org, insights.c.id == insight.id)
    tx.execute(update(insights).where(*mine).values(body=_insight_codec.dumps(insight)))


def get(tx: Tx, org: str, insight_id: str, *, lock: bool = False) -> Insight | None:
    """One insight, or None. ``lock`` holds it against other writers until the commit."""
    query = select(insights.c.body).where(insights.c.org == org, insights.c.id == insight_id)
    body = tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return _insight_codec.loads(body) if body else None


def get_page(tx: Tx, org: str, window: Window) -> Page[Insight]:
    """A page of insights, newest first."""
    rows, total = fetch_page(tx, insights, [insights.c.org == org], window, [insights.c.id.desc()])
    return Page(tuple(_insight_codec.loads(row.body) for row in rows), total, window)


def drop(tx: Tx, org: str, insight_id: str) -> bool:
    """Remove an insight, also from its groups. False when there is none."""
    return tx.execute(delete(insights).where(insights.c.org == org, insights.c.id == insight_id)).rowcount > 0


def add_group(tx: Tx, org: str, group: InsightGroup) -> None:
    """Keep a new group; what is in it comes with ``join``."""
    tx.execute(insert(insight_groups).values(id=group.id, org=org, body=_bare(group), created_at=group.created_at))


def put_group(tx: Tx, org: str, group: InsightGroup) -> None:
    """Overwrite a group, but for the organisation's own insights in it."""
    mine = (insight_groups.c.org == org, insight_groups.c.id == group.id)
    tx.execute(update(insight_groups).where(*mine).values(body=_bare(group)))


def get_group(tx: Tx, org: str, group_id: str, *, lock: bool = False) -> InsightGroup | None:
    """One group with its insights, or None. ``lock`` holds it against other writers until the commit."""
    query = select(insight_groups).where(insight_groups.c.org == org, insight_groups.c.id == group_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _group(row, _members(tx, [group_id])) if row else None


def get_group_page(tx: Tx, org: str, window: Window) -> Page[InsightGroup]:
    """A page of groups with their insights, newest first."""
    order = [insight_groups.c.id.desc()]
    rows, total = fetch_page(tx, insight_groups, [insight_groups.c.org == org], window, order)
    members = _members(tx, [row.id for row in rows])
    return Page(tuple(_group(row, members) for row in rows), total, window)


def drop_group(tx: Tx, org: str, group_id: str) -> bool:
    """Remove a group; its insights stay. False when there is none."""
    mine = (insight_groups.c.org == org, insight_groups.c.id == group_id)
    return tx.execute(delete(insight_groups).where(*mine)).rowcount > 0


def join(tx: Tx, group_id: str, insight_id: str) -> None:
    """Put one of the organisation's own insights into a group, as its last; both must exist."""
    last = select(func.coalesce(func.max(insight_members.c.position), 0)).where(insight_members.c.group_id == group_id)
    position = tx.execute(last).scalar_one() + 1
    tx.execute(insert(insight_members).values(group_id=group_id, insight_id=insight_id, position=position))


def leave(tx: Tx, group_id: str, insight_id: str) -> None:
    """Take one of the organisation's own insights out of a group."""
    mine = (insight_members.c.group_id == group_id, insight_members.c.insight_id == insight_id)
    tx.execute(delete(insight_members).where(*mine))


def _bare(group: InsightGroup) -> str:
    return _group_codec.dumps(replace(group, insights=()))


def _group(row: Row[Any], members: Mapping[str, Sequence[Insight]]) -> InsightGroup:
    group = _group_codec.loads(row.body)
    managed = tuple(one for one in MANAGED if one.id in group.managed)
    return replace(group, insights=(*managed, *members.get(row.id, ())))


def _members(tx: Tx, group_ids: Sequence[str]) -> Mapping[str, Sequence[Insight]]:
    found: dict[str, list[Insight]] = {}
    if group_ids:
        query = select(insight_members.c.group_id, insights.c.body).join(insights)
        mine = query.where(insight_members.c.group_id.in_(group_ids))
        for row in tx.execute(mine.order_by(insight_members.c.position, insight_members.c.insight_id)):
            found.setdefault(row.group_id, []).append(_insight_codec.loads(row.body))
    return found
