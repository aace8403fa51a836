"""Agents for calls and for chats, and their versions (contract, section 8)."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse, Response

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.versions import missing, number_of, settled
from vivavoce.api.retell.wire import agents as wire
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.paging import MOST, Key, Limit, Order, behind, paged, span
from vivavoce.api.shape import sent
from vivavoce.core.assistant import Form
from vivavoce.services import engines
from vivavoce.services.context import Context

router = APIRouter(tags=["agents"])

Named = Annotated[
    str | None, Query(alias="version", max_length=64, description="A number, latest, latest_published, or a tag.")
]
LastId = Annotated[
    str | None, Query(alias="pagination_key", max_length=256, description="The id of the last agent, exclusive.")
]
LastVersion = Annotated[
    int | None, Query(alias="pagination_key_version", description="The version of the last agent, exclusive.")
]


async def _created(ctx: Context, org: str, channel: wire.Channel, body: wire.AgentShape) -> JSONResponse:
    given = sent(body)
    draft, plays = wire.to_version(channel, given), wire.spoken_as(given)
    with missing("", engine=wire.engine_id(given)):
        made = await ctx.database.write(
            lambda tx: engines.create(ctx, tx, org, wire.FORMS[channel], draft, plays=plays)
        )
    return JSONResponse(wire.dump(made, made.main), 201)


async def _found(ctx: Context, org: str, channel: wire.Channel, agent_id: str, named: str | None) -> JSONResponse:
    id_, forms = read("agent", agent_id), (wire.FORMS[channel],)
    with missing(agent_id):
        number = await number_of(ctx, org, id_, forms, named)
        found = await engines.retrieve(ctx, org, id_, forms, number)
    return JSONResponse(wire.dump(*found))


async def _updated(
    ctx: Context, org: str, channel: wire.Channel, agent_id: str, body: wire.AgentShape, named: str | None
) -> JSONResponse:
    given = sent(body)
    id_, forms = read("agent", agent_id), (wire.FORMS[channel],)
    with missing(agent_id, engine=wire.engine_id(given)):
        number = await number_of(ctx, org, id_, forms, named)
        found = await engines.edit(
            ctx,
            org,
            id_,
            forms,
            lambda before: wire.patched(channel, before, given),
            number,
            plays=wire.spoken_as(given),
        )
    return JSONResponse(wire.dump(*found))


async def _deleted(ctx: Context, org: str, channel: wire.Channel, agent_id: str) -> Response:
    with missing(agent_id):
        await engines.delete(ctx, org, read("agent", agent_id), (wire.FORMS[channel],), force=True)
    return Response(status_code=204)


async def _versions(ctx: Context, org: str, forms: Sequence[Form], agent_id: str) -> JSONResponse:
    with missing(agent_id):
        agent, found = await engines.get_versions(ctx, org, read("agent", agent_id), forms)
    return JSONResponse([wire.dump(agent, version) for version in found])


async def _every(
    ctx: Context, org: str, channel: wire.Channel, limit: int, last: str | None, number: int | None, *, latest: bool
) -> JSONResponse:
    after, forms = behind("agent", last, number), (wire.FORMS[channel],)
    found = await engines.get_every_version(ctx, org, forms, limit, after, newest=latest)
    return JSONResponse([wire.dump(*one) for one in found])


# --- agents for calls -----------------------------------------------------------------------------------------------


@router.post("/create-agent", status_code=201)
async def create(ctx: Ctx, org: Org, body: wire.NewVoiceAgent) -> JSONResponse:
    """Create one; it begins as the draft 0."""
    return await _created(ctx, org, "voice", body)


@router.get("/get-agent/{agent_id}")
async def retrieve(ctx: Ctx, org: Org, agent_id: Id, named: Named = None) -> JSONResponse:
    """One version, the newest if none is named."""
    return await _found(ctx, org, "voice", agent_id, named)


@router.patch("/update-agent/{agent_id}")
async def update(ctx: Ctx, org: Org, agent_id: Id, body: wire.VoiceAgent, named: Named = None) -> JSONResponse:
    """Change a draft in its place; what is left out stays as it is."""
    return await _updated(ctx, org, "voice", agent_id, body, named)


@router.delete("/delete-agent/{agent_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, agent_id: Id) -> Response:
    """Delete one with all its versions; what it speaks as stays."""
    return await _deleted(ctx, org, "voice", agent_id)


@router.get("/get-agent-versions/{agent_id}")
async def get_versions(ctx: Ctx, org: Org, agent_id: Id) -> JSONResponse:
    """Every version of one, the newest first."""
    return await _versions(ctx, org, engines.AGENTS, agent_id)


@router.get("/list-agents")
async def get_all(
    ctx: Ctx,
    org: Org,
    limit: Limit = MOST,
    last: LastId = None,
    number: LastVersion = None,
    is_latest: bool = False,
) -> JSONResponse:
    """Every version of all of them, or the newest of each (contract, section 1.3, legacy)."""
    return await _every(ctx, org, "voice", limit, last, number, latest=is_latest)


# --- agents for chats -----------------------------------------------------------------------------------------------


@router.post("/create-chat-agent", status_code=201)
async def create_chat_agent(ctx: Ctx, org: Org, body: wire.NewChatAgent) -> JSONResponse:
    """Create one; it begins as the draft 0."""
    return await _created(ctx, org, "chat", body)


@router.get("/get-chat-agent/{agent_id}")
async def retrieve_chat_agent(ctx: Ctx, org: Org, agent_id: Id, named: Named = None) -> JSONResponse:
    """One version, the newest if none is named."""
    return await _found(ctx, org, "chat", agent_id, named)


@router.patch("/update-chat-agent/{agent_id}")
async def update_chat_agent(
    ctx: Ctx, org: Org, agent_id: Id, body: wire.ChatAgent, named: Named = None
) -> JSONResponse:
    """Change a draft in its place; what is left out stays as it is."""
    return await _updated(ctx, org, "chat", agent_id, body, named)


@router.delete("/delete-chat-agent/{agent_id}", status_code=204)
async def delete_chat_agent(ctx: Ctx, org: Org, agent_id: Id) -> Response:
    """Delete one with all its versions; what it speaks as stays."""
    return await _deleted(ctx, org, "chat", agent_id)


@router.get("/get-chat-agent-versions/{agent_id}")
async def get_chat_agent_versions(ctx: Ctx, org: Org, agent_id: Id) -> JSONResponse:
    """Every version of one, the newest first."""
    return await _versions(ctx, org, engines.AGENTS, agent_id)


@router.get("/list-chat-agents")
async def get_all_chat_agents(
    ctx: Ctx,
    org: Org,
    limit: Limit = MOST,
    last: LastId = None,
    number: LastVersion = None,
    is_latest: bool = False,
) -> JSONResponse:
    """Every version of all of them, or the newest of each (contract, section 1.3, legacy)."""
    return await _every(ctx, org, "chat", limit, last, number, latest=is_latest)


# --- both -----------------------------------------------------------------------------------------------------------


@router.post("/v2/list-agents")
async def get_slice(
    ctx: Ctx,
    org: Org,
    limit: Limit = 50,
    pagination_key: Key = None,
    sort_order: Order = "descending",
    body: Annotated[wire.Listing | None, Body()] = None,
) -> JSONResponse:
    """Agents of both channels with their newest versions, the newest first."""
    wanted = span("agents", limit, pagination_key, sort_order)
    found = await engines.get_slice(
        ctx, org, wire.forms_of(body), wanted, (lambda one: wire.is_wanted(body, one)) if body else None
    )
    last = found.items[-1].id if found.items else None
    return JSONResponse(paged("agents", [wire.dump_item(one) for one in found.items], last, more=found.more))


@router.get("/list-agent-versions/{agent_id}")
async def get_version_slice(
    ctx: Ctx, org: Org, agent_id: Id, limit: Limit = 50, pagination_key: Key = None, sort_order: Order = "descending"
) -> JSONResponse:
    """The versions of an agent of either channel, the newest first."""
    kind = "agent-versions"
    wanted = span(kind, limit, pagination_key, sort_order)
    if wanted.after is not None and not wanted.after.isdecimal():
        raise Refused(400, "pagination_key is not a key that this list has given out.")
    with missing(agent_id):
        _, found = await engines.get_versions(ctx, org, read("agent", agent_id), engines.AGENTS)
    after = None if wanted.after is None else int(wanted.after)
    rest = [
        one
        for one in (reversed(found) if wanted.ascending else found)
        if after is None or (one.number > after if wanted.ascending else one.number < after)
    ]
    last = str(rest[:limit][-1].number) if rest else None
    return JSONResponse(paged(kind, [wire.dump_version(one) for one in rest[:limit]], last, more=len(rest) > limit))


@router.post("/create-agent-version/{agent_id}", status_code=201)
async def create_version(ctx: Ctx, org: Org, agent_id: Id, body: wire.NewVersion) -> JSONResponse:
    """A new draft of an agent of either channel, copied from a version of it; and of what it speaks as."""
    with missing(agent_id, status=404):
        found = await engines.branch(ctx, org, read("agent", agent_id), engines.AGENTS, body.base_version)
    return JSONResponse(wire.dump(*found), 201)


@router.post("/publish-agent-version/{agent_id}")
async def publish_version(ctx: Ctx, org: Org, agent_id: Id, body: wire.Publication) -> JSONResponse:
    """Publish a version of an agent of either channel, and of what it speaks as: they never change again."""
    with missing(agent_id, status=404), settled():
        await engines.publish(
            ctx,
            org,
            read("agent", agent_id),
            engines.AGENTS,
            body.version,
            body.version_title,
            body.version_description,
        )
    return JSONResponse({})


@router.post("/publish-agent/{agent_id}")
async def publish(ctx: Ctx, org: Org, agent_id: Id) -> JSONResponse:
    """Publish the newest version, and make the next draft from it (contract, section 8, older behaviour)."""
    with missing(agent_id), settled():
        await engines.publish(ctx, org, read("agent", agent_id), engines.AGENTS, None, opens=True)
    return JSONResponse({})


@router.delete("/delete-agent-version/{agent_id}", status_code=204)
async def delete_version(ctx: Ctx, org: Org, agent_id: Id, version: Annotated[int, Query(ge=0)]) -> Response:
    """Delete a draft of an agent of either channel, and the draft that it speaks as."""
    with missing(agent_id, status=404), settled():
        await engines.drop_version(ctx, org, read("agent", agent_id), engines.AGENTS, version)
    return Response(status_code=204)
