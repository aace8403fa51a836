"""Looking for work: when woken, and every so often, because other processes make work too."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from vivavoce.engine.upkeep import tell

AWAY_S = 1.0
"""How long nobody looks after a look that failed."""

log = structlog.get_logger(__name__)


async def keep_looking(take: Callable[[], Awaitable[float]], woken: asyncio.Event, longest_s: float) -> NoReturn:
    """Call ``take`` again and again: when ``woken`` is set, or after the seconds that it returns. Where it fails nobody
    is woken for a while, and the next look is after ``longest_s`` or a little later."""
    failed = False
    while True:
        try:
            wait_s = await take()
        except Exception as failure:  # noqa: BLE001  # whatever it is, there is a next look
            if not failed:
                tell("looking for work failed", failure)
            failed = True
            await asyncio.sleep(max(longest_s, AWAY_S))
            continue
        if failed:
            log.info("looking for work is possible again")
        failed = False
        # Whoever wakes from here on is heard, also in the moment in which the time is up: what was woken for is looked
        # for after this.
        try:
            async with asyncio.timeout(wait_s):
                await woken.wait()
        except TimeoutError:
            pass
        woken.clear()
