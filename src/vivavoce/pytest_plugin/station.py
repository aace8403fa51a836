"""The server of a test session, and the thread in which its client lives."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vivavoce.client import AsyncClient
from vivavoce.running.alone import beside
from vivavoce.running.connecting import connected
from vivavoce.running.desk import Desk, open_desk
from vivavoce.running.errors import CannotStart

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Station:
    """A client of the server, the loop in which it may be used, and where functions of this process are reached."""

    client: AsyncClient
    loop: asyncio.AbstractEventLoop
    desk: Desk

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have this done in the thread of the client."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)


@dataclass(slots=True)
class Stations:
    """The station of a session: made when it is first asked for, by any thread, and closed once."""

    server: str | None
    api_key: str | None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _made: Station | None = None
    _failed: str = ""

    def get(self) -> Station:
        """The station. Raises ``CannotStart``, and the same again whenever it is asked."""
        __tracebackhide__ = True
        with self._lock:
            if self._failed:
                raise CannotStart(self._failed)
            if self._made is None:
                try:
                    self._made = self._stack.enter_context(open_station(self.server, self.api_key))
                except CannotStart as failure:
                    self._failed = str(failure)
                    raise
            return self._made

    def close(self) -> None:
        """End what was started."""
        self._stack.close()


@contextlib.contextmanager
def open_station(server: str | None, api_key: str | None) -> Generator[Station]:
    """A station at this server; without one, at a server in a process of its own, so that the warnings, signals and
    logs of the tests are theirs alone. Raises ``CannotStart``."""
    with contextlib.ExitStack() as stack:
        url, key = (server, api_key) if server else stack.enter_context(beside())
        desk = stack.enter_context(open_desk())
        yield stack.enter_context(_thread(url, key, desk))


@contextlib.contextmanager
def _thread(url: str, key: str | None, desk: Desk) -> Generator[Station]:
    ready: Future[Station] = Future()
    over = asyncio.Event()

    async def live() -> None:
        try:
            async with connected(url, key) as client:
                await client.get_suites(size=1)  # once, instead of by every test that finds nobody there
                ready.set_result(Station(client, asyncio.get_running_loop(), desk))
                await over.wait()
        except Exception as failure:  # whatever it is, whoever waits must not wait for ever
            if ready.done():
                raise
            ready.set_exception(CannotStart(str(failure) or type(failure).__name__))

    # The event loop of the tests' own thread, if there is one, stays as it is.
    thread = threading.Thread(target=lambda: asyncio.run(live()), name="viva", daemon=True)
    thread.start()
    try:
        station = ready.result()
    except CannotStart:
        thread.join()
        raise
    try:
        yield station
    finally:
        station.loop.call_soon_threadsafe(over.set)
        thread.join()
