"""A database that goes away when a test wants it to, and a server of this process that has one."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

import structlog
import uvicorn
from sqlalchemy.exc import OperationalError
from starlette.types import ASGIApp, Receive, Scope, Send

from vivavoce.app import application
from vivavoce.cli.process import address, listen
from vivavoce.house import house
from vivavoce.settings import Settings
from vivavoce.storage.database import Database, Tx

When = Literal["after", "before"]
Where = Literal["requests", "runs"]
FORGIVEN = ("the database is away, and it is written again", "giving a turn back failed")
"""What the log says of what is done once more, and then well."""
WHENS: tuple[When, ...] = get_args(When)
START_S = 30.0
MOST = 40
"""More transactions than any request or run takes."""

AWAY = OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

_Asked = Callable[[Callable[[Tx], Any]], Awaitable[Any]]


@dataclass
class Outage:
    """Of the transactions that are counted the one with number ``at`` fails, from 1 on; 0 is none.

    ``before``: no connection could be had. ``after``: it broke when all was done, and whoever waits cannot tell whether
    it was kept, which it was; but where there is no network in between, on SQLite, it was not. ``failure`` is raised,
    and ``struck`` says that it happened.
    """

    at: int = 0
    when: When = "before"
    failure: Exception = AWAY
    struck: bool = False
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begins(self, at: int, when: When) -> None:
        """Count from here on."""
        with self._lock:
            self.at, self.when, self.struck, self._seen = at, when, False, 0

    def ends(self) -> bool:
        """Fail no more. Whether a transaction failed."""
        with self._lock:
            self.at = 0
            return self.struck

    async def reach(self, whole: _Asked, work: Callable[[Tx], Any], *, sqlite: bool) -> Any:
        """Do the work, or fail at it."""
        with self._lock:
            self._seen += 1
            mine = self._seen == self.at
        if not mine:
            return await whole(work)
        if self.when == "after":
            await whole(partial(self._undone, work=work) if sqlite else work)
        self.struck = True
        raise self.failure

    def _undone(self, tx: Tx, work: Callable[[Tx], Any]) -> None:
        work(tx)
        self.struck = True
        raise self.failure


def weaken(database: Database, outage: Outage, counts: Callable[[], bool] = lambda: True) -> None:
    """Let the outage reach what is done with this database, where it ``counts``."""

    def weak(whole: _Asked) -> _Asked:
        return lambda work: outage.reach(whole, work, sqlite=database.sqlite) if counts() else whole(work)

    database.read, database.write = weak(database.read), weak(database.write)  # type: ignore[method-assign]


_requested: ContextVar[bool] = ContextVar("requested", default=False)


def _is_of_a_run() -> bool:
    return "run" in structlog.contextvars.get_contextvars()


@contextlib.contextmanager
def weak_server(settings: Settings, outage: Outage, *, of: Where) -> Generator[str]:
    """The address of a server while the block lasts. The outage reaches what requests do, or what runs do."""
    listener = listen("127.0.0.1", 0)
    told, stop = threading.Event(), list[Callable[[], object]]()

    def marked(app: ASGIApp) -> ASGIApp:
        async def asked(scope: Scope, receive: Receive, send: Send) -> None:
            _requested.set(True)
            await app(scope, receive, send)

        return asked

    async def serve() -> None:
        enough = asyncio.Event()
        async with house(settings, metrics=False) as opened:
            weaken(opened.context.database, outage, _requested.get if of == "requests" else _is_of_a_run)
            app = marked(application(settings, opened))
            server = _Listening(uvicorn.Config(app, access_log=False, log_config=None, lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(enough.set))
            told.set()
            await enough.wait()
            await opened.rest()
            server.should_exit = True
            await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert told.wait(START_S)
        yield address("127.0.0.1", listener)
    finally:
        for one in stop:
            one()
        thread.join()


class _Listening(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the test's."""
        yield
