import asyncio

import pytest
from tests.support.players import HandClock

from vivavoce.core.run import Priority
from vivavoce.core.waiting import RunClock, Stopwatch, deadline, measured, priority, urgent, waiting


async def test_waiting_takes_no_time_of_the_run() -> None:
    clock = HandClock()
    watch = Stopwatch(clock.ticks)
    run = RunClock(clock, watch)
    began = run.ticks()
    clock.advance(1)
    with watch.paused():
        clock.advance(10)
        assert run.ticks() - began == 1
        with watch.paused():
            clock.advance(10)
        clock.advance(10)
    clock.advance(2)
    assert run.ticks() - began == 3
    assert watch.waited_s == 30
    assert run.now() == clock.now()


async def test_waits_that_overlap_count_once() -> None:
    clock = HandClock()
    watch = Stopwatch(clock.ticks)
    first, second = watch.paused(), watch.paused()
    with first:
        clock.advance(1)
        second.__enter__()
        clock.advance(1)
    clock.advance(1)
    assert watch.waited_s == 3
    second.__exit__(None, None, None)
    clock.advance(1)
    assert watch.waited_s == 3


async def test_who_waits_pauses_the_stopwatch_by_which_it_is_measured_also_in_its_tasks() -> None:
    clock = HandClock()
    watch = Stopwatch(clock.ticks)

    async def wait() -> None:
        with waiting():
            clock.advance(5)

    await wait()
    assert watch.waited_s == 0
    with measured(watch):
        await asyncio.create_task(wait())
    assert watch.waited_s == 5
    await wait()
    assert watch.waited_s == 5


def test_somebody_waits_unless_it_is_said_otherwise() -> None:
    assert priority() is Priority.INTERACTIVE
    with urgent(Priority.BATCH):
        assert priority() is Priority.BATCH
        with urgent(Priority.SCHEDULED):
            assert priority() is Priority.SCHEDULED
        assert priority() is Priority.BATCH
    assert priority() is Priority.INTERACTIVE


async def test_a_deadline_without_a_stopwatch_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(0.001):
            await asyncio.Event().wait()


async def test_a_deadline_ends_what_takes_too_long() -> None:
    watch = Stopwatch(HandClock().ticks)
    with measured(watch):
        with pytest.raises(TimeoutError):
            async with deadline(0.001):
                await asyncio.Event().wait()
        async with deadline(60) as limit:
            pass
        assert not limit.expired()


async def test_a_deadline_does_not_run_while_somebody_waits_and_goes_on_from_where_it_was() -> None:
    loop = asyncio.get_running_loop()
    watch = Stopwatch(loop.time)
    with measured(watch):
        async with deadline(60) as outer, deadline(30) as inner:
            before = inner.when()
            with waiting():
                assert (outer.when(), inner.when()) == (None, None)
                async with deadline(20) as late:
                    assert late.when() is None
                    with waiting():
                        assert outer.when() is None
                    assert outer.when() is None
            after, outermost = inner.when(), outer.when()
            assert before is not None
            assert after is not None
            assert outermost is not None
            assert after - before == pytest.approx(watch.waited_s, abs=0.05)
            assert outermost - after == pytest.approx(30, abs=0.01)


async def test_a_deadline_that_began_during_a_wait_runs_from_its_end() -> None:
    watch = Stopwatch(asyncio.get_running_loop().time)
    pause = watch.paused()
    pause.__enter__()

    async def wait() -> None:
        async with watch.deadline(0.001) as limit:
            assert limit.when() is None
            pause.__exit__(None, None, None)
            assert limit.when() is not None
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait()


async def test_a_deadline_that_has_passed_ends_its_block_whatever_is_waited_for_then() -> None:
    watch = Stopwatch(HandClock().ticks)
    waited: list[bool] = []

    async def wait() -> None:
        async with watch.deadline(0.001) as limit:
            try:
                await asyncio.Event().wait()
            finally:
                with watch.paused():
                    waited.append(limit.expired())

    with pytest.raises(TimeoutError):
        await wait()
    assert waited == [True]
