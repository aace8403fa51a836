"""What the commands that stay have in common: how they start, listen, and stop when they are told to."""

import asyncio
import contextlib
import ctypes
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import structlog
import typer
import uvicorn

from vivavoce.cli.logs import configure, tell_of_lost_failures
from vivavoce.directory import DirectoryBusy
from vivavoce.services.errors import Rejected
from vivavoce.settings import Settings
from vivavoce.storage.database import DatabaseAway, DatabaseUnreachable, away_because

log = structlog.get_logger(__name__)

CANNOT_START = 2
_M_ARENA_MAX = -8  # malloc.h
_TURN_S = 0.0005
"""How long a thread may keep the interpreter to itself. Whoever comes back from the database waits that long for its
turn, several times in every transaction; Python's own 5 ms would be most of the time that a commit takes."""
_CLIENTS_S = 10
"""How long clients may take to finish when the process is told to stop."""


def run(chosen: Settings, main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Do ``main`` until it is over; its event is set when the process is told to stop (SIGTERM, SIGINT).

    What stands in the way of the start is told in one line, and ends the process with code 2.
    """
    configure(chosen.log_format, chosen.log_level)
    sys.setswitchinterval(_TURN_S)
    start = asyncio.run
    with contextlib.suppress(ImportError):  # Windows has none
        from uvloop import run as start

    async def begun() -> None:
        asyncio.get_running_loop().set_exception_handler(tell_of_lost_failures)
        await main(_stop_when_told())

    try:
        start(begun())
    except (DirectoryBusy, DatabaseUnreachable, Rejected, OSError) as failure:
        typer.echo(f"Cannot start: {failure}", err=True)
        raise typer.Exit(CANNOT_START) from failure
    except DatabaseAway as failure:
        typer.echo(f"Cannot start: {away_because(failure)}", err=True)
        raise typer.Exit(CANNOT_START) from failure


def _stop_when_told() -> asyncio.Event:
    """Set at the first signal. The second one does what signals do when nobody handles them: it ends the process."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop(number: int) -> None:
        if told.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        log.info("stopping", signal=signal.Signals(number).name)
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda number, _frame: loop.call_soon_threadsafe(stop, number))
    return told


def settle_memory() -> None:
    """Keep the process small and the collector idle.

    What was imported stays for good and need not be walked again and again. glibc gives each thread an arena of its
    own, which fragments; one is enough for threads of which one at a time runs Python and the others mostly wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, 1)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Bound before anything is opened, so that a port in use is told at once and nothing has
    happened; that ends the process with code 2."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as failure:
        typer.echo(f"Cannot listen on {host}:{port}: {failure}", err=True)
        raise typer.Exit(CANNOT_START) from failure


def address(host: str, listener: socket.socket) -> str:
    """Where a client reaches it."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


class _Listening(uvicorn.Server):
    """Leaves the signals to us, who stop the worker in the same moment."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def serve_until(told: asyncio.Event, app: Callable[..., Any], listener: socket.socket) -> None:
    """Serve HTTP until it is time to stop, and let those finish who are being answered then."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        ws="none",  # nobody speaks it here, and its library need not be there
        lifespan="off",
        server_header=False,
        # A client that never finishes must not keep the process from stopping.
        timeout_graceful_shutdown=_CLIENTS_S,
    )
    server = _Listening(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    waiting = asyncio.create_task(told.wait())
    try:
        await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        server.should_exit = True
        await serving
