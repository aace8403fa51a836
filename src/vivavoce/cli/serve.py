"""``viva serve``: API and worker in one process."""

import asyncio
import contextlib
import ctypes
import gc
import signal
import socket
from types import FrameType
from typing import Annotated

import typer

from vivavoce.cli import options

_M_ARENA_MAX = -8  # malloc.h


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [VIVA_HOST, default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. [VIVA_PORT, default: 8080]")] = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Start the server: the APIs and a worker that examines.

    Example: viva serve --port 8080 --data-dir data
    """
    from vivavoce.cli.logs import configure
    from vivavoce.directory import DirectoryBusy
    from vivavoce.services.errors import Rejected
    from vivavoce.storage.database import DatabaseUnreachable

    chosen = options.settings(host=host, port=port, data_dir=data_dir, database_url=database_url)
    configure(chosen.log_format)
    run = asyncio.run
    with contextlib.suppress(ImportError):  # Windows has none
        from uvloop import run
    # Bound before anything is opened, so that a port in use is told at once and nothing has happened.
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    try:
        listener = socket.create_server((chosen.host, chosen.port), family=family, backlog=2048)
    except OSError as failure:
        typer.echo(f"Cannot listen on {chosen.host}:{chosen.port}: {failure}", err=True)
        raise typer.Exit(2) from failure
    try:
        with listener:
            run(_serve(chosen, listener))
    except (DirectoryBusy, DatabaseUnreachable, Rejected, OSError) as failure:
        typer.echo(f"Cannot start: {failure}", err=True)
        raise typer.Exit(2) from failure


def _handled(_signal: int, _frame: FrameType | None) -> None:
    """The signal has done its work."""


def _settle_memory() -> None:
    """Keep the process small and the collector idle.

    What was imported stays for good and need not be walked again and again. glibc gives each thread an arena of its
    own, which fragments; two are enough for threads that mostly wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, 2)


async def _serve(settings: object, listener: socket.socket) -> None:
    import uvicorn

    from vivavoce.app import application, house
    from vivavoce.settings import Settings

    assert isinstance(settings, Settings)
    _settle_memory()
    async with house(settings) as opened:
        config = uvicorn.Config(
            application(settings, opened),
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            # A client that never finishes must not keep the runs from being given back.
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        for stop in (signal.SIGINT, signal.SIGTERM):
            # The server raises the signal again when it has stopped, and by default that would end the process before
            # the house is closed.
            signal.signal(stop, _handled)
        port = listener.getsockname()[1]
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        typer.echo(f"Viva Voce listens on http://{shown}:{port}")
        if opened.first_key:
            typer.echo(f"Your admin API key, shown this once: {opened.first_key}")
        await server.serve(sockets=[listener])
