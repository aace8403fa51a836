"""Logs: structured, to standard error, as text for people or JSON for machines.

What was said, keys and secrets are in none. So of failures it is told what they are and where they happened, and of
their messages only what surely repeats nobody's words (``vivavoce.core.telemetry.plain``); libraries are not trusted
with more.
"""

import asyncio
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO, cast

import structlog

from vivavoce.core.telemetry import causes, plain, plainly

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_TRUSTED = frozenset({"alembic", "asyncio", "uvicorn"})
"""Libraries that say nothing of what they are given."""

_MEMBERS = 5

log = structlog.get_logger(__name__)


def configure(form: str, level: str = "info") -> None:
    """Set up logging once; ``form`` is ``text`` or ``json``, ``level`` the least that is told of what we say ourselves.
    Libraries are heard from warnings on, whatever it is: below, some of them tell whole messages."""
    structlog.configure(
        processors=processors(form),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[Libraries()], force=True)
    warnings.showwarning = _warned


def processors(form: str) -> Sequence[structlog.typing.Processor]:
    """What makes lines of what is told."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        last: list[structlog.typing.Processor] = [
            structlog.processors.ExceptionRenderer(_of_exc_info),
            structlog.processors.JSONRenderer(),
        ]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write)]
    return [*shared, *last]


def tell_of_lost_failures(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """For an event loop: tell of a failure that nobody waited for. Its own way tells the whole message."""
    del loop
    failure = context.get("exception")
    if isinstance(failure, BaseException):
        log.error("a failure in the event loop", reason=plainly(failure), exc_info=failure)
    else:
        log.error("a failure in the event loop", what=str(context.get("message", "")))


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """In the place of ``warnings.showwarning``: some warnings repeat values."""
    del message, file, line
    log.warning("a library warned of something", library=category.__name__, at=f"{filename}:{lineno}")


class Libraries(logging.Handler):
    """What libraries say, told as everything else is."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of it."""
        try:
            trusted = record.name.partition(".")[0] in _TRUSTED
            said = record.getMessage() if trusted else "a library warned of something"
            where = {} if trusted else {"at": f"{record.module}:{record.lineno}"}
            failure = record.exc_info[1] if record.exc_info else None
            log.log(max(record.levelno, logging.WARNING), said, library=record.name, **where, exc_info=failure)
        except Exception:  # noqa: BLE001  # as the standard library has it: a log must not break what it is about
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the standard library's name
        """Nothing more: its own way tells what could not be told."""


def told(failure: BaseException) -> str:
    """The failure and what led to it, with the places in our code and without anybody's words."""
    return "\n".join(_blocks(failure))


def _blocks(failure: BaseException) -> Iterator[str]:
    for one in reversed(list(causes(failure))):
        frames = traceback.extract_tb(one.__traceback__).format()
        head = "Traceback (most recent call last):\n" if frames else ""
        yield head + "".join(frames) + plain(one)
        if isinstance(one, BaseExceptionGroup):
            for member in cast("BaseExceptionGroup[BaseException]", one).exceptions[:_MEMBERS]:
                yield "with " + told(member).replace("\n", "\n  ")


def _of_exc_info(exc_info: structlog.typing.ExcInfo) -> str:
    return told(exc_info[1])


def _write(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    stream.write("\n" + told(exc_info[1]))
