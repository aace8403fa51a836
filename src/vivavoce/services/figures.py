"""How the installation stands, for whoever asks often."""

import asyncio
from collections.abc import Callable

import structlog

from vivavoce.core.telemetry import plainly
from vivavoce.storage import figures
from vivavoce.storage.database import Database, DatabaseFailure
from vivavoce.storage.figures import Figures

KEPT_S = 5.0
"""For so long the database is not asked again."""

log = structlog.get_logger(__name__)


class Standing:
    """One for each process. ``ticks`` are seconds on a monotonic clock."""

    def __init__(self, database: Database, ticks: Callable[[], float]) -> None:
        self._database, self._ticks = database, ticks
        self._read_at: float | None = None
        self._figures: Figures | None = None
        self._asking = asyncio.Lock()

    async def now(self) -> Figures | None:
        """The figures, at most ``KEPT_S`` old. None while the database does not answer."""
        async with self._asking:
            if self._read_at is None or self._ticks() - self._read_at >= KEPT_S:
                try:
                    self._figures = await self._database.read(figures.read)
                except DatabaseFailure as failure:
                    log.warning("how it stands cannot be read", reason=plainly(failure))
                    self._figures = None
                self._read_at = self._ticks()
            return self._figures
