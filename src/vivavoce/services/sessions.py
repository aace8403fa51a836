"""Sessions: opened with a key, ended by logging out, by time, or with the key."""

from collections.abc import Callable

from vivavoce.core.event import Millis
from vivavoce.services.context import Context
from vivavoce.storage import keys, sessions
from vivavoce.storage.database import Tx
from vivavoce.storage.sessions import Session

LASTS_MS = 7 * 24 * 3600 * 1000
"""A session is over after this, used or not."""
IDLE_MS = 24 * 3600 * 1000
"""And after this without being used."""
_NOTED_MS = 5 * 60 * 1000
"""That it is used is not written down more often than this."""


async def begin(ctx: Context, secret: str, token: Callable[[int], str]) -> tuple[str, Millis] | None:
    """The token of a new session, and when it is over; None where the secret opens nothing. ``token(n)`` gives n random
    bytes as URL-safe text."""
    made = token(32)
    now = ctx.clock.now()

    def work(tx: Tx) -> bool:
        key = keys.find(tx, secret)
        if key is None:
            return False
        sessions.add(tx, key.org, key.id, made, now, now + LASTS_MS)
        return True

    return (made, now + LASTS_MS) if await ctx.database.write(work) else None


async def find(ctx: Context, token: str) -> Session | None:
    """The session that this token opens, or None."""
    now = ctx.clock.now()
    found = await ctx.database.read(lambda tx: sessions.find(tx, token, now, now - IDLE_MS))
    if found is not None and found.used_at < now - _NOTED_MS:
        await ctx.database.write(lambda tx: sessions.touch(tx, found.id, now))
    return found


async def is_open(ctx: Context, session: Session) -> bool:
    """Whether it still lasts: for whoever goes on showing something. To look on does not make it last longer."""
    now = ctx.clock.now()
    return await ctx.database.read(lambda tx: sessions.is_open(tx, session.id, now, now - IDLE_MS))


async def end(ctx: Context, session: Session) -> None:
    """Log out."""
    await ctx.database.write(lambda tx: sessions.end(tx, session.id))
