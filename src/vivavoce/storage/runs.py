"""Runs, kept. What a run froze is kept apart, once for all runs that froze the same."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vivavoce.core.assistant import Cast, Version
from vivavoce.core.event import Ending
from vivavoce.core.run import Priority, Run
from vivavoce.core.scenario import Scenario
from vivavoce.core.status import Status
from vivavoce.core.verdict import Fault
from vivavoce.storage.codec import (
    Codec,
    digest,
    scenario_codec,
    usage_codec,
    verdicts_codec,
    version_codec,
    versions_codec,
)
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Slice, Span, Window, fetch_slice
from vivavoce.storage.run_pages import RunFilter, fetch
from vivavoce.storage.tables import runs, snapshots

T = TypeVar("T")

FORMAT = 2
"""What a run froze can be read by workers that know this format or a later one. It grows when a release freezes what an
older one would misread; workers leave later formats to others, so old and new ones can work side by side. A run has
the lowest format that tells all of it (``_format``): 1, and 2 where its scenario has a persona, lines of the caller or
criteria that are to be computed."""
_TRIES = 3
"""How often what was deleted in the very moment in which it was found is kept anew."""


@dataclass(frozen=True, slots=True)
class Order:
    """A run to be made: what it freezes. ``others`` are the assistants that the conversation can be handed to."""

    run: Run
    scenario: Scenario
    version: Version | None
    others: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a run works on, as it was when it was triggered."""

    org: str
    run: Run
    scenario: Scenario
    version: Version | None
    others: tuple[Version, ...] = ()

    @property
    def cast(self) -> Cast | None:
        """Who can speak, where the target is an assistant of this server."""
        if self.version is None:
            return None
        return Cast(self.version, {one.assistant_id: one for one in self.others})


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        scenario_id=row.scenario_id,
        status=Status(row.status),
        trigger=row.trigger,
        created_at=row.created_at,
        updated_at=row.updated_at,
        conversation_id=row.conversation_id,
        batch_id=row.batch_id,
        version_id=row.version_id,
        started_at=row.started_at,
        completed_at=row.completed_at,
        ending=Ending(row.ending) if row.ending else None,
        fault=Fault(row.fault) if row.fault else None,
        reason=row.reason,
        verdicts=verdicts_codec.loads(row.verdicts) if row.verdicts else (),
        criteria=tuple(row.criteria),
        story=row.story,
        talked_ms=row.talked_ms,
        usage=usage_codec.loads(row.usage) if row.usage else None,
        finding_id=row.finding_id,
        priority=Priority(row.priority),
        attempts=row.attempts,
        setbacks=tuple(row.setbacks),
        suite=row.suite,
    )


def add(tx: Tx, org: str, orders: Sequence[Order]) -> None:
    """Keep new runs and what they froze."""
    bodies: dict[str, str] = {}
    known: dict[int, str] = {}

    def freeze(codec: Codec[T], frozen: T) -> str:
        # Many runs freeze one object, which is written and hashed once; it lives as long as its order.
        key = known.get(id(frozen))
        if key is None:
            body = codec.dumps(frozen)
            key = known[id(frozen)] = digest(body)
            bodies[key] = body
        return key

    rows = [
        {
            "id": order.run.id,
            "org": org,
            "scenario_id": order.run.scenario_id,
            "batch_id": order.run.batch_id,
            "suite": order.scenario.suite,
            "conversation_id": order.run.conversation_id,
            "status": order.run.status.value,
            "trigger": order.run.trigger,
            "scenario_digest": freeze(scenario_codec, order.scenario),
            "version_digest": freeze(version_codec, order.version) if order.version else None,
            "others_digest": freeze(versions_codec, order.others) if order.others else None,
            "version_id": order.run.version_id,
            "criteria": list(order.run.criteria),
            "reason": "",
            "story": "",
            "talked_ms": 0,
            "created_at": order.run.created_at,
            "updated_at": order.run.updated_at,
            "target": order.scenario.target,
            "priority": order.run.priority,
            "due_at": 0,
            "format": _format(order.scenario),
            "attempts": 1,
            "setbacks": [],
            "dispatch": 1,
            "progress": 0,
            "stalls": 0,
        }
        for order in orders
    ]
    _keep(tx, bodies)
    tx.execute(insert(runs), rows)


def _format(scenario: Scenario) -> int:
    later = scenario.persona or scenario.lines or scenario.hangs_up or any(one.computed for one in scenario.criteria)
    return FORMAT if later else 1


