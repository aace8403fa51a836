"""Voices and concurrency (contract, section 12)."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.core.status import Status
from vivavoce.services import runs
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter

router = APIRouter(tags=["surroundings"])

_GOING_ON = frozenset({Status.STARTING, Status.RUNNING})


def _voice(provider: str, name: str, gender: str) -> dict[str, Any]:
    return {"voice_id": f"{provider}-{name.lower()}", "voice_name": name, "provider": provider, "gender": gender}


VOICES = {
    voice["voice_id"]: voice
    for voice in (
        _voice("platform", "Anna", "female"),
        _voice("platform", "Ben", "male"),
        _voice("openai", "Nova", "female"),
        _voice("openai", "Shimmer", "female"),
        _voice("openai", "Echo", "male"),
        _voice("openai", "Onyx", "male"),
    )
}
"""Names for agents to have. Nobody hears them: all conversations here are text."""


@router.get("/list-voices")
async def get_voices() -> JSONResponse:
    """A few voices. Agents may name any other."""
    return JSONResponse(list(VOICES.values()))


@router.get("/get-voice/{voice_id}")
async def get_voice(voice_id: Id) -> JSONResponse:
    """One of them."""
    if voice_id not in VOICES:
        raise Refused(422, f"There is no such voice: {voice_id!r}.")
    return JSONResponse(VOICES[voice_id])


@router.get("/get-concurrency")
async def get_concurrency(ctx: Ctx, org: Org) -> JSONResponse:
    """How many test runs go on, and how many one server conducts at the same time. Nothing can be bought here."""
    found = await runs.get_page(ctx, org, RunFilter(statuses=_GOING_ON), Window(1, 1))
    limit = ctx.limits.concurrency
    return JSONResponse(
        {
            "current_concurrency": found.total,
            "concurrency_limit": limit,
            "base_concurrency": limit,
            "purchased_concurrency": 0,
            "concurrency_purchase_limit": 0,
            "remaining_purchase_limit": 0,
            "concurrency_burst_enabled": False,
            "concurrency_burst_limit": 0,
            "reserved_inbound_concurrency": 0,
        }
    )
