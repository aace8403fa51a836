"""The embedded server in a process of its own, for programs that must stay as they are: their warnings, signals and
logs are not the server's.

``python -m vivavoce.running.alone [DATA_DIR]`` prints where it is as one line of JSON and ends when its input does, so
it never outlives whoever started it.
"""

import asyncio
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, MutableMapping
from pathlib import Path
from typing import IO, Any

from vivavoce.running.errors import CannotStart

START_S = 60.0
STOP_S = 15.0
REFUSED = 2


@contextlib.contextmanager
def beside(data_dir: Path | None = None, environment: Mapping[str, str] | None = None) -> Generator[tuple[str, str]]:
    """The address of a server in another process, and the key for it; ``environment`` is that of this process unless
    it is given. Raises ``CannotStart``."""
    with tempfile.TemporaryFile() as log:
        # -P: modules of the directory that somebody happens to be in must not take the place of ours.
        options = ["-P", "-W", "ignore", "-m", "vivavoce.running.alone"]
        command = [sys.executable, *options, *([str(data_dir)] if data_dir else [])]
        process = subprocess.Popen(  # noqa: S603  # ourselves
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=None if environment is None else dict(environment),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = _first_line(process.stdout)
            if not line:
                raise CannotStart(f"the server did not start: {_last_words(log)}")
            told = json.loads(line)
            yield told["url"], told["key"]
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _first_line(pipe: IO[bytes]) -> bytes:
    """What it says first; empty where it ends, or is silent for too long."""
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=lambda: lines.put(pipe.readline()), daemon=True).start()
    try:
        return lines.get(timeout=START_S)
    except queue.Empty:
        return b""


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    words = log.read()[-2000:].decode(errors="replace").strip()
    return words.splitlines()[-1] if words else f"the server said nothing for {START_S:g} s"


def main() -> None:
    """Serve until the input ends."""
    # The terminal tells all of its processes; whoever started this one decides for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _quiet()
    try:
        asyncio.run(_serve(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
    except CannotStart as failure:
        print(failure, file=sys.stderr)  # noqa: T201  # its whole purpose is to be read
        sys.exit(REFUSED)


async def _serve(data_dir: Path | None) -> None:
    from vivavoce.running.embedded import embedded

    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        while os.read(0, 1024):
            pass
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is over already
            loop.call_soon_threadsafe(over.set)

    async with embedded(data_dir) as serving:
        threading.Thread(target=wait, daemon=True).start()
        sys.stdout.write(json.dumps({"url": serving.url, "key": serving.key}) + "\n")
        sys.stdout.flush()
        await over.wait()


def _quiet() -> None:
    """Log warnings and worse to standard error, without anybody's words."""
    import structlog

    from vivavoce.core.telemetry import plainly

    def reason(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        failure = event.pop("exc_info", None)
        return {**event, "reason": plainly(failure)} if isinstance(failure, BaseException) else event

    structlog.configure(
        processors=[structlog.processors.add_log_level, reason, structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    main()
