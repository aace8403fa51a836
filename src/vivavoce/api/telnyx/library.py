"""The library of shared tools, and tools of an assistant (contract, sections 5.6 and 5.12)."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.shape import sent
from vivavoce.api.telnyx.assistants import check, dump
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire.assistant import VersionUpdate
from vivavoce.api.telnyx.wire.assistant import overlay as assistant_overlay
from vivavoce.api.telnyx.wire.library import (
    SharedToolCreate,
    SharedToolUpdate,
    ToolTest,
    dump_shared,
    dump_trial,
    overlay,
    to_shared,
)
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.api.telnyx.wire.rules import semantic_problem
from vivavoce.core.assistant import Version
from vivavoce.services import library
from vivavoce.storage.database import Tx

router = APIRouter(tags=["tools"])

Exactly = Annotated[str | None, Query(description="Exactly this.")]


@router.post("/ai/tools")
async def create(request: Request, ctx: Ctx, org: Org, body: SharedToolCreate) -> Response:
    """Keep a tool that any number of assistants can use."""
    draft = to_shared(body)

    def work(tx: Tx) -> dict[str, Any]:
        return dump_shared(library.create(ctx, tx, org, draft))

    return await once(request, ctx, 200, work)


@router.get("/ai/tools")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Paged,
    type: Annotated[Exactly, Query(alias="filter[type]")] = None,  # noqa: A002  # the wire's own name
    name: Annotated[Exactly, Query(alias="filter[name]")] = None,
) -> JSONResponse:
    """A page of shared tools, newest first; ``filter[name]`` is the display name."""
    found = await library.get_page(ctx, org, page, type_=type or None, name=name or None)
    return JSONResponse(paged([dump_shared(one) for one in found.items], found.total, page))


@router.get("/ai/tools/{tool_id}")
async def retrieve(ctx: Ctx, org: Org, tool_id: Id) -> JSONResponse:
    """One shared tool."""
    return JSONResponse(dump_shared(await library.retrieve(ctx, org, tool_id)))


@router.patch("/ai/tools/{tool_id}")
async def update(ctx: Ctx, org: Org, tool_id: Id, body: SharedToolUpdate) -> JSONResponse:
    """Change a shared tool for everybody who uses it; refused where it would break one of them."""
    changed = await library.update(ctx, org, tool_id, lambda tool: overlay(tool, body), _still_good)
    return JSONResponse(dump_shared(changed))


@router.delete("/ai/tools/{tool_id}")
async def delete(ctx: Ctx, org: Org, tool_id: Id) -> JSONResponse:
    """Remove a shared tool; refused while an assistant uses it."""
    await library.delete(ctx, org, tool_id)
    return JSONResponse({"id": tool_id, "deleted": True})


@router.put("/ai/assistants/{assistant_id}/tools/{tool_id}")
async def attach(ctx: Ctx, org: Org, assistant_id: Id, tool_id: Id) -> JSONResponse:
    """Attach a shared tool to the assistant's main version, which stays the same version."""
    return JSONResponse(dump(ctx, await library.attach(ctx, org, assistant_id, tool_id, _with_tools, check)))


@router.delete("/ai/assistants/{assistant_id}/tools/{tool_id}")
async def detach(ctx: Ctx, org: Org, assistant_id: Id, tool_id: Id) -> JSONResponse:
    """Detach a shared tool from the assistant's main version, which stays the same version."""
    return JSONResponse(dump(ctx, await library.detach(ctx, org, assistant_id, tool_id, _with_tools, check)))


@router.post("/ai/assistants/{assistant_id}/tools/{tool_id}/test")
async def attempt(ctx: Ctx, org: Org, assistant_id: Id, tool_id: Id, body: ToolTest | None = None) -> JSONResponse:
    """Call a webhook tool and show what was sent and what came back."""
    given = sent(body) if body else {}
    arguments, variables = given.get("arguments", {}), given.get("dynamic_variables", {})
    trial = await library.attempt_tool(ctx, org, assistant_id, tool_id, arguments, variables)
    return JSONResponse({"data": dump_trial(trial)})


def _with_tools(version: Version, ids: Sequence[str]) -> Version:
    body = VersionUpdate(tool_ids=list(ids))
    return assistant_overlay(version, body, version_id=version.id, now=version.created_at)


def _still_good(assistant_id: str, version: Version) -> None:
    found = semantic_problem(version)
    if found is not None:
        raise bad_request(f"Assistant {assistant_id!r} uses this tool and could not keep it: {found.detail}")
