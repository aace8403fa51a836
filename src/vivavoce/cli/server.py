"""Options of the commands that speak to a server, and how they end when there is none."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

Server = Annotated[
    str | None,
    typer.Option("--server", envvar="VIVA_SERVER", help="The address of a running server, instead of one for this."),
]
NeededServer = Annotated[
    str,
    typer.Option("--server", envvar="VIVA_SERVER", help="The address of the server."),
]
DEFAULT_SERVER = "http://127.0.0.1:8080"
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="VIVA_API_KEY", show_envvar=True, help="A key of that server."),
]
CANNOT, INTERRUPTED = 2, 130


def run(main: Callable[[], Coroutine[Any, Any, int]], interrupted: str = "") -> None:
    """Do it, and end the command with the code that it returns; with 2 where there is no server or it refuses, with 130
    after an interruption (SIGINT, SIGTERM), which is told in these words."""
    from vivavoce.cli.logs import configure
    from vivavoce.client import ApiError, Unreachable
    from vivavoce.running.errors import CannotStart

    configure("text", "warning")
    # Whoever ends a job of CI sends this one; what was begun must be stopped all the same.
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    try:
        code = asyncio.run(main())
    except KeyboardInterrupt:
        if interrupted:
            typer.echo(interrupted, err=True)
        raise typer.Exit(INTERRUPTED) from None
    except (CannotStart, ApiError, Unreachable) as failure:
        typer.echo(f"Cannot do this: {failure}", err=True)
        raise typer.Exit(CANNOT) from failure
    finally:
        signal.signal(signal.SIGTERM, before)
    raise typer.Exit(code)
