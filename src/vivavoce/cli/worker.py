"""``viva worker``: drives runs, beside any number of others on any number of machines."""

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from vivavoce.cli import options

if TYPE_CHECKING:
    from vivavoce.settings import Settings

Concurrency = Annotated[
    int | None, typer.Option(help="How many runs it drives side by side. [VIVA_WORKER_CONCURRENCY, default: 256]")
]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Serve /healthz, /readyz and /metrics on this port; 0 takes a free one."),
]
Host = Annotated[str | None, typer.Option(help="Address for --port. [VIVA_HOST, default: 127.0.0.1]")]


def worker(
    database_url: options.DatabaseUrl = None,
    concurrency: Concurrency = None,
    port: Port = None,
    host: Host = None,
) -> None:
    """Drive runs from the queue of a PostgreSQL database, together with all others that work on it.

    It stops at SIGTERM or Ctrl+C: it takes nothing more, and what it drives is handed to others within
    VIVA_GRACE_SECONDS. A second signal ends it at once.

    Example: viva worker --database-url postgresql://viva:secret@db.example.com/viva --concurrency 200
    """
    from vivavoce.cli.lean import hurry

    hurry()
    from vivavoce.cli import process

    chosen = options.settings(host=host, database_url=database_url, worker_concurrency=concurrency)
    if chosen.file is not None:
        typer.echo(
            "viva worker needs PostgreSQL (--database-url or VIVA_DATABASE_URL). A SQLite file belongs to one process, "
            "and that is `viva serve`, which drives the runs itself.",
            err=True,
        )
        raise typer.Exit(process.CANNOT_START)
    with contextlib.ExitStack() as stack:
        listener = None if port is None else stack.enter_context(process.listen(chosen.host, port))
        process.run(chosen, lambda told: _work(chosen, listener, told))


async def _work(chosen: "Settings", listener: socket.socket | None, told: asyncio.Event) -> None:
    from vivavoce.cli import process
    from vivavoce.house import health, house

    process.settle_memory()
    async with house(chosen, serves=False, metrics=listener is not None) as opened:
        typer.echo(f"Viva Voce works on {_shown(chosen.url)} as worker {opened.worker_id}")
        if listener is None:
            await told.wait()
            return
        typer.echo(f"Its health is on {process.address(chosen.host, listener)}")
        rested = asyncio.Event()

        async def rest() -> None:
            await told.wait()
            await opened.rest()
            rested.set()

        # Health is answered until all is handed over.
        await asyncio.gather(process.serve_until(rested, health(opened), listener), rest())


def _shown(url: str) -> str:
    """The database's address without its password, which may also be among the parameters."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"postgresql://{place}{parts.path}"
