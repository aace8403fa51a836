"""A whole server in this process, for as long as somebody needs one. Slow to import: it holds every room."""

import asyncio
import contextlib
import secrets
import socket
import tempfile
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from vivavoce.app import application
from vivavoce.directory import DirectoryBusy
from vivavoce.house import house
from vivavoce.running.errors import CannotStart
from vivavoce.services.errors import Rejected
from vivavoce.settings import Settings
from vivavoce.storage.database import DatabaseAway, DatabaseUnreachable

LOOPBACK = "127.0.0.0/8", "::1/128"
"""What a server of one's own may call besides public addresses: assistants on this machine."""
GRACE_S = 0.5
_CLIENTS_S = 5


@dataclass(frozen=True, slots=True)
class Serving:
    """Where a server is, and the key for it."""

    url: str
    key: str = field(repr=False)


@contextlib.asynccontextmanager
async def embedded(data_dir: Path | None = None) -> AsyncGenerator[Serving]:
    """A server on a free port of the loopback, with a worker, an admin key made at random, and models as the
    environment says. It keeps its record in ``data_dir`` (SQLite), or without one in a directory that goes with it;
    ``VIVA_DATABASE_URL`` is not looked at. What it logs goes where structlog is set to.

    Raises ``CannotStart``: for settings that are wrong, and for a directory that another server works in.
    """
    with contextlib.ExitStack() as stack:
        place = data_dir or Path(stack.enter_context(_temporary()))
        key = f"viva_{secrets.token_urlsafe(32)}"
        settings = _settings(place, key)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        try:
            opening = house(settings, metrics=False)
            opened = await opening.__aenter__()
        except (DirectoryBusy, DatabaseUnreachable, Rejected, OSError) as failure:
            raise CannotStart(str(failure)) from failure
        except DatabaseAway as failure:
            raise CannotStart(f"the database in {place} cannot be used ({type(failure).__name__})") from failure
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_exit(opening)
            async with _served(application(settings, opened), listener):
                try:
                    yield Serving(f"http://127.0.0.1:{listener.getsockname()[1]}", key)
                finally:
                    # Streams would keep the server from closing its connections.
                    await opened.rest()


@contextlib.asynccontextmanager
async def _served(app: object, listener: socket.socket) -> AsyncGenerator[None]:
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_CLIENTS_S,
    )
    server = _Listening(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Listening(uvicorn.Server):
    """Leaves the signals to whoever this process belongs to."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def _settings(place: Path, key: str) -> Settings:
    try:
        found = Settings()
        return Settings(
            data_dir=place,
            database_url=None,
            api_key=key,  # pyright: ignore[reportArgumentType]
            allow_networks=(*found.allow_networks, *LOOPBACK),
            # Whoever runs suites with it asks as often as it takes.
            rate_limit=0,
            # And what it still wants it has waited for.
            grace_seconds=min(found.grace_seconds, GRACE_S),
        )
    except SettingsError as failure:
        raise CannotStart(str(failure)) from failure
    except ValidationError as failure:
        error = failure.errors(include_url=False, include_input=False)[0]
        raise CannotStart(f"VIVA_{str(error['loc'][0]).upper()}: {error['msg']}") from failure


def _temporary() -> tempfile.TemporaryDirectory[str]:
    # On Windows files may still be open for a moment.
    return tempfile.TemporaryDirectory(prefix="viva-", ignore_cleanup_errors=True)
