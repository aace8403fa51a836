"""Several processes of one installation, on one PostgreSQL database: servers without a worker, and workers."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
from sqlalchemy import make_url

from tests.support.driving import Driver
from tests.support.server import KEY, MAIN, START_S, Server, environment

Kind = Literal["server", "worker"]
STOP_S = 60.0
_ARGUMENTS: Mapping[Kind, Sequence[str]] = {
    "server": ["serve", "--no-worker", "--port"],
    "worker": ["worker"],
}


class NotStarted(Exception):
    """The process ended before it was ready; the message is its log."""


@dataclass
class Member:
    """A running process. ``name`` is what its connections are called in the database; ``said`` is its first line, and
    ``log`` what it wrote to standard error, also before it was started again."""

    name: str
    kind: Kind
    directory: Path
    process: subprocess.Popen[str] = field(repr=False)
    said: str

    @property
    def log(self) -> str:
        return (self.directory / f"{self.name}.log").read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        """Where a server is reached."""
        return self.said.split()[-1]

    @property
    def worker_id(self) -> str:
        """Under which id a worker drives runs."""
        return self.said.split()[-1]

    def kill(self) -> None:
        """As the operating system does it: no time to say goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self._reap(10)

    def stop(self, within_s: float = STOP_S) -> int:
        """Ask it to stop and wait for it; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.send_signal(signal.SIGCONT)
        return self._reap(within_s)

    def _reap(self, within_s: float) -> int:
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()


def start(name: str, kind: Kind, directory: Path, settings: Mapping[str, str], *, port: int = 0) -> Member:
    """Start a process and wait until it says that it is ready. ``VIVA_DATABASE_URL`` must be among the settings."""
    database = make_url(settings["VIVA_DATABASE_URL"]).update_query_dict({"application_name": name})
    given = {**settings, "VIVA_DATABASE_URL": database.render_as_string(hide_password=False)}
    arguments = [*_ARGUMENTS[kind], *([str(port)] if kind == "server" else [])]
    with (directory / f"{name}.log").open("a", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=directory,
            env=environment({"VIVA_SECRET_KEY": "a key for tests", **given}),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        said = process.stdout.readline()
    finally:
        watchdog.cancel()
    member = Member(name, kind, directory, process, said.strip())
    if not said:
        process.wait(START_S)
        process.stdout.close()
        raise NotStarted(f"{name}: {member.log[-2000:]}")
    return member


@contextlib.contextmanager
def fleet(directory: Path, settings: Mapping[str, str], *, workers: int) -> Generator[list[Member]]:
    """A server and so many workers while the block lasts. Whoever starts one anew puts it in the place of the old."""
    directory.mkdir(parents=True, exist_ok=True)
    crew: list[Member] = []
    try:
        crew.append(start("server", "server", directory, settings))
        for number in range(workers):
            crew.append(start(f"worker-{number}", "worker", directory, settings))
        yield crew
    finally:
        for member in crew:
            with contextlib.suppress(subprocess.TimeoutExpired):
                member.stop()


@asynccontextmanager
async def commanding(directory: Path, settings: Mapping[str, str], *, workers: int) -> AsyncGenerator["Command"]:
    """The same, with a client of the server, and without stopping this event loop for it."""
    with contextlib.ExitStack() as stack:
        crew = await asyncio.to_thread(stack.enter_context, fleet(directory, settings, workers=workers))
        server = crew[0]
        try:
            # Given up before the server closes what nobody used for 5 s, perhaps while it is being used again.
            connector = aiohttp.TCPConnector(keepalive_timeout=2)
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}, connector=connector) as http:
                yield Command(crew, Driver(Server(server.url, KEY, directory, server.process), http))
        finally:
            await asyncio.to_thread(stack.close)


@dataclass
class Command:
    """The server comes first in the crew."""

    crew: list[Member]
    driver: Driver
