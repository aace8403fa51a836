"""Better instructions for an assistant (contract, section 5.7)."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from vivavoce.api.telnyx.deps import Ctx, Id, Org
from vivavoce.api.telnyx.wire.instructions import Enhance
from vivavoce.services import instructions

router = APIRouter(tags=["instructions"])


_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


# A class without a media type of its own leaves the errors' JSON alone.
@router.post("/ai/assistants/{assistant_id}/instructions/enhance", response_class=Response, responses=_TEXT)
async def enhance(ctx: Ctx, org: Org, assistant_id: Id, body: Enhance | None = None) -> StreamingResponse:
    """Rewrite the assistant's instructions, or those that are given, in pieces of plain text; nothing is kept."""
    given = body or Enhance()
    pieces = await instructions.enhance(
        ctx, org, assistant_id, instructions=given.instructions, wish=given.enhancement_prompt
    )
    return StreamingResponse(pieces, media_type="text/plain")
