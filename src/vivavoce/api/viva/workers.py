"""The machines behind this server: who works on its database, and what limits them. For admins only."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from vivavoce.api.deps import Ctx, Org
from vivavoce.core.times import iso
from vivavoce.services import machines
from vivavoce.services.machines import Load, Queue
from vivavoce.storage.workers import Seen

router = APIRouter(tags=["workers"])


@router.get("/workers")
async def get_all(ctx: Ctx) -> JSONResponse:
    """Every process that was heard of within the last hour, the oldest first."""
    return JSONResponse({"data": [dump(one) for one in await machines.get_all(ctx.database)]})


@router.get("/limits")
async def limits(ctx: Ctx, org: Org) -> JSONResponse:
    """How much is going on and waits, and what limits it."""
    return JSONResponse(_load(await machines.load(ctx, org)))


def state(seen: Seen) -> str:
    """``silent``: not heard of for too long; ``stopping``: it hands over; ``serving``: it answers requests, and drives
    no runs; ``working``."""
    if seen.silent:
        return "silent"
    if seen.stopping:
        return "stopping"
    return "working" if seen.presence.places else "serving"


def dump(seen: Seen) -> dict[str, Any]:
    """A worker as it is shown."""
    presence = seen.presence
    return {
        "id": presence.id,
        "host": presence.host,
        "process": presence.process,
        "version": presence.version,
        "state": state(seen),
        "places": presence.places,
        "driving": seen.driving,
        "started_at": iso(presence.started_at),
        "seen_at": iso(seen.seen_at),
    }


def dump_queue(queue: Queue) -> dict[str, Any]:
    """What is driven and waits, as it is shown."""
    waiting = {priority.name.lower(): many for priority, many in queue.waiting.items()}
    return {"running": queue.driven, "waiting": waiting, "places": queue.places}


def _load(load: Load) -> dict[str, Any]:
    return {
        "runs": dump_queue(load.queue),
        "ceilings": {"total": load.ceilings.everywhere, "destination": load.ceilings.destination},
        "destinations": [
            {"target": one.target, "running": one.driven, "ceiling": one.ceiling} for one in load.destinations
        ],
        "providers": [
            {
                "name": one.name,
                "concurrency": one.rates.concurrency,
                "requests_per_minute": one.rates.requests or None,
                "tokens_per_minute": one.rates.tokens or None,
                "running": one.busy.under_way,
                "waiting": one.busy.waiting,
                "paused_seconds": round(one.busy.paused_s, 1),
            }
            for one in load.providers
        ],
    }
