"""Knowledge bases (contract, section 12)."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.knowledge import MOST_FILES, Parts, Upload, dump_library, read_library, read_sources
from vivavoce.services import libraries
from vivavoce.services.errors import NotFound

router = APIRouter(tags=["knowledge"])

_MOST_PARTS = 1000
_SOURCES: dict[str, Any] = {
    "knowledge_base_texts": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["title", "text"],
            "properties": {"title": {"type": "string"}, "text": {"type": "string"}},
        },
    },
    "knowledge_base_urls": {"type": "array", "items": {"type": "string"}},
    "knowledge_base_files": {"type": "array", "items": {"type": "string", "format": "binary"}},
}
_NEW: dict[str, Any] = {
    "knowledge_base_name": {"type": "string", "minLength": 1, "maxLength": 39},
    "enable_auto_refresh": {"type": "boolean"},
    "max_chunk_size": {"type": "integer"},
    "min_chunk_size": {"type": "integer"},
}


def _form(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


async def _parts(request: Request) -> Parts:
    """The parts of the request's form. The gate has bounded the size of all of them together."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refused(400, "Send this as multipart/form-data.")
    size = len(request.state.body)
    async with request.form(max_files=MOST_FILES, max_fields=_MOST_PARTS, max_part_size=size) as form:
        return [
            (name, Upload(part.filename or "", await part.read()) if isinstance(part, UploadFile) else part)
            for name, part in form.multi_items()
        ]


@router.post(
    "/create-knowledge-base",
    status_code=201,
    openapi_extra=_form({**_NEW, **_SOURCES}, ["knowledge_base_name"]),
)
async def create(request: Request, ctx: Ctx, org: Org) -> JSONResponse:
    """Create a knowledge base. Texts and files are there at once; pages are fetched in the background."""
    draft, given = read_library(await _parts(request))
    return JSONResponse(dump_library(await libraries.create(ctx, org, draft, given)), 201)


@router.get("/get-knowledge-base/{knowledge_base_id}")
async def retrieve(ctx: Ctx, org: Org, knowledge_base_id: Id) -> JSONResponse:
    """One knowledge base."""
    try:
        found = await libraries.retrieve(ctx, org, read("knowledge_base", knowledge_base_id))
    except NotFound:
        raise _missing(knowledge_base_id) from None
    return JSONResponse(dump_library(found))


@router.get("/list-knowledge-bases")
async def get_all(ctx: Ctx, org: Org) -> JSONResponse:
    """Every knowledge base, newest first; of very many, the newest."""
    return JSONResponse([dump_library(library) for library in await libraries.get_all(ctx, org)])


@router.delete("/delete-knowledge-base/{knowledge_base_id}", status_code=204, response_class=Response)
async def delete(ctx: Ctx, org: Org, knowledge_base_id: Id) -> Response:
    """Remove a knowledge base; engines that name it do without it."""
    try:
        await libraries.delete(ctx, org, read("knowledge_base", knowledge_base_id))
    except NotFound:
        raise _missing(knowledge_base_id) from None
    return Response(status_code=204)


@router.post(
    "/add-knowledge-base-sources/{knowledge_base_id}",
    status_code=201,
    openapi_extra=_form(_SOURCES, []),
)
async def add_sources(request: Request, ctx: Ctx, org: Org, knowledge_base_id: Id) -> JSONResponse:
    """Add texts, files and pages to a knowledge base."""
    library_id = read("knowledge_base", knowledge_base_id)
    try:
        # Asked first: what is sent to nobody need not be read.
        await libraries.retrieve(ctx, org, library_id)
        changed = await libraries.add(ctx, org, library_id, read_sources(await _parts(request)))
    except NotFound:
        raise _missing(knowledge_base_id) from None
    return JSONResponse(dump_library(changed), 201)


@router.delete("/delete-knowledge-base-source/{knowledge_base_id}/source/{source_id}")
async def delete_source(ctx: Ctx, org: Org, knowledge_base_id: Id, source_id: Id) -> JSONResponse:
    """Remove a source, and answer with the knowledge base without it."""
    library_id = read("knowledge_base", knowledge_base_id)
    try:
        changed = await libraries.delete_source(ctx, org, library_id, read("source", source_id))
    except NotFound as failure:
        raise _missing(knowledge_base_id if failure.id == library_id else source_id) from None
    return JSONResponse(dump_library(changed))


def _missing(id_: str) -> Refused:
    return Refused(422, f"There is nothing with the id {id_!r} under this key.")
