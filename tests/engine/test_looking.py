import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests.support.store import PATIENCE_S

from vivavoce.engine import looking
from vivavoce.engine.looking import keep_looking


class Looks:
    """Notes each look; ``during`` happens in the middle of one."""

    def __init__(self, wait_s: float = 3600.0) -> None:
        self.count, self.wait_s = 0, wait_s
        self.woken = asyncio.Event()
        self.during: Callable[[], Awaitable[object]] | None = None
        self._seen = asyncio.Condition()

    async def take(self) -> float:
        self.count += 1
        during, self.during = self.during, None
        async with self._seen:
            self._seen.notify_all()
        if during is not None:
            await during()
        return self.wait_s

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self._seen:
            await self._seen.wait_for(lambda: self.count >= count)


async def test_nobody_looks_unless_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks()
    task = asyncio.create_task(keep_looking(looks.take, looks.woken, 3600.0))
    await looks.until(1)
    for count in range(2, 6):
        looks.woken.set()
        await looks.until(count)
    assert looks.count == 5
    task.cancel()


async def test_who_wakes_during_a_look_is_looked_for_after_it() -> None:
    looks = Looks()

    async def wake() -> None:
        looks.woken.set()
        await asyncio.sleep(0)

    looks.during = wake
    task = asyncio.create_task(keep_looking(looks.take, looks.woken, 3600.0))
    await looks.until(2)
    task.cancel()


async def test_many_wakes_in_every_moment_are_never_lost() -> None:
    """Whenever somebody wakes, a look begins after that."""
    looks = Looks(wait_s=0.001)
    task = asyncio.create_task(keep_looking(looks.take, looks.woken, 3600.0))
    await looks.until(1)
    for turn in range(300):
        before = looks.count
        looks.wait_s = 3600.0 if turn % 3 else 0.0001
        looks.woken.set()
        await looks.until(before + 1)
    task.cancel()


@pytest.mark.parametrize(
    ("failure", "told"),
    [(ValueError("ours"), {"exc_info"}), (OperationalError("", {}, Exception("away")), {"reason"})],
)
async def test_a_look_that_fails_is_made_again_later_and_told_once(
    failure: Exception, told: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "AWAY_S", 0.001)
    looks = Looks()

    async def fail() -> None:
        raise failure

    looks.during = fail
    with capture_logs() as logs:
        task = asyncio.create_task(keep_looking(looks.take, looks.woken, 0.001))
        await looks.until(2)
        looks.woken.set()
        await looks.until(3)
    first, *others = logs
    assert (first["event"], first.keys() & {"exc_info", "reason"}) == ("looking for work failed", told)
    assert {one["event"] for one in others} <= {"looking for work is possible again"}
    task.cancel()
