"""The drill: make the runs, hurt the installation while they go on, let it recover, and look what came of it."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.chaos.audit import Audit, Recorded
from tests.chaos.plan import EVERYBODY, SERVER, Faults, Kind, Strike
from tests.chaos.world import GREETING, Asked, World, order_tool, tag, world
from tests.support.driving import ASSISTANTS, SUITES, TESTS, Driver
from tests.support.fleet import Command, Member, NotStarted, commanding, start
from tests.support.fleet import Kind as MemberKind

ALL_AT_ONCE = "all at once"
ONE_BY_ONE = "one by one"
ANYBODY = "anybody"
RUBRIC = {
    "looks it up": 'The assistant calls lookup_order with order_number "A-1001"',
    "gives the day": "The assistant says on which day the order comes",
}
_CUT_EVERY_S = 0.3
_STARTS = 10
_REQUEST_S = 15.0


@dataclass(frozen=True)
class Orders:
    """What is asked for. ``recovery_s`` is how long everything may take to end when nothing is hurt any more."""

    seed: int
    seconds: float
    conversations: int
    workers: int
    concurrency: int
    latency_s: float
    strikes: Sequence[Strike]
    faults: Faults
    recovery_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A strike that happened. ``worker_id`` is None for the server, and ``ANYBODY``. Seconds since the epoch; ``until``
    is when the process was itself again."""

    kind: Kind
    worker_id: str | None
    began: float
    until: float


@dataclass
class Outcome:
    """All there is to judge by. ``ended_s`` counts from the end of the chaos; ``left_out`` are strikes at somebody who
    had not come back from the one before."""

    orders: Orders
    ledger: Sequence[Asked]
    began: float
    hits: Sequence[Hit] = ()
    connections_cut: int = 0
    left_out: int = 0
    records: Sequence[Recorded] = ()
    refused: int = 0
    ended_s: float = 0.0
    stuck: Mapping[str, int] = field(default_factory=dict[str, int])
    leases_left: int = 0
    exit_codes: Sequence[int] = ()
    log: str = ""


async def drill(orders: Orders, directory: Path, url: str) -> Outcome:
    """Everything, on an empty database."""
    async with world(orders.faults, orders.latency_s) as outside:
        settings = {
            **outside.settings,
            "VIVA_DATABASE_URL": url,
            "VIVA_WORKER_CONCURRENCY": str(orders.concurrency),
            "VIVA_GRACE_SECONDS": "5",
        }
        async with commanding(directory, settings, workers=orders.workers) as command:
            audit = Audit(url)
            try:
                return await _drill(orders, outside, command, audit, settings)
            finally:
                audit.close()


async def _drill(
    orders: Orders, outside: World, command: Command, audit: Audit, settings: Mapping[str, str]
) -> Outcome:
    names = await asyncio.to_thread(audit.names)
    assert {member.name for member in command.crew} <= names, names
    audit.install()
    tests = await _create(command.driver, outside, orders.conversations)
    outside.began = time.time()
    outcome = Outcome(orders, outside.ledger, outside.began)
    hurting = _Hurting(orders, command, audit, settings)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_trigger(command.driver, tests, orders.seconds * 0.95, outcome))
        tasks.create_task(hurting.everything())
    outside.began = None
    outcome.hits, outcome.connections_cut, outcome.left_out = hurting.hits, hurting.connections_cut, hurting.left_out
    calm = time.monotonic()
    outcome.stuck = await asyncio.to_thread(audit.unfinished)
    while outcome.stuck and time.monotonic() - calm < orders.recovery_s:
        await asyncio.sleep(0.2)
        outcome.stuck = await asyncio.to_thread(audit.unfinished)
    outcome.ended_s = time.monotonic() - calm
    outcome.leases_left = audit.leases()
    outcome.exit_codes = await asyncio.gather(*(asyncio.to_thread(member.stop) for member in command.crew))
    outcome.records = await asyncio.to_thread(audit.records)
    outcome.log = "".join(member.log for member in command.crew)
    return outcome


async def _create(driver: Driver, outside: World, conversations: int) -> list[dict[str, Any]]:
    """One test for each conversation, all of one assistant; the first half in one suite."""
    desk = {"name": "desk", "instructions": "You are the desk.", "tools": [order_tool(outside.shop_url)]}
    assistant = await driver.post(ASSISTANTS, {**desk, "greeting": GREETING})
    places = asyncio.Semaphore(8)

    async def one(number: int) -> dict[str, Any]:
        async with places:
            return await driver.post(
                TESTS,
                {
                    "name": tag(number),
                    "destination": assistant["id"],
                    "instructions": f"You wait for order A-1001. {tag(number)}.",
                    "rubric": [{"name": name, "criteria": words} for name, words in RUBRIC.items()],
                    "test_suite": ALL_AT_ONCE if number < conversations // 2 else ONE_BY_ONE,
                },
            )

    return list(await asyncio.gather(*(one(number) for number in range(conversations))))


