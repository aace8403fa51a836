"""Trying again: what one failed attempt tells, how long to wait, and when to give up."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from vivavoce.core.event import Usage
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.waiting import waiting

R = TypeVar("R")

LONGEST_WAIT_S = 30.0
"""No wait between two attempts is longer, whatever a provider asks for."""
TOO_MANY = 429
"""The status that says: more requests or tokens than are allowed (RFC 6585, section 4)."""
_FIRST_WAIT_S = 0.5
_LONGEST_BACKOFF_S = 8.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Time and chance: how to wait for some seconds, a number in [0, 1), the seconds since the Unix epoch, and seconds
    on a monotonic clock."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    now: Callable[[], float] = time.time
    ticks: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Tally:
    """What one call of a model cost so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 0

    def usage(self, model: str) -> Usage:
        """The cost as the core writes it down."""
        return Usage(model, self.input_tokens, self.output_tokens, max(self.attempts, 1))


class Setback(Exception):
    """One attempt failed.

    ``again`` says whether the same request may fare better; ``wait_s`` are the seconds the provider asked to be left
    alone; ``status`` and ``code`` are the provider's, 0 and empty where there were none.
    """

    def __init__(
        self,
        trouble: Trouble,
        message: str,
        *,
        again: bool,
        wait_s: float | None = None,
        status: int = 0,
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.message = message
        self.again = again
        self.wait_s = wait_s
        self.status = status
        self.code = code

    def failure(self, attempts: int) -> ModelFailure:
        """The failure for those who asked, when it is final."""
        tries = f" (after {attempts} attempts)" if attempts > 1 else ""
        return ModelFailure(self.trouble, self.message + tries, attempts=attempts, status=self.status)


class Patience:
    """How often one request may be sent again: up to ``max_attempts``, and once only after an unreadable answer."""

    def __init__(self, pace: Pace, max_attempts: int) -> None:
        self._pace = pace
        self._max_attempts = max_attempts
        self._failed = 0
        self._garbled = False

    async def bear(self, setback: Setback) -> None:
        """Wait until the next attempt, or raise the setback if there is to be none."""
        self._failed += 1
        garbled = setback.trouble is Trouble.GARBLED
        if not setback.again or self._failed >= self._max_attempts or (garbled and self._garbled):
            raise setback
        self._garbled = self._garbled or garbled
        if garbled:
            return
        # Too many requests are those of all: the conversation that happened to send one too many is not slow for it.
        with waiting() if setback.status == TOO_MANY else nullcontext():
            await self._pace.sleep(self._wait(setback))

    def _wait(self, setback: Setback) -> float:
        jitter = self._pace.jitter()
        if setback.wait_s is not None:
            # A little more than was asked for, or everybody who was sent away comes back in the same moment.
            return min(setback.wait_s * (1 + 0.1 * jitter), LONGEST_WAIT_S)
        backoff = min(_FIRST_WAIT_S * 2 ** (self._failed - 1), _LONGEST_BACKOFF_S)
        return backoff * (1 - 0.5 * jitter)


async def patiently(attempt: Callable[[], Awaitable[R]], tally: Tally, pace: Pace, max_attempts: int) -> R:
    """Make attempts until one succeeds; each is counted. Raises the last ``Setback``."""
    patience = Patience(pace, max_attempts)
    while True:
        tally.attempts += 1
        try:
            return await attempt()
        except Setback as setback:
            await patience.bear(setback)


async def settled(work: Callable[[Tally], Awaitable[R]]) -> R:
    """Do the work with a tally of its own. Raises ``ModelFailure`` for the setback that remains."""
    tally = Tally()
    try:
        return await work(tally)
    except Setback as setback:
        raise setback.failure(tally.attempts) from None


async def streamed(
    attempt: Callable[[Tally], AsyncGenerator[R]],
    pace: Pace,
    max_attempts: int,
    mended: Callable[[Setback], bool] = lambda _: False,
) -> AsyncGenerator[R]:
    """The items of the first attempt that gives any; ``mended`` says that the next one is another request, which need
    not wait. Raises ``ModelFailure``.

    Once an item was handed out, nothing is tried again: the listener would hear it twice.
    """
    tally = Tally()
    patience = Patience(pace, max_attempts)
    begun = False
    while True:
        tally.attempts += 1
        try:
            async with aclosing(attempt(tally)) as items:
                async for item in items:
                    begun = True
                    yield item
            return
        except Setback as setback:
            try:
                if begun:
                    raise
                if not mended(setback):
                    await patience.bear(setback)
            except Setback as final:
                raise final.failure(tally.attempts) from None


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that ``retry-after-ms`` or ``retry-after`` (seconds or an HTTP date) ask for; None without either.

    Source: RFC 9110, section 10.2.3.
    """
    try:
        if "retry-after-ms" in headers:
            return _sensible(float(headers["retry-after-ms"]) / 1000)
        if "retry-after" not in headers:
            return None
        asked = headers["retry-after"].strip()
        if asked.replace(".", "", 1).isdecimal():
            return _sensible(float(asked))
        return max(0.0, parsedate_to_datetime(asked).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _sensible(seconds: float) -> float | None:
    return min(seconds, LONGEST_WAIT_S) if seconds >= 0 else None
