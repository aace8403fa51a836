"""``viva serve``: the dashboard and the APIs, and a worker in the same process unless others work."""

import asyncio
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli import options

if TYPE_CHECKING:
    from vivavoce.settings import Settings

Works = Annotated[bool, typer.Option("--worker/--no-worker", help="Whether this process drives runs itself.")]


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [VIVA_HOST, default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. [VIVA_PORT, default: 8080]")] = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    works: Works = True,
) -> None:
    """Start the server: the dashboard, the APIs and a worker that examines.

    With PostgreSQL any number of `viva worker` processes share the work; then --no-worker leaves all of it to them.

    Example: viva serve --port 8080 --data-dir data
    """
    from vivavoce.cli.lean import hurry

    hurry()
    from vivavoce.cli import process

    chosen = options.settings(host=host, port=port, data_dir=data_dir, database_url=database_url)
    if not works and chosen.file is not None:
        typer.echo(
            "--no-worker needs PostgreSQL (VIVA_DATABASE_URL): no other process can work on a SQLite file, so nothing "
            "would ever run.",
            err=True,
        )
        raise typer.Exit(process.CANNOT_START)
    with process.listen(chosen.host, chosen.port) as listener:
        process.run(chosen, lambda told: _serve(chosen, listener, told, works=works))


async def _serve(chosen: "Settings", listener: socket.socket, told: asyncio.Event, *, works: bool) -> None:
    from vivavoce.app import application
    from vivavoce.cli import process
    from vivavoce.house import house

    process.settle_memory()
    async with house(chosen, works=works) as opened:
        typer.echo(f"Viva Voce listens on {process.address(chosen.host, listener)}")
        if opened.first_key:
            typer.echo(f"Your admin API key, shown this once: {opened.first_key}")

        async def rest() -> None:
            # At once, and not when the last client has been answered: what is not driven here is driven elsewhere.
            await told.wait()
            await opened.rest()

        await asyncio.gather(process.serve_until(told, application(chosen, opened), listener), rest())
