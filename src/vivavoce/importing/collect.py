"""Fetches assistants from a provider, and turns each into a draft of ours."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from vivavoce.importing import elevenlabs, retell, vapi
from vivavoce.importing.account import Account, Names
from vivavoce.importing.provider import Down, Draft, Provider, Unfit, Unknown, Unusable
from vivavoce.outbound.fetch import Session

AT_ONCE = 8
"""How many assistants are fetched side by side: the account is somebody else's, and so is its rate."""


@dataclass(frozen=True, slots=True)
class _Way:
    headers: Callable[[str], dict[str, str]]
    names: Callable[[str], Names]
    listed: Callable[[Account], Awaitable[list[str]]]
    fetched: Callable[[Account, str], Awaitable[Draft]]


_WAYS = {
    Provider.ELEVENLABS: _Way(elevenlabs.headers, elevenlabs.names, elevenlabs.listed, elevenlabs.fetched),
    Provider.VAPI: _Way(vapi.headers, vapi.names, vapi.listed, vapi.fetched),
    Provider.RETELL: _Way(retell.headers, retell.names, retell.listed, retell.fetched),
}


async def collect(
    session: Session, provider: Provider, base_url: str, key: str, ids: Sequence[str] | None, prefix: str
) -> tuple[Draft | Unfit, ...]:
    """The assistants with these ids, or all of the account, in order. ``prefix`` stands before the names of our system
    variables.

    Raises ``KeyRefused``, ``Unknown`` for an id that the provider does not know, ``Unusable`` where there are too many,
    and ``Down``.
    """
    way = _WAYS[provider]
    account = Account(session, base_url, way.headers(key), way.names(prefix))
    try:
        wanted = await way.listed(account) if ids is None else ids
    except Unknown as failure:
        raise Down(str(failure)) from failure
    places = asyncio.Semaphore(AT_ONCE)

    async def one(id_: str) -> Draft | Unfit:
        async with places:
            try:
                return await way.fetched(account, id_)
            except Unusable as failure:
                return Unfit(id_, str(failure))
            except Unknown as failure:
                if ids is not None:
                    raise Unknown(id_) from failure
                return Unfit(id_, "it was listed, and is not there")

    tasks = [asyncio.create_task(one(id_)) for id_ in dict.fromkeys(filter(None, wanted))]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
