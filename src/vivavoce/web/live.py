"""Pages that go on while somebody looks: a part of them is sent anew whenever something happens (server-sent events,
WHATWG HTML, section 9.2). The page puts it in the place of what it shows; without JavaScript it is loaded again."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vivavoce.api.gate import away
from vivavoce.services import sessions
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.news import END
from vivavoce.services.watching import Stream, TooMany
from vivavoce.storage.database import DatabaseAway
from vivavoce.storage.sessions import Session

KEEP_ALIVE_S = 15.0
STUCK_S = 60.0
"""How long a browser may take nothing of what it is sent."""
TOGETHER = 1_000
"""How many happenings may lead to one new part."""
OVER = "over"
"""The event behind the last part: the browser hangs up, and does not come back."""
_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    # Proxies that gather an answer before they hand it on are told not to.
    "x-accel-buffering": "no",
}


class Live(Response):
    """An answer that goes on until what is watched is over, the reader leaves, or their session is over. ``part``
    renders what is shown, as HTML, and is asked again at most every ``pause_s`` seconds; ``at_once`` also before
    anything happens."""

    def __init__(
        self,
        ctx: Context,
        session: Session,
        stream: Stream,
        part: Callable[[], Awaitable[str]],
        pause_s: float,
        *,
        at_once: bool,
    ) -> None:
        self._ctx, self._session, self._stream = ctx, session, stream
        self._part, self._pause_s, self._at_once = part, pause_s, at_once
        self.status_code, self.background = 200, None
        self.init_headers(_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes."""
        outbox = self._stream.outbox
        self._ctx.watcher.join(self._ctx.database, self._stream)
        listening = asyncio.create_task(_until_gone(receive))
        listening.add_done_callback(lambda _: outbox.end("gone"))
        patience = asyncio.timeout(STUCK_S)
        try:
            async with patience:
                loop = asyncio.get_running_loop()
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                changed = self._at_once
                while changed or not outbox.over:
                    patience.reschedule(None)
                    if not changed:
                        changed = bool(await outbox.take(TOGETHER, KEEP_ALIVE_S))
                    try:
                        if not await sessions.is_open(self._ctx, self._session):
                            outbox.end(END)  # it need not come back: nothing is shown to it any more
                            break
                        text = block(await self._part()) if changed else ": keep-alive\n\n"
                    except NotFound:  # it was deleted meanwhile
                        outbox.end(END)
                        break
                    except DatabaseAway as failure:
                        outbox.end(away(failure))  # the browser comes back by itself
                        break
                    patience.reschedule(loop.time() + STUCK_S)
                    if not listening.done():
                        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                    patience.reschedule(None)
                    if changed and not outbox.over:
                        await asyncio.wait([listening], timeout=self._pause_s)
                    changed = False
                if not listening.done():
                    patience.reschedule(loop.time() + STUCK_S)
                    # A server that stops is no end: the browser comes back, and another one may answer.
                    last = f"event: {OVER}\ndata: \n\n" if outbox.farewell == END else f": {outbox.farewell}\n\n"
                    await send({"type": "http.response.body", "body": last.encode()})
        except TimeoutError:
            if not patience.expired():
                raise
            # The browser sleeps; it comes back by itself.
        finally:
            self._ctx.watcher.leave(self._stream)
            listening.cancel()


def answer(
    ctx: Context,
    session: Session,
    part: Callable[[], Awaitable[str]],
    pause_s: float,
    *,
    run_id: str | None = None,
    batch_id: str | None = None,
    at_once: bool = False,
) -> Response:
    """Such an answer about a run, a batch or all runs of the session's organisation, or nothing where there is no room
    for another one: the page stays as it is."""
    stream = Stream(session.org, session.key_id, run_id, batch_id)
    try:
        ctx.watcher.admit(stream.key_id)
    except TooMany:
        return Response(status_code=204)
    return Live(ctx, session, stream, part, pause_s, at_once=at_once)


def block(html: str) -> str:
    """HTML as one event."""
    # A carriage return would end the line too.
    return "".join(f"data: {line}\n" for line in html.replace("\r", "&#13;").split("\n")) + "\n"


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
