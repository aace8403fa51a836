"""An application that is imported and made when the first request comes for it."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class Later:
    """ASGI. ``make`` is called in a thread, so that whatever else goes on goes on; requests that come meanwhile wait.

    An installation that is spoken to by one vendor's programs neither starts later nor grows larger for the other's.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make, self._made = make, None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        made = self._made
        if made is None:
            async with self._making:
                made = self._made = self._made or await asyncio.to_thread(self._make)
        await made(scope, receive, send)
