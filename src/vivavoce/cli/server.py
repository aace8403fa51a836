"""Options of the commands that speak to a server, and how they end when there is none."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TextIO

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
Main = Callable[[], Coroutine[Any, Any, int]]


def run(main: Main, interrupted: str = "") -> None:
    """Do it, and end the command with the code that it returns; with 2 where there is no server or it refuses, or where
    nothing can be printed; with 130 after an interruption (SIGINT, SIGTERM), which is told in these words."""
    from vivavoce.cli.logs import configure
    from vivavoce.client import ApiError, Unreachable
    from vivavoce.running.errors import CannotStart

    configure("text", "warning")
    # Whoever ends a job of CI sends this one; what was begun must be stopped all the same.
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    try:
        code = asyncio.run(main())
        _flush(sys.stdout)
    except KeyboardInterrupt:
        last_words(interrupted)
        raise typer.Exit(INTERRUPTED) from None
    except (CannotStart, ApiError, Unreachable) as failure:
        last_words(f"Cannot do this: {failure}")
        raise typer.Exit(CANNOT) from failure
    except (BrokenPipeError, SystemExit) as failure:  # whoever reads went away; the second is how rich says it
        last_words("")
        raise typer.Exit(CANNOT) from failure
    except OSError as failure:
        last_words(why(failure))
        raise typer.Exit(CANNOT) from failure
    finally:
        signal.signal(signal.SIGTERM, before)
    raise typer.Exit(code)


def why(failure: OSError) -> str:
    """What the system refused, without where: it may be a stream that has no name."""
    return f"Cannot do this: {failure.strerror or type(failure).__name__}"


def last_words(text: str) -> None:
    """Say this, as far as anything can still be said."""
    with contextlib.suppress(OSError):
        if text:
            typer.echo(text, err=True)
    # Python writes what a stream still holds at the very end, and where that fails the code of the command is its own.
    for stream in (sys.stdout, sys.stderr):
        try:
            _flush(stream)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _flush(stream: TextIO | None) -> None:
    """There is none where it was closed before the command began, and agents close theirs when they leave."""
    if stream is not None and not stream.closed:
        stream.flush()
