"""What came of runs, for figures and comparisons: many rows, and of each no more than is needed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import from_json
from sqlalchemy import (
    JSON,
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal,
    select,
    type_coerce,
)

from vivavoce.core.event import Ending, Millis
from vivavoce.core.status import FINAL, Status
from vivavoce.core.verdict import Fault, Verdict
from vivavoce.storage.codec import usage_codec, verdicts_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import runs, scenarios, snapshots

_TOGETHER = 400
"""How many ids go into one query."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many runs stand how. Those that were cancelled are in none of the others; ``open`` are not over."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    cancelled: int = 0
    open: int = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return self.passed + self.failed + self.errors + self.cancelled + self.open

    @property
    def over(self) -> bool:
        """Whether all of them are."""
        return self.open == 0

    @property
    def pass_rate(self) -> float | None:
        """The share that passed of those that are over and were not cancelled; None while there are none."""
        examined = self.passed + self.failed + self.errors
        return self.passed / examined if examined else None


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took. ``response_ms`` are the times of the assistant's answers, ``tokens`` those of questions and
    answers by the model; both are None where an earlier release examined, which kept ``all_tokens`` alone."""

    batch_id: str | None
    talked_ms: int
    response_ms: tuple[int, ...] | None
    tokens: Mapping[str, tuple[int, int]] | None
    all_tokens: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one run. ``test`` is the name that its scenario had, ``criteria`` are the names of the rubric."""

    id: str
    scenario_id: str
    test: str
    status: Status
    cancelled: bool
    fault: Fault | None
    reason: str
    criteria: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    version_id: str | None
    created_at: Millis
    measured: Measured


@dataclass(frozen=True, slots=True)
class Batched:
    """A batch as a suite sees it: its id, when it was triggered, and the newest of its runs."""

    id: str
    at: Millis
    run_id: str


def newest_batches(tx: Tx, org: str, suite: str, most: int) -> tuple[Batched, ...]:
    """The batches in which this suite's tests were run, the newest first, at most so many.

    The runs of a batch are made together, so from the newest run of one the next is found behind its oldest. Where
    several servers made two batches in the same millisecond, one can hide in the other.
    """
    given = {"the_org": org, "the_suite": suite, "the_most": most}
    rows = tx.execute(_newest_batches(tx.dialect.name == "postgresql"), given)
    return tuple(Batched(row.batch_id, row.created_at, row.id) for row in rows)


@lru_cache(maxsize=2)
def _newest_batches(postgresql: bool) -> Select[Any, Any, Any]:
    """Made once: putting it together takes longer than the database takes for it."""
    suite: ColumnElement[Any] = bindparam("the_suite")
    newest = select(_newest(postgresql, suite, None).label("id"), literal(1).label("place"))
    found = newest.cte("found", recursive=True)
    its = runs.alias()
    mates = select(func.min(runs.c.id)).where(runs.c.batch_id == its.c.batch_id, runs.c.org == its.c.org)
    first = select(mates.scalar_subquery()).where(its.c.id == found.c.id).correlate(found).scalar_subquery()
    follows = select(_newest(postgresql, suite, first), found.c.place + 1)
    found = found.union_all(follows.where(found.c.id != "", found.c.place < bindparam("the_most")))
    query = select(runs.c.id, runs.c.batch_id, runs.c.created_at).join(found, found.c.id == runs.c.id)
    return query.order_by(runs.c.id.desc())


def last_batches(tx: Tx, org: str, suites: Collection[str]) -> Mapping[str, Batched]:
    """The newest batch of each of these suites that have tests, by their names; those without one are left out."""
    given = {"the_org": org, "the_suites": sorted(set(suites))}
    rows = tx.execute(_last_batches(tx.dialect.name == "postgresql"), given)
    return {row.suite: Batched(row.batch_id, row.created_at, row.id) for row in rows}


@lru_cache(maxsize=2)
def _last_batches(postgresql: bool) -> Select[Any, Any, Any, Any]:
    mine = (scenarios.c.org == bindparam("the_org"), scenarios.c.suite.in_(bindparam("the_suites", expanding=True)))
    named = select(scenarios.c.suite).where(*mine).distinct().subquery()
    found = select(_newest(postgresql, named.c.suite, None).label("id")).select_from(named).subquery()
    return select(runs.c.id, runs.c.batch_id, runs.c.created_at, runs.c.suite).join(found, found.c.id == runs.c.id)


