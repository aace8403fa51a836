"""Batches: scenarios of one assistant that are run together, and how these runs stand."""

from collections.abc import Sequence
from dataclasses import dataclass

from vivavoce.core.batch import Batch
from vivavoce.core.run import Run
from vivavoce.core.scenario import Scenario
from vivavoce.services import engines, runs
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.runs import Record
from vivavoce.storage import batches, scenarios
from vivavoce.storage import runs as kept_runs
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span
from vivavoce.storage.scenarios import Target


class Unknown(Exception):
    """There are no such scenarios."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__("There are no such tests: " + ", ".join(ids))
        self.ids = tuple(ids)


class Elsewhere(Exception):
    """A scenario goes to another assistant than the batch; ``id`` is the first that does."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"Test {id_!r} goes to another assistant.")
        self.id = id_


@dataclass(frozen=True, slots=True)
class Standing:
    """A batch and the assistant that it examined, as that is now. Where it is gone, ``sample`` is a scenario that one
    of its runs froze."""

    batch: Batch
    target: Target | None
    sample: Scenario | None = None


def trigger(
    ctx: Context, tx: Tx, org: str, assistant_id: str, number: int | None, scenario_ids: Sequence[str]
) -> tuple[Batch, tuple[Run, ...]]:
    """A new pending run for each of the scenarios, in this order, of the version with this number (None: main).
    Whoever calls wakes the worker after the commit.

    Raises ``NotFound`` for an assistant that cannot be examined and for a version that it does not have, ``Unknown``
    and ``Elsewhere``.
    """
    found = engines.find(tx, org, assistant_id, number)
    if found is None:
        raise NotFound("assistant", assistant_id)
    _, version = found
    known = scenarios.get_many(tx, org, scenario_ids)
    missing = [id_ for id_ in dict.fromkeys(scenario_ids) if id_ not in known]
    if missing:
        raise Unknown(missing)
    for id_ in scenario_ids:
        if ctx.numbers.get(known[id_].target, known[id_].target) != assistant_id:
            raise Elsewhere(id_)
    now = ctx.clock.now()
    batch = Batch(ctx.new_id(), assistant_id, version.id, version.number, len(scenario_ids), now, now)
    batches.add(tx, org, batch)
    return batch, runs.start(ctx, tx, org, [(known[id_], version) for id_ in scenario_ids], batch.id)


async def retrieve(ctx: Context, org: str, batch_id: str) -> Standing:
    """One batch. Raises ``NotFound``, also for runs that were made together without a batch."""
    return await ctx.database.read(lambda tx: _standing(tx, org, [_get(tx, org, batch_id)])[0])


async def get_slice(ctx: Context, org: str, assistant_id: str, number: int | None, span: Span) -> Slice[Standing]:
    """A stretch of an assistant's batches that examined the version with this number; None is main's. Where the
    assistant is gone, and so nobody knows which version was its newest, those of all versions."""

    def work(tx: Tx) -> Slice[Standing]:
        wanted = number
        if wanted is None:
            target = scenarios.get_targets(tx, org, [assistant_id]).get(assistant_id)
            wanted = target.number if target else None
        found = batches.get_slice(tx, org, assistant_id, wanted, span)
        return Slice(_standing(tx, org, found.items), found.more)

    return await ctx.database.read(work)


async def get_runs(ctx: Context, org: str, batch_id: str, span: Span) -> Slice[Record]:
    """A stretch of a batch's runs with all that is known of them. Raises ``NotFound`` as ``retrieve`` does."""

    def work(tx: Tx) -> Slice[Record]:
        _get(tx, org, batch_id)
        found = kept_runs.get_slice(tx, org, batch_id, span)
        return Slice(runs.recorded(ctx, tx, org, found.items), found.more)

    return await ctx.database.read(work)


def _get(tx: Tx, org: str, batch_id: str) -> Batch:
    batch = batches.get(tx, org, batch_id)
    if batch is None:
        raise NotFound("batch", batch_id)
    return batch


def _standing(tx: Tx, org: str, found: Sequence[Batch]) -> tuple[Standing, ...]:
    targets = scenarios.get_targets(tx, org, [one.assistant_id for one in found])
    lost = [one.id for one in found if one.assistant_id not in targets]
    samples = kept_runs.get_samples(tx, org, lost)
    return tuple(Standing(one, targets.get(one.assistant_id), samples.get(one.id)) for one in found)
