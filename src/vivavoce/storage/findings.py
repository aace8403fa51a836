"""What insights found in conversations, kept."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

from vivavoce.core.event import Millis
from vivavoce.core.filter import AnyOf, Comparison, Filter, Op
from vivavoce.core.insight import Finding, FindingStatus, Found
from vivavoce.storage.database import Tx
from vivavoce.storage.finding import conditions
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import conversations, finding_results, findings

_COMPARED: Mapping[Op, Callable[[Any, Any], ColumnElement[bool]]] = {
    Op.EQ: operator.eq,
    Op.NEQ: operator.ne,
    Op.GT: operator.gt,
    Op.GTE: operator.ge,
    Op.LT: operator.lt,
    Op.LTE: operator.le,
    Op.IS: lambda column, _: column.is_(None),
    Op.IN: lambda column, values: column.in_(values),
}


def add(tx: Tx, org: str, finding: Finding) -> None:
    """Keep a new finding, without results; its conversation must exist."""
    tx.execute(
        insert(findings).values(
            id=finding.id,
            org=org,
            conversation_id=finding.conversation_id,
            group_id=finding.group_id,
            status=finding.status.value,
            reason=_storable(finding.reason),
            created_at=finding.created_at,
            completed_at=finding.completed_at,
        )
    )


def put(tx: Tx, org: str, finding: Finding) -> None:
    """Overwrite status, reason and results."""
    mine = (findings.c.org == org, findings.c.id == finding.id)
    changes = {"status": finding.status.value, "reason": _storable(finding.reason)}
    if not tx.execute(update(findings).where(*mine).values(**changes, completed_at=finding.completed_at)).rowcount:
        return
    tx.execute(delete(finding_results).where(finding_results.c.finding_id == finding.id))
    rows = [
        {
            "finding_id": finding.id,
            "position": position,
            "insight_id": one.insight_id,
            "insight_name": one.insight_name,
            "result": _storable(one.result),
        }
        for position, one in enumerate(finding.results)
    ]
    if rows:
        tx.execute(insert(finding_results), rows)


def get(tx: Tx, org: str, finding_id: str, *, lock: bool = False) -> Finding | None:
    """One finding with its results, or None. ``lock`` holds it against other writers until the commit."""
    query = select(findings).where(findings.c.org == org, findings.c.id == finding_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _finding(row, _results(tx, [finding_id])) if row else None


def get_page(tx: Tx, org: str, conversation_id: str, window: Window) -> Page[Finding]:
    """A page of a conversation's findings with their results, newest first."""
    where = [findings.c.org == org, findings.c.conversation_id == conversation_id]
    rows, total = fetch_page(tx, findings, where, window, [findings.c.created_at.desc(), findings.c.id.desc()])
    results = _results(tx, [row.id for row in rows])
    return Page(tuple(_finding(row, results) for row in rows), total, window)


def get_newest(tx: Tx, org: str, most: int, behind: tuple[Millis, str] | None = None) -> tuple[Finding, ...]:
    """At most so many findings of all conversations with their results, newest first; ``behind`` the one with this
    time and id."""
    where: list[ColumnElement[bool]] = [findings.c.org == org]
    if behind is not None:
        at, id_ = behind
        where += [findings.c.created_at <= at, or_(findings.c.created_at < at, findings.c.id < id_)]
    query = select(findings).where(*where).order_by(findings.c.created_at.desc(), findings.c.id.desc()).limit(most)
    rows = tx.execute(query).all()
    results = _results(tx, [row.id for row in rows])
    return tuple(_finding(row, results) for row in rows)


def get_results(
    tx: Tx, org: str, wanted: Filter, insight_id: str | None, most: int
) -> list[tuple[str, Mapping[str, str]]]:
    """(result, metadata of its conversation) of the answers that match, newest first, at most ``most`` of them.

    The filter's ``created_at`` is the finding's; all its other conditions are about the conversation.
    """
    own = [one for one in wanted.conditions if isinstance(one, Comparison) and _is_own(one)]
    others = tuple(one for one in wanted.conditions if isinstance(one, AnyOf) or not _is_own(one))
    where = [findings.c.org == org, *(_COMPARED[one.op](findings.c.created_at, one.value) for one in own)]
    where += conditions(Filter(others), sqlite=tx.dialect.name == "sqlite")
    where += [finding_results.c.insight_id == insight_id] if insight_id is not None else []
    query = select(finding_results.c.result, conversations.c.metadata).join_from(finding_results, findings)
    query = query.join(conversations, conversations.c.id == findings.c.conversation_id).where(*where)
    rows = tx.execute(query.order_by(findings.c.created_at.desc(), findings.c.id.desc()).limit(most))
    return [(row.result, row.metadata) for row in rows]


def _is_own(one: Comparison) -> bool:
    return one.field.name == "created_at" and not one.field.metadata


def _finding(row: Row[Any], results: Mapping[str, Sequence[Found]]) -> Finding:
    return Finding(
        row.id,
        row.conversation_id,
        row.group_id,
        FindingStatus(row.status),
        row.created_at,
        row.reason,
        row.completed_at,
        tuple(results.get(row.id, ())),
    )


def _results(tx: Tx, finding_ids: Sequence[str]) -> Mapping[str, Sequence[Found]]:
    found: dict[str, list[Found]] = {}
    if finding_ids:
        query = select(finding_results).where(finding_results.c.finding_id.in_(finding_ids))
        for row in tx.execute(query.order_by(finding_results.c.finding_id, finding_results.c.position)):
            found.setdefault(row.finding_id, []).append(Found(row.insight_id, row.insight_name, row.result))
    return found


def _storable(text: str) -> str:
    """What a model said may hold a NUL, which is no text to PostgreSQL."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