def _newest(postgresql: bool, suite: ColumnElement[Any], below: ScalarSelect[Any] | None) -> ColumnElement[str]:
    """The id of the newest run of the suite that is in a batch, below an id; empty where there is none."""
    mine = (runs.c.org == bindparam("the_org"), runs.c.suite == suite, runs.c.batch_id.is_not(None))

    def of(status: Status) -> ColumnElement[str]:
        # An index has the runs of each status in the order of their ids.
        query = select(func.max(runs.c.id)).where(*mine, runs.c.status == status)
        return func.coalesce((query if below is None else query.where(runs.c.id < below)).scalar_subquery(), "")

    return (func.greatest if postgresql else func.max)(*(of(status) for status in Status))


def counts(tx: Tx, org: str, batch_ids: Collection[str], suite: str | None = None) -> Mapping[str, Counts]:
    """How the runs of these batches stand, by the batch's id; with a suite only those of its tests. Batches without a
    run are left out."""
    mine = [] if suite is None else [runs.c.suite.concat("") == suite]
    return {id_: found for (id_,), found in _counted(tx, org, batch_ids, [runs.c.batch_id], mine).items()}


def counts_by_suite(tx: Tx, org: str, batch_ids: Collection[str]) -> Mapping[tuple[str, str], Counts]:
    """The same by the batch's id and the suite of the tests."""
    found = _counted(tx, org, batch_ids, [runs.c.batch_id, runs.c.suite], [runs.c.suite.is_not(None)])
    return {(id_, suite): counted for (id_, suite), counted in found.items()}


def _counted(
    tx: Tx,
    org: str,
    batch_ids: Collection[str],
    apart: Sequence[ColumnElement[Any]],
    more: Sequence[ColumnElement[bool]],
) -> Mapping[tuple[Any, ...], Counts]:
    """How runs of these batches stand, by what tells them apart: the values of these columns."""
    wanted = sorted(set(batch_ids))
    # By the index of batches, which has all of it: SQLite would take the one by suite or by status.
    mine = [runs.c.batch_id.in_(wanted), runs.c.org.concat("") == org, *more]
    many: ColumnElement[int] = func.count().label("many")
    query = select(*apart, runs.c.status, many).where(*mine).group_by(*apart, runs.c.status)
    rows: Sequence[Row[Any]] = tx.execute(query).all() if wanted else ()
    broken = {row.batch_id for row in rows if row.status == Status.ERROR}
    cancelled = (runs.c.batch_id.in_(sorted(broken)), runs.c.status == Status.ERROR, _CANCELLED)
    stopped: Select[Any] = select(*apart, many).where(*mine, *cancelled).group_by(*apart)
    gone = {tuple(row[:-1]): row.many for row in tx.execute(stopped)} if broken else {}
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in rows:
        found.setdefault(tuple(row[:-2]), {})[row.status] = row.many
    return {key: _counts(by_status, gone.get(key, 0)) for key, by_status in found.items()}


_CANCELLED = runs.c.ending == Ending.CANCELLED.value


def _counts(many: Mapping[str, int], cancelled: int) -> Counts:
    return Counts(
        passed=many.get(Status.PASSED, 0),
        failed=many.get(Status.FAILED, 0),
        errors=many.get(Status.ERROR, 0) - cancelled,
        cancelled=cancelled,
        open=sum(number for status, number in many.items() if not Status(status).final),
    )


def counts_since(tx: Tx, org: str, first_id: str) -> Counts:
    """How the runs of an organisation stand whose ids are not below this one."""
    many: dict[str, int] = {}
    recent = (runs.c.org == org, runs.c.id >= first_id)
    for status in Status:
        query = select(func.count()).select_from(runs).where(*recent, runs.c.status == status)
        many[status] = tx.execute(query).scalar_one()
    stopped = select(func.count()).select_from(runs).where(*recent, runs.c.status == Status.ERROR, _CANCELLED)
    return _counts(many, tx.execute(stopped).scalar_one() if many[Status.ERROR] else 0)


def measured(tx: Tx, org: str, batch_ids: Collection[str], suite: str) -> Sequence[Measured]:
    """What the runs of a suite's tests took in these batches, those that are over and were not cancelled."""
    query = select(*_MEASURED).where(
        runs.c.batch_id.in_(sorted(set(batch_ids))),
        runs.c.org.concat("") == org,
        runs.c.suite.concat("") == suite,
        runs.c.status.concat("").in_(sorted(FINAL)),
        func.coalesce(runs.c.ending, "") != Ending.CANCELLED.value,
    )
    # All at once: one after the other takes as long as the rest.
    return [_measured(*row) for row in tx.execute(query).all()] if batch_ids else []