async def _trigger(driver: Driver, tests: Sequence[Mapping[str, Any]], seconds: float, outcome: Outcome) -> None:
    """Half of the runs at once, the others one after another while all goes wrong. A request that fails is made again
    under its key until it is answered."""
    singles = [test for test in tests if test["test_suite"] == ONE_BY_ONE]

    async def insist(path: str, key: str) -> None:
        while True:
            try:
                async with (
                    asyncio.timeout(_REQUEST_S),
                    driver.http.post(
                        URL(driver.server.url + path, encoded=True), json={}, headers={"Idempotency-Key": key}
                    ) as answer,
                ):
                    told = await answer.text()
                    if answer.status < 300:
                        return
                    assert answer.status in (409, 503), f"{path}: {answer.status} {told}"
            except (aiohttp.ClientError, TimeoutError):
                pass
            outcome.refused += 1
            await asyncio.sleep(0.3)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(insist(f"{SUITES}/{URL.build(path=ALL_AT_ONCE).raw_path}/runs", "suite"))
        for number, test in enumerate(singles):
            tasks.create_task(insist(f"{TESTS}/{test['test_id']}/runs", f"single-{number}"))
            await asyncio.sleep(seconds / len(singles))


def _insist(name: str, kind: MemberKind, directory: Path, settings: Mapping[str, str], *, port: int) -> Member:
    """Start a process again, as those do who look after processes: also when its database is cut off just then."""
    for _ in range(_STARTS):
        with contextlib.suppress(NotStarted):
            return start(name, kind, directory, settings, port=port)
    return start(name, kind, directory, settings, port=port)


class _Hurting:
    """Carries the plan out. When it returns, everybody is alive and free."""

    def __init__(self, orders: Orders, command: Command, audit: Audit, settings: Mapping[str, str]) -> None:
        self._orders, self._command, self._audit, self._settings = orders, command, audit, settings
        self._busy = [asyncio.Lock() for _ in command.crew]
        self.hits: list[Hit] = []
        self.connections_cut = 0
        self.left_out = 0

    async def everything(self) -> None:
        """All strikes, at their times."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for strike in self._orders.strikes:
                await asyncio.sleep(max(0.0, began + strike.at_s - time.monotonic()))
                tasks.create_task(self._strike(strike))
            await asyncio.sleep(max(0.0, began + self._orders.seconds - time.monotonic()))

    async def _strike(self, strike: Strike) -> None:
        crew = self._command.crew
        if strike.victim == EVERYBODY:
            # Whoever is about to start is no member yet, and is cut off too.
            async with self._noted(strike.kind, ANYBODY):
                await self._cut(None, strike.lasts_s)
            return
        if self._busy[strike.victim].locked():
            # It takes longer than was planned to come back.
            self.left_out += 1
            return
        member = crew[strike.victim]
        worker_id = None if strike.victim == SERVER else member.worker_id
        async with self._busy[strike.victim], self._noted(strike.kind, worker_id):
            match strike.kind:
                case "cut":
                    await self._cut(member.name, strike.lasts_s)
                case "freeze" | "long freeze":
                    member.process.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(strike.lasts_s)
                    member.process.send_signal(signal.SIGCONT)
                case "kill" | "stop":
                    await asyncio.to_thread(member.kill if strike.kind == "kill" else member.stop)
                    await asyncio.sleep(strike.lasts_s)
                    await self._restart(strike.victim)

    async def _restart(self, victim: int) -> None:
        old = self._command.crew[victim]
        port = URL(old.url).port or 0 if victim == SERVER else 0
        begun = asyncio.create_task(
            asyncio.to_thread(_insist, old.name, old.kind, old.directory, self._settings, port=port)
        )
        try:
            await asyncio.shield(begun)
        finally:
            # Whoever was started is in the crew, which ends with the drill.
            self._command.crew[victim] = await begun

    async def _cut(self, name: str | None, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self.connections_cut += await asyncio.to_thread(self._audit.cut, name)
            if time.monotonic() >= until:
                return
            await asyncio.sleep(_CUT_EVERY_S)

    @asynccontextmanager
    async def _noted(self, kind: Kind, worker_id: str | None) -> AsyncGenerator[None]:
        began = time.time()
        yield
        self.hits.append(Hit(kind, worker_id, began, time.time()))
