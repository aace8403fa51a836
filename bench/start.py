"""How long starting takes: ``viva serve`` until ``/readyz`` says so, ``viva --help``, and the first request to each
part of a server, which is imported and made then.

    python -m bench.start --times 7

Each start is a process of its own with compiled modules, as after the first start of an installation: one that is not
counted goes first. The database is a new SQLite file each time, or the one that was made before (``again``).
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path

from tests.support.server import KEY, environment

VIVA = [sys.executable, "-c", "from vivavoce.cli.main import main; main()"]
PATIENCE_S = 60.0
PARTS = {
    "first page of the dashboard": "/login",
    "first list of the assistants API": "/v2/ai/assistants",
    "first list of the testing API": "/list-agents",
    "first list of viva's own API": "/viva/v1/suites",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        for name, once in (
            ("viva --help", helped),
            ("viva serve to /readyz, new database", lambda: served(None)),
            ("viva serve to /readyz, again", lambda: served(Path(kept))),
        ):
            print(line(name, measured(once, arguments.times)), flush=True)
        for name, path in PARTS.items():
            both = [asked(Path(kept), path) for _ in range(arguments.times)]
            print(line(name, [first for first, _ in both]), flush=True)
            print(line(f"{name}, again", [second for _, second in both]), flush=True)


def line(name: str, seconds: list[float]) -> str:
    return f"{name:42} median {statistics.median(seconds):.2f} s   from {min(seconds):.2f} to {max(seconds):.2f} s"


def measured(once: Callable[[], float], times: int) -> list[float]:
    once()
    return [once() for _ in range(times)]


def helped() -> float:
    began = time.monotonic()
    subprocess.run([*VIVA, "--help"], check=True, stdout=subprocess.DEVNULL, env=environment({}))
    return time.monotonic() - began


def served(directory: Path | None) -> float:
    with starting(directory) as (_, seconds):
        return seconds


def asked(directory: Path, path: str) -> tuple[float, float]:
    """Seconds of the first request for this and of the second."""
    with starting(directory) as (url, _):
        return got(url + path), got(url + path)


def got(url: str) -> float:
    began = time.monotonic()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        answer.read()
    return time.monotonic() - began


@contextlib.contextmanager
def starting(directory: Path | None) -> Generator[tuple[str, float]]:
    """A server's address, and the seconds until it was ready."""
    with contextlib.ExitStack() as stack:
        data = directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = [*VIVA, "serve", "--port", "0", "--data-dir", str(data)]
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[-1]
            until_ready(f"{url}/readyz")
            yield url, time.monotonic() - began
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def until_ready(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.005)
    raise SystemExit(f"{url} did not become ready")


if __name__ == "__main__":
    main()
