"""Models, and chat completions (contract, section 5.18)."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivavoce.api.telnyx.deps import Ctx, Org
from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire.openai import ChatCompletion, dump_models
from vivavoce.services import completions

router = APIRouter(tags=["openai"])

_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


@router.get("/ai/openai/models")
@router.get("/ai/models", deprecated=True)
async def list_models(ctx: Ctx) -> JSONResponse:
    """The models that can be named here."""
    return JSONResponse(dump_models(await completions.listed(ctx)))


@router.post("/ai/openai/chat/completions", responses=_STREAM)
@router.post("/ai/chat/completions", responses=_STREAM, deprecated=True)
async def create_completion(ctx: Ctx, org: Org, body: ChatCompletion) -> Response:
    """Hand a request for chat completions on to whoever serves its model; the answer comes back unchanged."""
    if body.retrieves:
        detail = "Tools of the type retrieval are carried out for assistants, not for chat completions."
        raise bad_request(detail, pointer="/tools")
    request, model, key_ref = body.for_provider(), body.model, body.api_key_ref
    if not body.stream:
        answer = await completions.complete(ctx, org, request, model=model, key_ref=key_ref)
        return Response(answer, media_type="application/json")
    stream = await completions.stream(ctx, org, request, model=model, key_ref=key_ref)
    return StreamingResponse(stream.pieces, media_type=stream.media_type)
