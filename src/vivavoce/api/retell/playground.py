"""One turn of an agent, of which nothing is kept (contract, section 11)."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.versions import missing, number_of
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.playground import CompletionRequest, dump_turn
from vivavoce.services import playground
from vivavoce.services.engines import AGENTS
from vivavoce.services.errors import Rejected

router = APIRouter(tags=["playground"])


@router.post("/agent-playground-completion/{agent_id}")
async def complete(
    ctx: Ctx,
    org: Org,
    agent_id: Id,
    body: CompletionRequest,
    version: Annotated[str | None, Query(max_length=64)] = None,
) -> JSONResponse:
    """What the agent does next in this conversation."""
    id_ = read("agent", agent_id)
    with missing(agent_id):
        number = await number_of(ctx, org, id_, AGENTS, version)
        try:
            cast, medium = await playground.everybody(ctx, org, id_, number)
        except Rejected as failure:
            raise Refused(422, str(failure)) from failure
    transcript = body.transcript(cast, ctx.clock.now())
    turn = await playground.turn(ctx, org, cast, transcript, body.dynamic_variables, body.mocks(), medium=medium)
    return JSONResponse(dump_turn(turn, cast, len(transcript.events), ctx.new_id()))
