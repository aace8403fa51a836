"""The machines behind a database: who works there, what waits for them, and what limits them."""

from collections.abc import Mapping
from dataclasses import dataclass

from vivavoce.core.run import Priority
from vivavoce.engine import leases
from vivavoce.engine.leases import Ceilings
from vivavoce.models.resolve import Standing
from vivavoce.services.context import Context
from vivavoce.storage import workers
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.workers import Seen


@dataclass(frozen=True, slots=True)
class Queue:
    """Runs of all organisations: how many are driven, how many wait, and how many all workers together can drive at the
    same time. A worker that is silent or about to stop can drive none."""

    driven: int
    waiting: Mapping[Priority, int]
    places: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where runs of an organisation go at present: how many of its own are driven, and how many of all may be."""

    target: str
    driven: int
    ceiling: int | None


@dataclass(frozen=True, slots=True)
class Load:
    """What is going on, and what limits it. How ``providers`` stand is what this process knows of itself."""

    queue: Queue
    ceilings: Ceilings
    destinations: tuple[Destination, ...]
    providers: tuple[Standing, ...]


async def get_all(database: Database) -> tuple[Seen, ...]:
    """Every process that was heard of within the last hour, the oldest first."""
    return await database.read(workers.get_all)


async def queue(database: Database) -> Queue:
    """How many runs are driven and wait."""
    return await database.read(_queue)


async def load(ctx: Context, org: str) -> Load:
    """What is going on. Of the destinations only those of the organisation are told: addresses can hold secrets."""

    def work(tx: Tx) -> tuple[Queue, tuple[Destination, ...]]:
        mine = sorted(leases.busy(tx, org).items())
        return _queue(tx), tuple(Destination(target, many, ctx.ceilings.of(target)) for target, many in mine)

    counted, destinations = await ctx.database.read(work)
    return Load(counted, ctx.ceilings, destinations, ctx.models.standing())


def _queue(tx: Tx) -> Queue:
    places = sum(one.presence.places for one in workers.get_all(tx) if not (one.silent or one.stopping))
    return Queue(sum(leases.busy(tx).values()), leases.depths(tx), places)
