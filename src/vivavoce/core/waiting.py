"""Waiting for a limit of our own, which is nobody's fault: it is no part of an answer's time, nor of a deadline's.

Whoever does something that takes turns with others says how urgent it is (``urgent``) and, where its time is measured,
with which stopwatch (``measured``). Whoever has it wait pauses that stopwatch (``waiting``).
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

from vivavoce.core.clock import Clock
from vivavoce.core.event import Millis
from vivavoce.core.run import Priority

T = TypeVar("T")


class Stopwatch:
    """How long somebody waited for limits of ours. ``ticks`` are seconds on a monotonic clock. Waits that overlap count
    once. Used in one event loop."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._before = 0.0
        self._since = 0.0
        self._waits = 0
        self._deadlines: dict[asyncio.Timeout, float] = {}

    @property
    def waited_s(self) -> float:
        """Seconds of waiting so far, with the wait that goes on."""
        return self._before + (self._ticks() - self._since if self._waits else 0.0)

    @contextmanager
    def paused(self) -> Generator[None]:
        """Time stands still while the block lasts."""
        if self._waits == 0:
            self._since = self._ticks()
            now = asyncio.get_running_loop().time()
            for timeout in self._deadlines:
                self._deadlines[timeout] = (timeout.when() or now) - now
                _reschedule(timeout, None)
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
            if self._waits == 0:
                self._before += self._ticks() - self._since
                now = asyncio.get_running_loop().time()
                for timeout, left in self._deadlines.items():
                    _reschedule(timeout, now + left)

    def deadline(self, seconds: float) -> AbstractAsyncContextManager[asyncio.Timeout]:
        """``asyncio.timeout`` that does not run while somebody waits. Raises ``TimeoutError``."""
        return _Deadline(asyncio.timeout(None if self._waits else seconds), seconds, self._deadlines)


class _Deadline:
    # Not a generator: one is entered for every turn, and a generator's frames cost as much as all the rest.
    __slots__ = ("_deadlines", "_seconds", "_timeout")

    def __init__(self, timeout: asyncio.Timeout, seconds: float, deadlines: dict[asyncio.Timeout, float]) -> None:
        self._timeout, self._seconds, self._deadlines = timeout, seconds, deadlines

    async def __aenter__(self) -> asyncio.Timeout:
        await self._timeout.__aenter__()
        self._deadlines[self._timeout] = self._seconds
        return self._timeout

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        del self._deadlines[self._timeout]
        return await self._timeout.__aexit__(kind, failure, trace)


def _reschedule(timeout: asyncio.Timeout, when: float | None) -> None:
    # One that has expired is about to end its block, whatever is waited for in there.
    if not timeout.expired():
        timeout.reschedule(when)


_stopwatch: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)
_priority: ContextVar[Priority] = ContextVar("priority", default=Priority.INTERACTIVE)


class _Set(Generic[T]):
    # Not a generator either: every run under way holds one of each.
    __slots__ = ("_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable, self._value = variable, value

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._variable.reset(self._token)


def measured(stopwatch: Stopwatch) -> AbstractContextManager[None]:
    """What is done in the block, and in tasks that it begins, is measured by this stopwatch."""
    return _Set(_stopwatch, stopwatch)


def urgent(priority: Priority) -> AbstractContextManager[None]:
    """What is done in the block, and in tasks that it begins, is this urgent. Elsewhere somebody waits for it."""
    return _Set(_priority, priority)


def priority() -> Priority:
    """How urgent it is what is done here."""
    return _priority.get()


@contextmanager
def waiting() -> Generator[None]:
    """The block waits for a limit of ours."""
    stopwatch = _stopwatch.get()
    if stopwatch is None:
        yield
    else:
        with stopwatch.paused():
            yield


def deadline(seconds: float) -> AbstractAsyncContextManager[asyncio.Timeout]:
    """``asyncio.timeout`` that does not run while a limit of ours is waited for. Raises ``TimeoutError``."""
    stopwatch = _stopwatch.get()
    return asyncio.timeout(seconds) if stopwatch is None else stopwatch.deadline(seconds)


@dataclass(frozen=True, slots=True)
class RunClock:
    """A clock by which waiting takes no time. Implements ``vivavoce.core.clock.Clock``."""

    clock: Clock
    stopwatch: Stopwatch

    def now(self) -> Millis:
        """Milliseconds since the Unix epoch, UTC: real ones."""
        return self.clock.now()

    def ticks(self) -> float:
        """Seconds on a monotonic clock that stands still while a limit of ours is waited for."""
        return self.clock.ticks() - self.stopwatch.waited_s
