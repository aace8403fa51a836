"""The rules of a bucket, and the queue before a provider, with time turned by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.run import Priority
from vivavoce.core.waiting import Stopwatch, measured, urgent
from vivavoce.models.limiter import BURST_S, FIRST_ANSWER, MINUTE_S, Bucket, Busy, Limiter, Rates


@dataclass(eq=False)
class Alarm:
    at: float
    function: Callable[[], None]
    clock: "Hand"

    def cancel(self) -> None:
        self.clock.alarms.discard(self)


@dataclass
class Hand:
    """Time that passes only when it is turned, with what is to happen on the way."""

    now: float = 1000.0
    alarms: set[Alarm] = field(default_factory=set[Alarm])

    def ticks(self) -> float:
        return self.now

    def later(self, seconds: float, function: Callable[[], None]) -> Alarm:
        alarm = Alarm(self.now + seconds, function, self)
        self.alarms.add(alarm)
        return alarm

    async def turn(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            await settle()
            due = min((alarm for alarm in self.alarms if alarm.at <= end), key=lambda alarm: alarm.at, default=None)
            if due is None:
                break
            self.alarms.discard(due)
            self.now = max(self.now, due.at)
            due.function()
        self.now = end
        await settle()


async def settle() -> None:
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def limiter(clock: Hand, concurrency: int = 1000, requests: int = 0, tokens: int = 0) -> Limiter:
    return Limiter(Rates(concurrency, requests, tokens), ticks=clock.ticks, later=clock.later)


@dataclass
class Queue:
    """Who asks, and in which order and when they were let in."""

    gate: Limiter
    clock: Hand
    entered: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    tasks: list["asyncio.Task[float]"] = field(default_factory=list["asyncio.Task[float]"])

    def ask(self, name: str, priority: Priority = Priority.BATCH, size: int = 0) -> "asyncio.Task[float]":
        async def enter() -> float:
            reserved = await self.gate.enter(size)
            self.entered.append((name, self.clock.now))
            return reserved

        with urgent(priority):
            task = asyncio.create_task(enter())
        self.tasks.append(task)
        return task

    @property
    def names(self) -> str:
        return "".join(name for name, _ in self.entered)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


# --- the bucket ---


@given(
    per_minute=st.integers(1, 10_000),
    gaps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=300),
)
def test_in_no_minute_more_than_a_minutes_requests(per_minute: int, gaps: list[float]) -> None:
    """Whoever comes waits as long as the bucket says, and goes then."""
    now = 0.0
    bucket = Bucket(per_minute, now)
    went: list[float] = []
    for gap in gaps:
        now += gap
        now += bucket.wait_s(1.0, now)
        assert bucket.wait_s(1.0, now) < 1e-6, "the wait is long enough"
        bucket.take(1.0)
        went.append(now)
    for place, first in enumerate(went):
        assert sum(first <= at < first + MINUTE_S - 1e-3 for at in went[place:]) <= per_minute


@given(
    per_minute=st.integers(100, 1_000_000),
    amounts=st.lists(st.floats(0.001, 0.1), min_size=1, max_size=200),
)
def test_amounts_may_exceed_a_minutes_only_by_the_last_that_was_larger_than_the_bucket(
    per_minute: int, amounts: list[float]
) -> None:
    now = 0.0
    bucket = Bucket(per_minute, now)
    went: list[tuple[float, float]] = []
    for part in amounts:
        amount = part * per_minute
        now += bucket.wait_s(amount, now)
        bucket.take(amount)
        went.append((now, amount))
    for place, (first, _) in enumerate(went):
        through = sum(amount for at, amount in went[place:] if at < first + MINUTE_S - 1e-3)
        assert through <= per_minute + 0.1 * per_minute + 1


@pytest.mark.parametrize("per_minute", [1, 7, 60, 1000, 100_000])
def test_the_rate_is_used(per_minute: int) -> None:
    now, went = 0.0, 0
    bucket = Bucket(per_minute, now)
    while now < 10 * MINUTE_S:
        now += bucket.wait_s(1.0, now)
        bucket.take(1.0)
        went += 1
        if went > 20_000:
            break
    assert went / (now / MINUTE_S) >= 0.94 * per_minute


def test_what_was_taken_too_much_comes_back_and_no_more_than_it_holds() -> None:
    bucket = Bucket(6000, 0.0)
    size = 6000 * BURST_S / MINUTE_S
    bucket.take(size)
    assert bucket.wait_s(100, 0.0) > 0
    bucket.give(100)
    assert bucket.wait_s(100, 0.0) == 0
    bucket.give(10_000)
    assert bucket.level == size
    bucket.give(-2 * size)
    assert bucket.wait_s(0, 0.0) == pytest.approx(size / bucket.per_second)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(60, 100.0)
    bucket.take(3.0)
    assert bucket.wait_s(1.0, 50.0) == pytest.approx(1 / bucket.per_second)


def test_half_the_rate_from_now_on() -> None:
    bucket = Bucket(6000, 0.0)
    bucket.resize(3000, 0.0)
    assert bucket.level == bucket.size == 3000 * BURST_S / MINUTE_S
    bucket.resize(6000, 0.0)
    assert bucket.level == 3000 * BURST_S / MINUTE_S, "what was not there does not appear"


# --- requests at once ---


async def test_without_limits_nobody_waits() -> None:
    gate = Limiter(Rates(1000))
    for _ in range(1000):
        with pytest.raises(StopIteration):
            gate.enter(10).send(None)  # it ends without having waited for anything
    assert gate.busy.under_way == 1000


async def test_so_many_at_once_and_then_who_is_urgent() -> None:
    clock = Hand()
    queue = Queue(limiter(clock, concurrency=2), clock)
    for name in "abcd":
        queue.ask(name)
    queue.ask("S", Priority.SCHEDULED)
    queue.ask("I", Priority.INTERACTIVE)
    queue.ask("e")
    await settle()
    assert (queue.names, queue.gate.busy.waiting) == ("ab", 5)
    for _ in range(5):
        queue.gate.leave(0)
        await settle()
    assert queue.names == "abIcdeS"
    assert queue.gate.busy == Busy(2, 0, 0.0)


async def test_who_gives_up_holds_up_nobody() -> None:
    clock = Hand()
    queue = Queue(limiter(clock, concurrency=1), clock)
    tasks = [queue.ask(name) for name in "abcd"]
    await settle()
    tasks[1].cancel()
    tasks[2].cancel()
    await settle()
    assert queue.gate.busy.waiting == 1
    queue.gate.leave(0)
    await settle()
    assert queue.names == "ad"


async def test_who_gives_up_in_the_moment_it_is_let_in_leaves_its_place_to_others() -> None:
    clock = Hand()
    queue = Queue(limiter(clock, concurrency=1, requests=60, tokens=60_000), clock)
    tasks = [queue.ask(name) for name in "abc"]
    await settle()
    queue.gate.leave(0)
    tasks[1].cancel()  # it was let in, and has not noticed yet
    await settle()
    assert queue.names == "ac"
    assert tasks[1].cancelled()
    assert queue.gate.busy.under_way == 1


# --- limits of time ---


async def test_requests_a_minute() -> None:
    clock = Hand()
    queue = Queue(limiter(clock, requests=60), clock)
    for number in range(120):
        queue.ask(chr(65 + number))
    await clock.turn(59.9)
    assert len(queue.entered) <= 60
    await clock.turn(90)
    assert len(queue.entered) == 120
    assert queue.names == "".join(sorted(queue.names)), "first come, first served"


async def test_an_urgent_request_overtakes_those_that_wait() -> None:
    clock = Hand()
    queue = Queue(limiter(clock, requests=60), clock)
    for name in "abcdefgh":
        queue.ask(name)
    await settle()
    before = len(queue.entered)
    queue.ask("I", Priority.INTERACTIVE)
    await clock.turn(3)
    assert queue.names[before] == "I"
    await queue.close()


async def test_tokens_are_estimated_and_then_counted_as_they_were() -> None:
    clock = Hand()
    gate = limiter(clock, tokens=100_000)  # holds 5000
    reserved = await gate.enter(4000)
    assert reserved == 1000 + FIRST_ANSWER
    gate.leave(reserved, 900, 20)
    assert await gate.enter(0) < FIRST_ANSWER, "answers are shorter than was thought"
    queue = Queue(gate, clock)
    large = queue.ask("L", size=400_000)
    await settle()
    assert not large.done(), "it goes when the bucket is full"
    await clock.turn(5)
    assert large.done()
    queue.ask("n")
    await clock.turn(30)
    assert queue.names == "L", "its debt is waited for"
    await clock.turn(35)
    assert queue.names == "Ln"


async def test_a_request_that_was_refused_cost_nothing_and_one_of_unknown_cost_what_it_was_taken_for() -> None:
    clock = Hand()
    gate = limiter(clock, tokens=100_000)
    reserved = await gate.enter(16_000)
    gate.leave(reserved, refused=True)
    queue = Queue(gate, clock)
    again = queue.ask("a", size=18_000)
    await settle()
    assert again.done()
    gate.leave(again.result())
    queue.ask("b", size=18_000)
    await settle()
    assert queue.names == "a"
    await queue.close()


async def test_what_answers_nothing_costs_its_question_only() -> None:
    assert await limiter(Hand(), tokens=1000).enter(40, answers=False) == 10


async def test_a_provider_that_asks_to_be_left_alone_is_by_everybody() -> None:
    clock = Hand()
    gate = limiter(clock, concurrency=2)
    queue = Queue(gate, clock)
    queue.ask("a")
    await settle()
    gate.pause(5)
    gate.pause(2)
    queue.ask("b")
    await clock.turn(4.9)
    assert queue.names == "a"
    assert gate.busy.paused_s == pytest.approx(0.1)
    await clock.turn(0.2)
    assert queue.names == "ab"
    assert gate.busy.paused_s == 0
    gate.leave(0)
    queue.ask("c")
    await settle()
    assert queue.names == "abc"


async def test_processes_share_what_is_allowed() -> None:
    clock = Hand()
    gates = [limiter(clock, requests=60, tokens=10**6) for _ in range(3)]
    for gate in gates:
        gate.share(3)
    queues = [Queue(gate, clock) for gate in gates]
    for queue in queues:
        for _ in range(100):
            queue.ask("x")
    await clock.turn(59.9)
    assert sum(len(queue.entered) for queue in queues) <= 60
    for gate in gates[1:]:
        await clock.turn(0)
        gate.share(1)
    await clock.turn(60)
    assert sum(len(queue.entered) for queue in queues) > 120
    for queue in queues:
        await queue.close()


async def test_a_greater_share_is_used_at_once() -> None:
    clock = Hand()
    gate = limiter(clock, requests=60)
    gate.share(60)
    queue = Queue(gate, clock)
    for name in "ab":
        queue.ask(name)
    await settle()
    assert queue.names == "a"
    gate.share(1)
    await clock.turn(1.1)
    assert queue.names == "ab"


async def test_waiting_here_is_no_time_of_the_run() -> None:
    clock = Hand()
    queue = Queue(limiter(clock, concurrency=1), clock)
    watch = Stopwatch(clock.ticks)
    queue.ask("a")
    with measured(watch):
        queue.ask("b")
    await clock.turn(40)
    queue.gate.leave(0)
    await clock.turn(40)
    assert queue.names == "ab"
    assert watch.waited_s == 40