def _keep(tx: Tx, bodies: dict[str, str]) -> None:
    """Every snapshot is there and stays until the commit: who deletes the last run that froze one takes it along."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    missing = sorted(bodies)
    for _ in range(_TRIES):
        values = [{"digest": key, "body": bodies[key]} for key in missing]
        tx.execute(dialect.insert(snapshots).on_conflict_do_nothing(), values)
        mine = select(snapshots.c.digest).where(snapshots.c.digest.in_(missing)).order_by(snapshots.c.digest)
        found = set(tx.execute(mine.with_for_update(read=True, key_share=True)).scalars())
        missing = [key for key in missing if key not in found]
        if not missing:
            return


def get(tx: Tx, org: str, run_id: str, scenario_id: str | None = None) -> Run | None:
    """One run, or None; with a scenario's id only where it belongs to that scenario."""
    query = select(runs).where(runs.c.org == org, runs.c.id == run_id)
    if scenario_id is not None:
        query = query.where(runs.c.scenario_id == scenario_id)
    row = tx.execute(query).first()
    return _run(row) if row else None


def get_many(tx: Tx, org: str, ids: Collection[str]) -> tuple[Run, ...]:
    """The runs with these ids, in the order of their ids; those that there are not are left out."""
    rows = tx.execute(select(runs).where(runs.c.org == org, runs.c.id.in_(sorted(set(ids)))).order_by(runs.c.id))
    return tuple(_run(row) for row in rows)


def holder(tx: Tx, conversation_id: str, *, lock: bool = False) -> str | None:
    """The id of the run that the conversation belongs to, or None. ``lock`` holds the run until the commit: whoever
    locks both takes a run before its conversation."""
    query = select(runs.c.id).where(runs.c.conversation_id == conversation_id).limit(1)
    return tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()


def holds(tx: Tx, conversation_id: str) -> bool:
    """Whether the conversation is a run's."""
    return holder(tx, conversation_id) is not None


def set_finding(tx: Tx, conversation_id: str, finding_id: str) -> None:
    """Note what insights will find in the run's conversation."""
    tx.execute(update(runs).where(runs.c.conversation_id == conversation_id).values(finding_id=finding_id))


def get_page(tx: Tx, org: str, wanted: RunFilter, window: Window) -> Page[Run]:
    """A page of runs, newest first."""
    rows, total = fetch(tx, org, wanted, window)
    return Page(tuple(_run(row) for row in rows), total, window)


def get_slice(tx: Tx, org: str, batch_id: str, span: Span) -> Slice[Frozen]:
    """A stretch of a batch's runs with what they froze. Runs that froze the same share it."""
    rows, more = fetch_slice(tx, runs, [runs.c.org == org, runs.c.batch_id == batch_id], span)
    return Slice(_with_frozen(tx, rows), more)


def get_samples(tx: Tx, org: str, batch_ids: Collection[str]) -> Mapping[str, Scenario]:
    """What the first run of each of these batches froze, by the batch's id; none where no run is left."""
    first = select(func.min(runs.c.id)).where(runs.c.org == org, runs.c.batch_id.in_(sorted(set(batch_ids))))
    query = (
        select(runs.c.batch_id, snapshots.c.body)
        .join(snapshots, snapshots.c.digest == runs.c.scenario_digest)
        .where(runs.c.id.in_(first.group_by(runs.c.batch_id)))
    )
    return {row.batch_id: scenario_codec.loads(row.body) for row in tx.execute(query)}


def get_frozen(tx: Tx, run_id: str) -> Frozen | None:
    """The run with what it froze, or None when it was deleted meanwhile."""
    return next(iter(get_all_frozen(tx, [run_id])), None)


def get_all_frozen(tx: Tx, ids: Collection[str]) -> tuple[Frozen, ...]:
    """The same for many, whoever they belong to; those that were deleted meanwhile are left out."""
    return _with_frozen(tx, tx.execute(select(runs).where(runs.c.id.in_(sorted(set(ids))))).all())


def _with_frozen(tx: Tx, rows: Sequence[Row[Any]]) -> tuple[Frozen, ...]:
    wanted = sorted(
        {key for row in rows for key in (row.scenario_digest, row.version_digest, row.others_digest) if key}
    )
    found = tx.execute(select(snapshots).where(snapshots.c.digest.in_(wanted))) if wanted else ()
    bodies = {one.digest: one.body for one in found}
    read: dict[str, Any] = {}

    def thawed(codec: Codec[T], key: str) -> T:
        if key not in read:
            read[key] = codec.loads(bodies[key])
        return read[key]

    return tuple(
        Frozen(
            row.org,
            _run(row),
            thawed(scenario_codec, row.scenario_digest),
            thawed(version_codec, row.version_digest) if row.version_digest else None,
            thawed(versions_codec, row.others_digest) if row.others_digest else (),
        )
        for row in rows
    )
