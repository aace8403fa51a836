"""A client of the server that was named, or of one that is started for it."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from vivavoce.client import AsyncClient
from vivavoce.running.errors import CannotStart


@contextlib.asynccontextmanager
async def connected(
    server: str | None = None, api_key: str | None = None, data_dir: Path | None = None
) -> AsyncGenerator[AsyncClient]:
    """A client of the server at this address; without one, of a server in this process (``running.embedded``), which
    keeps its record in ``data_dir`` if that is given. Raises ``CannotStart``."""
    if server is None:
        from vivavoce.running.embedded import embedded  # it holds the whole house, and takes its time

        async with embedded(data_dir) as serving, AsyncClient(serving.url, serving.key) as client:
            yield client
        return
    if data_dir is not None:
        raise CannotStart("a data directory is for a server in this process: give either that or a server")
    if not (api_key and api_key.strip()):
        raise CannotStart("a key for the server is needed: --api-key or VIVA_API_KEY")
    try:
        client = AsyncClient(server, api_key)
    except ValueError as failure:
        raise CannotStart(str(failure)) from failure
    async with client:
        yield client
