"""What a provider allows: requests at once, requests a minute, tokens a minute. Who is urgent goes first.

The rules are pure (``Bucket``); the ``Limiter`` keeps the queue. Rates are shared evenly by all processes that work on
one database (``Limiter.share``), so together they keep what is set.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Protocol

from vivavoce.core.run import Priority
from vivavoce.core.waiting import priority, waiting

MINUTE_S = 60.0
BURST_S = 3.0
"""How many seconds' worth of a rate may be used at once after a pause."""
BYTES_PER_TOKEN = 4
"""About how many bytes of a request are a token."""
FIRST_ANSWER = 300.0
"""How many tokens an answer is taken to cost before there was any."""
_ANSWERS = 20
"""About how many answers the mean is of."""
_NEARLY = 1e-6


class Bucket:
    """A token bucket for amounts per minute: in no minute more than ``per_minute`` goes through, if nothing was larger
    than ``size``. Times are seconds on a monotonic clock.

    It fills a little slower than the rate, or what it holds at first would come on top of a minute's rate. What is
    larger than it can ever hold goes through when it is full, and leaves a debt.
    """

    __slots__ = ("_at", "level", "per_second", "size")

    def __init__(self, per_minute: float, now: float, smallest: float = 1.0) -> None:
        self._at = now
        self.level = self.size = self.per_second = 0.0
        self.resize(per_minute, now, smallest)
        self.level = self.size

    def resize(self, per_minute: float, now: float, smallest: float = 1.0) -> None:
        """Another rate from now on. ``smallest`` is the least that goes through at once."""
        self.fill(now)
        self.size = max(smallest, per_minute * BURST_S / MINUTE_S)
        self.per_second = (per_minute + smallest - self.size) / MINUTE_S
        self.level = min(self.level, self.size)

    def fill(self, now: float) -> None:
        """Let the time since the last look go by."""
        self.level = min(self.size, self.level + max(0.0, now - self._at) * self.per_second)
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much may go through; 0 means at once."""
        self.fill(now)
        lacking = min(amount, self.size) - self.level
        return lacking / self.per_second if lacking > _NEARLY else 0.0

    def take(self, amount: float) -> None:
        """It goes through."""
        self.level -= amount

    def give(self, amount: float) -> None:
        """So much was taken too much; a negative amount was taken too little."""
        self.level = min(self.size, self.level + amount)


class Timer(Protocol):
    """What can be called off."""

    def cancel(self) -> None:
        """Call it off."""
        ...


Later = Callable[[float, Callable[[], None]], Timer]
"""Calls a function after some seconds."""


def _nobody(_seconds: float) -> None:
    return None


def _later(seconds: float, function: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, function)


@dataclass(frozen=True, slots=True)
class Rates:
    """What one provider allows: ``concurrency`` requests at once from one process, ``requests`` and ``tokens`` a
    minute from all of them; 0 sets no limit."""

    concurrency: int = 256
    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Busy:
    """How it stands: requests under way and those that wait, and the seconds for which the provider asked to be left
    alone, 0 if it did not."""

    under_way: int
    waiting: int
    paused_s: float


@dataclass(order=True, slots=True)
class _Waiter:
    priority: Priority
    number: int
    tokens: float = field(compare=False)
    admitted: asyncio.Future[None] = field(compare=False)


class Limiter:
    """The gate to one provider. Used in one event loop.

    ``enter`` before each request, and for each ``enter`` one ``leave``. ``told`` hears for how many seconds
    somebody waited.
    """

    def __init__(self, rates: Rates, *, ticks: Callable[[], float] = time.monotonic, later: Later = _later) -> None:
        self.rates = rates
        self.told: Callable[[float], None] = _nobody
        self.counts_tokens = rates.tokens > 0
        self._ticks, self._later = ticks, later
        now = ticks()
        self._requests = Bucket(rates.requests, now) if rates.requests else None
        self._tokens = Bucket(rates.tokens, now) if rates.tokens else None
        self._timed = bool(rates.requests or rates.tokens)
        self._answer = FIRST_ANSWER
        self._under_way = 0
        self._paused_until = 0.0
        self._queue: list[_Waiter] = []
        self._number = 0
        self._timer: Timer | None = None

    @property
    def busy(self) -> Busy:
        """How it stands now."""
        waits = sum(not one.admitted.done() for one in self._queue)
        return Busy(self._under_way, waits, max(0.0, self._paused_until - self._ticks()) if self._timed else 0.0)

    async def enter(self, size: int, *, answers: bool = True) -> float:
        """Wait until a request of so many bytes may go out; returns the tokens that it is taken to cost, for ``leave``.
        ``answers`` false: the answer costs none."""
        tokens = 0.0
        if self.counts_tokens:
            tokens = size / BYTES_PER_TOKEN + (self._answer if answers else 0.0)
        if self._queue or self._under_way >= self.rates.concurrency or (self._timed and self._wait_s(tokens) > 0):
            await self._wait(tokens)
        else:
            self._admit(tokens)
        return tokens

    def leave(self, tokens: float, given: int = 0, taken: int = 0, *, refused: bool = False) -> None:
        """The request is over. ``tokens`` is what ``enter`` returned; ``given`` and ``taken`` are what the provider
        counted for question and answer, 0 where it did not say. One that it ``refused`` cost nothing."""
        self._under_way -= 1
        if self._tokens is not None:
            if refused:
                self._tokens.give(tokens)
            elif given or taken:
                self._tokens.give(tokens - given - taken)
                self._answer += (taken - self._answer) / _ANSWERS
        if self._queue:
            self._go_on()

    def pause(self, seconds: float) -> None:
        """The provider asked to be left alone for so long, by everybody."""
        self._paused_until = max(self._paused_until, self._ticks() + seconds)
        self._timed = True

    def share(self, processes: int) -> None:
        """So many processes share the rates now."""
        now = self._ticks()
        if self._requests is not None:
            self._requests.resize(self.rates.requests / processes, now)
        if self._tokens is not None:
            self._tokens.resize(self.rates.tokens / processes, now)
        if self._queue:
            self._go_on()

    def _wait_s(self, tokens: float) -> float:
        """Seconds until the limits of time let it through."""
        now = self._ticks()
        wait_s = 0.0
        if self._paused_until:
            wait_s = self._paused_until - now
            if wait_s <= _NEARLY:
                self._paused_until = wait_s = 0.0
                self._timed = self._requests is not None or self._tokens is not None
        if self._requests is not None:
            wait_s = max(wait_s, self._requests.wait_s(1.0, now))
        if self._tokens is not None:
            wait_s = max(wait_s, self._tokens.wait_s(tokens, now))
        return wait_s

    def _admit(self, tokens: float) -> None:
        self._under_way += 1
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(tokens)

    async def _wait(self, tokens: float) -> None:
        self._number += 1
        waiter = _Waiter(priority(), self._number, tokens, asyncio.get_running_loop().create_future())
        heappush(self._queue, waiter)
        self._go_on()
        began = self._ticks()
        try:
            with waiting():
                await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.cancelled():
                self._go_on()  # it may have been the one that all others stood behind
            else:  # let in, in the very moment in which it gave up
                if self._requests is not None:
                    self._requests.give(1.0)
                self.leave(tokens, refused=True)
            raise
        finally:
            self.told(self._ticks() - began)

    def _go_on(self) -> None:
        """Let in who is first, as long as there is room, and look again when there will be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            first = self._queue[0]
            if not first.admitted.done():
                if self._under_way >= self.rates.concurrency:
                    return  # who leaves looks again
                wait_s = self._wait_s(first.tokens) if self._timed else 0.0
                if wait_s > 0:
                    self._timer = self._later(wait_s, self._go_on)
                    return
                self._admit(first.tokens)
                first.admitted.set_result(None)
            heappop(self._queue)
