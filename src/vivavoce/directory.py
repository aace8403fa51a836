"""The data directory belongs to one process at a time."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path


class DirectoryBusy(Exception):
    """Another process works in this directory."""


@contextlib.contextmanager
def held(directory: Path) -> Generator[None]:
    """Hold the directory while the block runs. The operating system lets go of it also when the process is killed.

    Raises ``DirectoryBusy``.
    """
    path = directory / "lock"
    directory.mkdir(parents=True, exist_ok=True)
    handle = path.open("a+b")
    try:
        try:
            _lock(handle.fileno())
        except OSError as failure:
            raise DirectoryBusy(f"another server is using {directory}") from failure
        yield
    finally:
        handle.close()


if os.name == "nt":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