def of_batch(tx: Tx, org: str, batch_id: str) -> tuple[Result, ...]:
    """What came of a batch's runs, in the order in which they were triggered."""
    rows = tx.execute(_results(tx).where(runs.c.batch_id == batch_id, runs.c.org == org).order_by(runs.c.id))
    return tuple(_result(row) for row in rows)


def of_runs(tx: Tx, org: str, ids: Iterable[str]) -> tuple[Result, ...]:
    """What came of these runs, in the order of their ids; those that there are not are left out."""
    wanted, found = sorted(set(ids)), list[Result]()
    for start in range(0, len(wanted), _TOGETHER):
        mine = (runs.c.org.concat("") == org, runs.c.id.in_(wanted[start : start + _TOGETHER]))
        found += [_result(row) for row in tx.execute(_results(tx).where(*mine).order_by(runs.c.id))]
    return tuple(found)


def names(tx: Tx, org: str, run_ids: Collection[str]) -> Mapping[str, str]:
    """The names that the scenarios of these runs had when they were triggered, by the runs' ids."""
    # By their ids: SQLite would look through all runs of the organisation.
    mine = (runs.c.org.concat("") == org, runs.c.id.in_(sorted(set(run_ids))))
    query = select(runs.c.id, _name(tx).label("test")).join(snapshots, snapshots.c.digest == runs.c.scenario_digest)
    return {row.id: row.test for row in tx.execute(query.where(*mine))} if run_ids else {}


@dataclass(frozen=True, slots=True)
class Examined:
    """A run that is over, and the version that it was of."""

    id: str
    version_id: str | None
    batch_id: str | None


def last_of_test(tx: Tx, org: str, scenario_id: str, most: int) -> tuple[Examined, ...]:
    """The newest final runs of a test, at most so many of each final status, the newest first."""
    found: list[Examined] = []
    for status in sorted(FINAL):
        mine = (runs.c.scenario_id == scenario_id, runs.c.org == org, runs.c.status == status)
        query = select(runs.c.id, runs.c.version_id, runs.c.batch_id, runs.c.ending).where(*mine)
        rows = tx.execute(query.order_by(runs.c.id.desc()).limit(most))
        found += [Examined(row.id, row.version_id, row.batch_id) for row in rows if row.ending != Ending.CANCELLED]
    return tuple(sorted(found, key=lambda one: one.id, reverse=True))


# As text: what the driver or SQLAlchemy make of JSON takes longer than all the rest.
_MEASURED: Sequence[ColumnElement[Any]] = (
    runs.c.batch_id,
    runs.c.talked_ms,
    cast(runs.c.response_ms, Text).label("response_ms"),
    cast(runs.c.tokens, Text).label("tokens"),
    runs.c.usage,
)


def _measured(
    batch_id: str | None, talked_ms: int, response_ms: str | None, tokens: str | None, usage: str | None
) -> Measured:
    took = None if response_ms is None else tuple(from_json(response_ms))
    if tokens is not None:
        spent = {name: (one[0], one[1]) for name, one in from_json(tokens).items()}
        every = sum(one for one, _ in spent.values()), sum(one for _, one in spent.values())
        return Measured(batch_id, talked_ms, took, spent, every)
    known = usage_codec.loads(usage) if usage else None
    return Measured(
        batch_id, talked_ms, took, None, (known.input_tokens, known.output_tokens) if known is not None else (0, 0)
    )


def _name(tx: Tx) -> ColumnElement[Any]:
    # The database takes it out of the text: all the rest of it would have to be read here.
    body = snapshots.c.body
    return (cast(body, JSON) if tx.dialect.name == "postgresql" else type_coerce(body, JSON))["name"].as_string()


def _results(tx: Tx) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [
        runs.c.id,
        runs.c.scenario_id,
        runs.c.status,
        runs.c.ending,
        runs.c.fault,
        runs.c.reason,
        runs.c.criteria,
        runs.c.verdicts,
        runs.c.version_id,
        runs.c.created_at,
        _name(tx).label("test"),
        *_MEASURED,
    ]
    return select(*columns).join(snapshots, snapshots.c.digest == runs.c.scenario_digest)


def _result(row: Row[Any]) -> Result:
    return Result(
        id=row.id,
        scenario_id=row.scenario_id,
        test=row.test,
        status=Status(row.status),
        cancelled=row.ending == Ending.CANCELLED,
        fault=Fault(row.fault) if row.fault else None,
        reason=row.reason,
        criteria=tuple(row.criteria),
        verdicts=verdicts_codec.loads(row.verdicts) if row.verdicts else (),
        version_id=row.version_id,
        created_at=row.created_at,
        measured=_measured(row.batch_id, row.talked_ms, row.response_ms, row.tokens, row.usage),
    )
