"""How commands write files."""

import contextlib
import os
import sys
from pathlib import Path


def put(path: Path, text: str) -> None:
    """Write a file, whole or not at all: what reads it must not take half of it for the rest, and what was there stays
    until all of the new is. A link stays a link. Pipes and devices are written to as they are, and so is what this
    process prints into (``/dev/stdout``). Raises ``OSError``."""
    data = text.encode("utf-8", errors="backslashreplace")
    if (own := _own(path)) is not None:
        # Opened again it would begin at its start, over what was printed.
        with open(own, "wb", closefd=False) as file:
            file.write(data)
        return
    target = Path(os.path.realpath(path))
    if _in_place(path, target):
        path.write_bytes(data)
        return
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        fresh.write_bytes(data)
        fresh.replace(target)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def _in_place(path: Path, target: Path) -> bool:
    return path.exists() and not (path.is_file() and os.access(target.parent, os.W_OK))


def _own(path: Path) -> int | None:
    """Standard output or standard error, where the path leads there."""
    with contextlib.suppress(OSError):
        named = path.stat()
        for stream in (sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None and os.path.samestat(named, os.fstat(stream.fileno())):
                    stream.flush()
                    return stream.fileno()
    return None
