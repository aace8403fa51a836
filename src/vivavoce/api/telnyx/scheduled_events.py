"""Scheduled events (contract, section 5.8)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.api.telnyx.wire.scheduled_events import (
    ChannelName,
    EndMoment,
    EventCreate,
    Moment,
    dump_event,
    to_appointment,
)
from vivavoce.core.scenario import Medium
from vivavoce.services import appointments
from vivavoce.storage.appointments import AppointmentFilter
from vivavoce.storage.database import Tx

router = APIRouter(tags=["scheduled events"])


@router.post("/ai/assistants/{assistant_id}/scheduled_events", status_code=201)
async def create(request: Request, ctx: Ctx, org: Org, assistant_id: Id, body: EventCreate) -> Response:
    """Have a call or a text message go out at its time."""

    def work(tx: Tx) -> dict[str, Any]:
        draft = to_appointment(body, assistant_id=assistant_id, now=ctx.clock.now())
        return dump_event(appointments.create(ctx, tx, org, draft))

    answer = await once(request, ctx, 201, work)
    ctx.wake()
    return answer


@router.get("/ai/assistants/{assistant_id}/scheduled_events")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Paged,
    assistant_id: Id,
    from_date: Annotated[Moment | None, Query(description="The earliest time it is scheduled for.")] = None,
    to_date: Annotated[EndMoment | None, Query(description="The latest; a date alone means all of that day.")] = None,
    conversation_channel: ChannelName | None = None,
) -> JSONResponse:
    """An assistant's scheduled events, newest first."""
    medium = Medium(conversation_channel) if conversation_channel else None
    wanted = AppointmentFilter(assistant_id, medium, from_date, to_date)
    found = await appointments.get_page(ctx, org, wanted, page)
    return JSONResponse(paged([dump_event(one) for one in found.items], found.total, page))


@router.get("/ai/assistants/{assistant_id}/scheduled_events/{event_id}")
async def retrieve(ctx: Ctx, org: Org, assistant_id: Id, event_id: Id) -> JSONResponse:
    """One scheduled event."""
    return JSONResponse(dump_event(await appointments.retrieve(ctx, org, assistant_id, event_id)))


@router.delete("/ai/assistants/{assistant_id}/scheduled_events/{event_id}", response_class=Response)
async def delete(ctx: Ctx, org: Org, assistant_id: Id, event_id: Id) -> Response:
    """Cancel an event that is pending; of any other only the record is removed."""
    await appointments.delete(ctx, org, assistant_id, event_id)
    return Response(status_code=200)
