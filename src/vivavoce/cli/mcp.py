"""``viva mcp``: tools for coding agents."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from vivavoce.cli import options, server

Http = Annotated[bool, typer.Option("--http", help="Serve over HTTP instead of standard input and output.")]
Host = Annotated[str, typer.Option(help="With --http: the address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="With --http: the port; 0 takes a free one.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="With --http: another name[:port] by which clients call it; may be repeated."),
]


def mcp(
    at: server.Server = None,
    api_key: server.ApiKey = None,
    data_dir: options.DataDir = None,
    http: Http = False,
    host: Host = "127.0.0.1",
    port: Port = 8090,
    allow_host: AllowHost = None,
) -> None:
    """Serve the Model Context Protocol: list and run suites, read verdicts with their evidence, write tests, compare.

    Without --server a server of its own is started on this machine, which keeps its record in --data-dir. Over HTTP
    callers send a key of the server as bearer.

    Example: viva mcp --data-dir .viva
    """
    if http:
        _over_http(at, data_dir, host, port, allow_host or [])
        return

    async def main() -> int:
        from vivavoce.agents.serving import on_stdio
        from vivavoce.running.connecting import connected

        async with connected(at, api_key, data_dir) as client:
            await on_stdio(client)
        return 0

    server.run(main)


def _over_http(at: str | None, data_dir: Path | None, host: str, port: int, allowed: list[str]) -> None:
    from contextlib import AsyncExitStack

    from vivavoce.cli import process
    from vivavoce.running.errors import CannotStart

    async def serve(told: asyncio.Event) -> None:
        from vivavoce.agents.serving import PATH, over_http
        from vivavoce.clock import SystemClock
        from vivavoce.running.embedded import embedded

        async with AsyncExitStack() as stack:
            url = at
            if url is None:
                own = await stack.enter_async_context(embedded(data_dir))
                url = own.url
                typer.echo(f"The key for it, which lasts as long as this process: {own.key}")
            elif data_dir is not None:
                raise CannotStart("a data directory is for a server in this process: give either that or a server")
            listener = stack.enter_context(process.listen(host, port))
            bound = listener.getsockname()[1]
            names = [*dict.fromkeys([host, "127.0.0.1", "localhost", "[::1]"])]
            hosts = [f"{name}:{bound}" for name in names] + allowed
            try:
                app = await stack.enter_async_context(over_http(url, hosts, SystemClock().ticks))
            except ValueError as failure:
                raise CannotStart(str(failure)) from failure
            typer.echo(f"Tools for agents are at {process.address(host, listener)}{PATH}")
            await process.serve_until(told, app, listener)

    try:
        process.run(options.settings(), serve)
    except CannotStart as failure:
        typer.echo(f"Cannot start: {failure}", err=True)
        raise typer.Exit(process.CANNOT_START) from failure
