"""Scenarios, kept."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from vivavoce.core.scenario import Scenario
from vivavoce.storage.codec import scenario_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import conversations, runs, scenarios, snapshots


@dataclass(frozen=True, slots=True)
class ScenarioFilter:
    """Exact matches; None does not filter."""

    suite: str | None = None
    medium: str | None = None
    target: str | None = None


def _columns(scenario: Scenario) -> dict[str, object]:
    return {
        "suite": scenario.suite,
        "medium": scenario.medium.value,
        "target": scenario.target,
        "body": scenario_codec.dumps(scenario),
    }


def add(tx: Tx, org: str, scenario: Scenario) -> None:
    """Keep a new scenario."""
    tx.execute(insert(scenarios).values(id=scenario.id, org=org, created_at=scenario.created_at, **_columns(scenario)))


def get(tx: Tx, org: str, scenario_id: str, *, lock: bool = False, keep: bool = False) -> Scenario | None:
    """The scenario, or None. Until the commit ``lock`` holds it against other writers, ``keep`` against deletion."""
    query = select(scenarios.c.body).where(scenarios.c.org == org, scenarios.c.id == scenario_id)
    if lock or keep:
        query = query.with_for_update(read=keep, key_share=keep)
    body = tx.execute(query).scalar_one_or_none()
    return scenario_codec.loads(body) if body else None


def put(tx: Tx, org: str, scenario: Scenario) -> None:
    """Overwrite a scenario."""
    query = update(scenarios).where(scenarios.c.org == org, scenarios.c.id == scenario.id)
    tx.execute(query.values(**_columns(scenario)))


def drop(tx: Tx, org: str, scenario_id: str) -> bool:
    """Remove a scenario with its runs and their conversations. False when there is none."""
    mine = select(scenarios.c.id).where(scenarios.c.org == org, scenarios.c.id == scenario_id)
    driven = select(runs.c.id).where(runs.c.org == org, runs.c.scenario_id == scenario_id)
    talks = select(runs.c.conversation_id).where(runs.c.org == org, runs.c.scenario_id == scenario_id)
    # In the order in which the journal takes them, a run before its conversation, or both could wait for each other.
    tx.execute(mine.with_for_update())
    tx.execute(driven.order_by(runs.c.id).with_for_update())
    freezing = (runs.c.scenario_digest, runs.c.version_digest, runs.c.others_digest)
    frozen = select(*freezing).where(runs.c.org == org, runs.c.scenario_id == scenario_id)
    digests = {digest for row in tx.execute(frozen) for digest in row if digest}
    tx.execute(delete(conversations).where(conversations.c.org == org, conversations.c.id.in_(talks)))
    done = tx.execute(delete(scenarios).where(scenarios.c.org == org, scenarios.c.id == scenario_id))
    # What only these runs had frozen goes with them. It is locked first: a run that is made at this moment holds what
    # it freezes until it can be seen here.
    alone = snapshots.c.digest.in_(digests)
    tx.execute(select(snapshots.c.digest).where(alone).order_by(snapshots.c.digest).with_for_update())
    held = select(runs.c.id).where(or_(*(column == snapshots.c.digest for column in freezing)))
    tx.execute(delete(snapshots).where(alone, ~held.exists()))
    return done.rowcount > 0


def get_page(tx: Tx, org: str, wanted: ScenarioFilter, window: Window) -> Page[Scenario]:
    """A page of scenarios, newest first."""
    where: list[ColumnElement[bool]] = [scenarios.c.org == org]
    for column in ("suite", "medium", "target"):
        value = getattr(wanted, column)
        if value is not None:
            where.append(scenarios.c[column] == value)
    rows, total = fetch_page(tx, scenarios, where, window, [scenarios.c.id.desc()])
    return Page(tuple(scenario_codec.loads(row.body) for row in rows), total, window)


def get_suite(tx: Tx, org: str, suite: str) -> tuple[Scenario, ...]:
    """Every scenario of a suite, oldest first: the order in which people wrote them. They are kept until the commit."""
    query = select(scenarios.c.body).where(scenarios.c.org == org, scenarios.c.suite == suite)
    rows = tx.execute(query.order_by(scenarios.c.id).with_for_update(read=True, key_share=True))
    return tuple(scenario_codec.loads(body) for body in rows.scalars())


def get_suites(tx: Tx, org: str) -> tuple[str, ...]:
    """The names of all suites, in alphabetical order."""
    query = select(scenarios.c.suite).where(scenarios.c.org == org, scenarios.c.suite.is_not(None)).distinct()
    return tuple(sorted(tx.execute(query).scalars()))
