"""Server-sent events (WHATWG HTML, section 9.2), from a stream of the watcher."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vivavoce.services.context import Context
from vivavoce.services.news import Item
from vivavoce.services.watching import Stream

KEEP_ALIVE_S = 15.0
STUCK_S = 60.0
"""How long a client may take nothing of what it is sent."""
TOGETHER = 100
"""How many events are sent in one piece."""
HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    # Proxies that gather an answer before they hand it on are told not to.
    "x-accel-buffering": "no",
}

Dump = Callable[[Item], tuple[str, Mapping[str, Any]]]
"""The name of an event, and its data."""


class EventStream(Response):
    """An answer that goes on until there is nothing more to tell, or one of the two sides leaves."""

    def __init__(self, ctx: Context, stream: Stream, dump: Dump) -> None:
        self._ctx, self._stream, self._dump = ctx, stream, dump
        self.status_code, self.background = 200, None
        self.init_headers(HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes."""
        outbox = self._stream.outbox
        self._ctx.watcher.join(self._ctx.database, self._stream)
        listening = asyncio.create_task(_until_gone(receive))
        listening.add_done_callback(lambda _: outbox.end("gone"))
        try:
            async with asyncio.timeout(STUCK_S) as patience:
                loop = asyncio.get_running_loop()
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                while not outbox.over:
                    patience.reschedule(None)
                    items = await outbox.take(TOGETHER, KEEP_ALIVE_S)
                    patience.reschedule(loop.time() + STUCK_S)
                    text = "".join(map(self._block, items))
                    if not items and outbox.farewell is None:
                        text = _idle(outbox.place)
                    if text and not listening.done():
                        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                if not listening.done():
                    await send({"type": "http.response.body", "body": f": {outbox.farewell}\n\n".encode()})
        finally:
            self._ctx.watcher.leave(self._stream)
            listening.cancel()

    def _block(self, item: Item) -> str:
        name, data = self._dump(item)
        return f"id: {item.place}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def _idle(place: str) -> str:
    """Nothing happened; a client that remembers the id need not go through it again."""
    return f": keep-alive\nid: {place}\n\n" if place else ": keep-alive\n\n"


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
