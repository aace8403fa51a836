"""Scenarios, kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from vivavoce.core.assistant import Form
from vivavoce.core.event import Millis
from vivavoce.core.scenario import Scenario
from vivavoce.core.status import Status
from vivavoce.storage import hooks, tallies
from vivavoce.storage.codec import scenario_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Slice, Span, Window, fetch_page, fetch_slice
from vivavoce.storage.snapshots import FREEZING, drop_loose
from vivavoce.storage.tables import assistants, conversations, runs, scenarios, versions


@dataclass(frozen=True, slots=True)
class ScenarioFilter:
    """Exact matches; None does not filter."""

    suite: str | None = None
    medium: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The assistant that scenarios go to: what it is made as, and the number of its main version. ``gone`` is one that
    was deleted and can still be brought back."""

    id: str
    form: Form
    number: int
    gone: bool = False


_active = scenarios.c.retired_at.is_(None)


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


def retire(tx: Tx, org: str, scenario_id: str, at: Millis) -> bool:
    """Take a scenario out of every list; its runs stay. False when there is none."""
    query = update(scenarios).where(scenarios.c.org == org, scenarios.c.id == scenario_id, _active)
    return tx.execute(query.values(retired_at=at)).rowcount > 0


def get(tx: Tx, org: str, scenario_id: str, *, lock: bool = False, keep: bool = False) -> Scenario | None:
    """The scenario, or None. Until the commit ``lock`` holds it against other writers, ``keep`` against deletion."""
    query = select(scenarios.c.body).where(scenarios.c.org == org, scenarios.c.id == scenario_id, _active)
    if lock or keep:
        query = query.with_for_update(read=keep, key_share=keep)
    body = tx.execute(query).scalar_one_or_none()
    return scenario_codec.loads(body) if body else None


def get_many(tx: Tx, org: str, ids: Collection[str]) -> Mapping[str, Scenario]:
    """Those of these scenarios that there are, by their ids. They are kept until the commit."""
    mine = (scenarios.c.org == org, scenarios.c.id.in_(sorted(set(ids))), _active)
    query = select(scenarios.c.id, scenarios.c.body).where(*mine).order_by(scenarios.c.id)
    rows = tx.execute(query.with_for_update(read=True, key_share=True))
    return {row.id: scenario_codec.loads(row.body) for row in rows}


def put(tx: Tx, org: str, scenario: Scenario) -> None:
    """Overwrite a scenario."""
    query = update(scenarios).where(scenarios.c.org == org, scenarios.c.id == scenario.id)
    tx.execute(query.values(**_columns(scenario)))


def drop(tx: Tx, org: str, scenario_id: str) -> bool:
    """Remove a scenario with its runs and their conversations. False when there is none."""
    mine = select(scenarios.c.id).where(scenarios.c.org == org, scenarios.c.id == scenario_id)  # retired or not
    its = (runs.c.org == org) & (runs.c.scenario_id == scenario_id)
    # In the order in which the journal takes them, a run before its conversation, or both could wait for each other.
    tx.execute(mine.with_for_update())
    gone = tallies.lock(tx, its)
    digests = {digest for row in tx.execute(select(*FREEZING).where(its).distinct()) for digest in row if digest}
    talks = select(runs.c.conversation_id).where(its)
    tx.execute(delete(conversations).where(conversations.c.org == org, conversations.c.id.in_(talks)))
    done = tx.execute(delete(scenarios).where(scenarios.c.org == org, scenarios.c.id == scenario_id))
    drop_loose(tx, digests)
    hooks.shrunk(tx, org, [row.batch_id for row in gone if row.batch_id and not Status(row.status).final])
    tallies.subtract(tx, gone)
    return done.rowcount > 0


def get_page(tx: Tx, org: str, wanted: ScenarioFilter, window: Window) -> Page[Scenario]:
    """A page of scenarios, newest first."""
    where: list[ColumnElement[bool]] = [scenarios.c.org == org, _active]
    for column in ("suite", "medium", "target"):
        value = getattr(wanted, column)
        if value is not None:
            where.append(scenarios.c[column] == value)
    rows, total = fetch_page(tx, scenarios, where, window, [scenarios.c.id.desc()])
    return Page(tuple(scenario_codec.loads(row.body) for row in rows), total, window)


def get_suite(tx: Tx, org: str, suite: str, *, keep: bool = True) -> tuple[Scenario, ...]:
    """Every scenario of a suite, oldest first: the order in which people wrote them. They are kept until the commit,
    unless somebody only reads."""
    query = select(scenarios.c.body).where(scenarios.c.org == org, scenarios.c.suite == suite, _active)
    query = query.order_by(scenarios.c.id)
    rows = tx.execute(query.with_for_update(read=True, key_share=True) if keep else query)
    return tuple(scenario_codec.loads(body) for body in rows.scalars())


def count_suites(tx: Tx, org: str, suites: Collection[str]) -> Mapping[str, int]:
    """How many scenarios these suites have, by their names; those that have none are left out."""
    query = select(scenarios.c.suite, func.count().label("many")).group_by(scenarios.c.suite)
    rows = tx.execute(query.where(scenarios.c.org == org, scenarios.c.suite.in_(sorted(set(suites))), _active))
    return {row.suite: row.many for row in rows}


def get_suites(tx: Tx, org: str) -> tuple[str, ...]:
    """The names of all suites, in alphabetical order."""
    # From one name to the next in the index: there are far fewer suites than scenarios.
    lowest = select(func.min(scenarios.c.suite).label("suite")).where(scenarios.c.org == org, _active)
    found = lowest.cte("found", recursive=True)
    follows = lowest.where(scenarios.c.suite > found.c.suite).scalar_subquery()
    found = found.union_all(select(follows).where(found.c.suite.is_not(None)))
    return tuple(sorted(tx.execute(select(found.c.suite).where(found.c.suite.is_not(None))).scalars()))


def get_slice(tx: Tx, org: str, targets: Collection[str], span: Span) -> Slice[Scenario]:
    """A stretch of the scenarios that go to any of these."""
    where = (scenarios.c.org == org, scenarios.c.target.in_(sorted(set(targets))), _active)
    rows, more = fetch_slice(tx, scenarios, where, span)
    return Slice(tuple(scenario_codec.loads(row.body) for row in rows), more)


def get_targets(tx: Tx, org: str, ids: Collection[str]) -> Mapping[str, Target]:
    """The assistants with these ids, where they are any."""
    main = (versions.c.assistant_id == assistants.c.id) & (versions.c.id == assistants.c.main_id)
    query = select(assistants.c.id, assistants.c.form, assistants.c.deleted_at, versions.c.position)
    mine = (assistants.c.org == org, assistants.c.id.in_(sorted(set(ids))))
    rows = tx.execute(query.join(versions, main).where(*mine))
    # Positions are counted from 1.
    return {row.id: Target(row.id, Form(row.form), row.position - 1, row.deleted_at is not None) for row in rows}
