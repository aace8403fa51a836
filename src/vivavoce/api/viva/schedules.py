"""Schedules: tests that are run by the calendar (docs/reference/schedules.md)."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from vivavoce.api.deps import Ctx, Org
from vivavoce.core.run import Priority
from vivavoce.core.schedule import GRACE_MS, Firing, Missed, Overlap, Schedule
from vivavoce.core.times import iso, maybe_iso
from vivavoce.services import schedules
from vivavoce.storage.page import Window

router = APIRouter(tags=["schedules"])

_NO_NUL = r"^[^\x00]*$"
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=_NO_NUL)]
Id = Annotated[str, Field(min_length=1, max_length=256, pattern=_NO_NUL)]
Cron = Annotated[
    str, Field(max_length=255, pattern=_NO_NUL, description="Five fields: minute, hour, day, month, day of the week.")
]
Timezone = Annotated[str, Field(max_length=64, pattern=_NO_NUL, description="An IANA name: `Europe/Dublin`.")]
Suite = Annotated[str, Field(min_length=1, max_length=1024, pattern=_NO_NUL)]
Tests = Annotated[list[Id], Field(max_length=1000)]
Urgency = Literal["interactive", "batch", "scheduled"]
Grace = Annotated[int, Field(ge=0, le=86_400)]
ScheduleId = Annotated[str, Path(max_length=256)]


class ScheduleBody(BaseModel, frozen=True, extra="forbid"):
    """What need not be given."""

    timezone: Timezone = "UTC"
    suite: Suite | None = None
    test_ids: Tests = []
    version_id: Id | None = None
    priority: Urgency = "scheduled"
    missed: Missed = Missed.SKIP
    grace_seconds: Grace = GRACE_MS // 1000
    overlap: Overlap = Overlap.ALLOW
    paused: bool = False


class ScheduleDraft(ScheduleBody, frozen=True, extra="forbid"):
    """A schedule to be made. It runs either a ``suite`` or tests by their ``test_ids``."""

    name: Name
    cron: Cron


class ScheduleChange(ScheduleBody, frozen=True, extra="forbid"):
    """What is to be different. What is not given stays; a ``suite`` takes the place of ``test_ids``, and the other way
    round."""

    name: Name = ""
    cron: Cron = ""


@router.post("/schedules", status_code=201)
async def create(ctx: Ctx, org: Org, body: ScheduleDraft) -> JSONResponse:
    """Make a schedule."""
    draft = Schedule("", created_at=0, changed_at=0, **_given(body))
    made = await schedules.create(ctx.database, ctx.clock, ctx.new_id, org, draft)
    ctx.wake()
    return JSONResponse(dump_outlook(made), 201)


@router.get("/schedules")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Schedules, newest first."""
    found = await schedules.get_page(ctx.database, org, Window(page, size))
    return JSONResponse({"data": [dump(one) for one in found.items], "page": page, "size": size, "total": found.total})


@router.get("/schedules/{schedule_id}")
async def retrieve(ctx: Ctx, org: Org, schedule_id: ScheduleId) -> JSONResponse:
    """One schedule, with the next times at which it fires."""
    return JSONResponse(dump_outlook(await schedules.retrieve(ctx.database, org, schedule_id)))


@router.patch("/schedules/{schedule_id}")
async def update(ctx: Ctx, org: Org, schedule_id: ScheduleId, body: ScheduleChange) -> JSONResponse:
    """Change a schedule."""
    given = _given(body)
    if "suite" in given and "scenario_ids" not in given:
        given["scenario_ids"] = ()
    elif "scenario_ids" in given and "suite" not in given:
        given["suite"] = None
    changed = await schedules.update(
        ctx.database, ctx.clock, ctx.new_id, org, schedule_id, lambda one: replace(one, **given)
    )
    ctx.wake()
    return JSONResponse(dump_outlook(changed))


@router.delete("/schedules/{schedule_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, schedule_id: ScheduleId) -> Response:
    """Remove a schedule; the runs that it started stay."""
    await schedules.delete(ctx.database, org, schedule_id)
    return Response(status_code=204)


@router.post("/schedules/{schedule_id}/pause")
async def pause(ctx: Ctx, org: Org, schedule_id: ScheduleId) -> JSONResponse:
    """Have it rest until it is resumed."""
    return JSONResponse(dump_outlook(await _paused(ctx, org, schedule_id, paused=True)))


@router.post("/schedules/{schedule_id}/resume")
async def resume(ctx: Ctx, org: Org, schedule_id: ScheduleId) -> JSONResponse:
    """Have it go on. What was due while it rested is not made up for."""
    return JSONResponse(dump_outlook(await _paused(ctx, org, schedule_id, paused=False)))


@router.post("/schedules/{schedule_id}/fire")
async def fire(ctx: Ctx, org: Org, schedule_id: ScheduleId) -> JSONResponse:
    """Run its tests now, paused or not; its calendar stays as it is. `last_firing` names the batch."""
    return JSONResponse(dump_outlook(await schedules.fire(ctx, org, schedule_id)))


async def _paused(ctx: Ctx, org: str, schedule_id: str, *, paused: bool) -> Schedule:
    changed = await schedules.pause(ctx.database, ctx.clock, ctx.new_id, org, schedule_id, paused=paused)
    ctx.wake()
    return changed


def _given(body: ScheduleBody) -> dict[str, Any]:
    """What the body says, as the core calls it."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    if "test_ids" in given:
        given["scenario_ids"] = tuple(given.pop("test_ids"))
    if "priority" in given:
        given["priority"] = Priority[given["priority"].upper()]
    if "grace_seconds" in given:
        given["grace_ms"] = given.pop("grace_seconds") * 1000
    return given


def dump(schedule: Schedule) -> dict[str, Any]:
    """A schedule as it is shown."""
    return {
        "id": schedule.id,
        "name": schedule.name,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "suite": schedule.suite,
        "test_ids": list(schedule.scenario_ids),
        "version_id": schedule.version_id,
        "priority": schedule.priority.name.lower(),
        "missed": schedule.missed.value,
        "grace_seconds": schedule.grace_ms // 1000,
        "overlap": schedule.overlap.value,
        "paused": schedule.paused,
        "created_at": iso(schedule.created_at),
        "updated_at": iso(schedule.changed_at),
        "next_at": maybe_iso(schedule.next_at),
        "last_firing": dump_firing(schedule.last) if schedule.last else None,
    }


def dump_outlook(schedule: Schedule) -> dict[str, Any]:
    """The same with the next times at which it fires, as clocks in its zone show them."""
    return {**dump(schedule), "next_firings": list(schedules.outlook(schedule))}


def dump_firing(firing: Firing) -> dict[str, Any]:
    """A firing as it is shown."""
    return {
        "due_at": iso(firing.due_at),
        "fired_at": iso(firing.at),
        "outcome": firing.outcome.value,
        "batch_id": firing.batch_id,
        "runs": firing.runs,
        "reason": firing.reason,
    }
