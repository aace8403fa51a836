"""What goes on beside the runs and is done again and again: where it fails once, that is told and is no more than that.

That the database is away happens, and the next turn makes up for it: it is a line with the reason. Anything else is
told with the place where it happened.
"""

import contextlib
from collections.abc import Generator
from typing import Any

import structlog

from vivavoce.storage.database import away_because, is_outage

log = structlog.get_logger(__name__)


@contextlib.contextmanager
def upkeep(message: str, **details: Any) -> Generator[None]:
    """Log with this message what the block raises, and go on after it."""
    try:
        yield
    except Exception as failure:  # noqa: BLE001  # whatever it is, there is a next turn
        tell(message, failure, **details)


def tell(message: str, failure: Exception, **details: Any) -> None:
    """Log that this failed."""
    if is_outage(failure):
        log.warning(message, reason=away_because(failure), **details)
    else:
        log.error(message, exc_info=failure, **details)
