"""Attempts at a run: how long one may take, and what another one is made for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.outbound.local_server import LOCAL
from tests.services.test_examinations import a_run, an_assistant, claimed, going_on, recorded
from tests.support.endpoint import Endpoint, serve
from tests.support.store import ORG, set_row

from vivavoce.core.event import Ending, Left, Message
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status
from vivavoce.core.verdict import Decision, Fault
from vivavoce.engine import leases
from vivavoce.engine.worker import TryAgain
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import open_session
from vivavoce.services import runs
from vivavoce.services.context import Context
from vivavoce.services.examinations import conduct
from vivavoce.storage.journal import Entry

ROLES = ("tester", "assistant", "judge")


@asynccontextmanager
async def playing(ctx: Context, **limits: Any) -> AsyncGenerator[tuple[Context, Endpoint]]:
    """Tester, assistant and judge are models of one server, which are asked once each time."""
    async with serve() as endpoint:
        endpoint.behaviours = [{"role": "tester", "hang_up_after": 1}]
        provider = Provider("local", endpoint.base_url, max_attempts=1)
        models = Models(
            ModelSettings({"local": provider}, tester_model="local/tester", judge_model="local/judge"),
        )
        try:
            yield replace(ctx, models=models, limits=replace(ctx.limits, **limits)), endpoint
        finally:
            await models.close()


async def a_talk(ctx: Context, **given: Any) -> Run:
    """A run in which all three models are asked."""
    assistant = await an_assistant(ctx, model="local/assistant", instructions="Be kind.", tools=())
    return await a_run(ctx, target=assistant.id, brief="Say hello.", criteria=(Criterion("kind", "is kind"),), **given)


async def attempt(ctx: Context, run: Run) -> TryAgain | None:
    """One attempt by a worker, as it ends: another one is to be made, or the run is settled."""
    await ctx.database.write(lambda tx: set_row(tx, run.id, due_at=0))
    lease = await claimed(ctx, run)
    try:
        await conduct(ctx, lease, going_on)
    except TryAgain as setback:
        again = setback
        assert await ctx.database.write(lambda tx: leases.try_again(tx, lease, again.reason, again.delay_ms))
        return again
    return None


async def now(ctx: Context, run: Run) -> Run:
    return await runs.retrieve(ctx, ORG, None, run.id)


def refusing(role: str, status: int, times: int = 1) -> dict[str, Any]:
    return {"kind": "status", "status": status, "role": role, "times": times}


@pytest.mark.parametrize("role", ROLES)
async def test_a_model_that_is_away_for_now_costs_another_attempt_and_nothing_else(ctx: Context, role: str) -> None:
    async with playing(ctx) as (served, endpoint):
        undisturbed, run = await a_talk(served), await a_talk(served)
        assert await attempt(served, undisturbed) is None
        asked = len(endpoint.records)
        endpoint.faults = [refusing(role, 503)]
        setback = await attempt(served, run)
        assert setback is not None
        assert "answered 503" in setback.reason
        assert setback.delay_ms == 5000
        waiting = await now(served, run)
        assert (waiting.status, waiting.attempts, waiting.setbacks) == (Status.PENDING, 2, (setback.reason,))
        assert f"attempt 2: the one before broke off: {setback.reason}" in (waiting.story or "")
        before = await recorded(served, run)
        assert (before[-1:] != () and isinstance(before[-1], Left)) is (role == "judge")
        assert await attempt(served, run) is None
    done, expected = await now(ctx, run), await now(ctx, undisturbed)
    assert (done.status, done.verdicts, done.usage) == (Status.PASSED, expected.verdicts, expected.usage)
    assert (await recorded(ctx, run))[: len(before)] == before
    assert f"attempt 2: the one before broke off: {setback.reason}" in done.story
    # Nothing is asked twice but what was not answered.
    assert len(endpoint.records) == 2 * asked + 1


@pytest.mark.parametrize("role", ROLES)
async def test_the_attempts_have_an_end(ctx: Context, role: str) -> None:
    async with playing(ctx, run_retries=4) as (served, endpoint):
        run = await a_talk(served)
        endpoint.faults = [refusing(role, 500, -1)]
        setbacks = [await attempt(served, run) for _ in range(5)]
    assert [one and one.delay_ms for one in setbacks] == [5000, 20_000, 60_000, 60_000, None]
    done = await now(ctx, run)
    assert (done.status, done.fault, done.attempts) == (Status.ERROR, Fault.INFRASTRUCTURE, 5)
    assert done.reason.endswith("(after 5 attempts at the run)")
    assert "answered 500" in done.reason
    assert done.story.count("the one before broke off") == 4


@pytest.mark.parametrize(("draw", "delay_ms"), [(0.0, 3750), (0.999, 6248)])
async def test_runs_that_broke_off_together_come_back_one_by_one(ctx: Context, draw: float, delay_ms: int) -> None:
    async with playing(replace(ctx, draw=lambda: draw)) as (served, endpoint):
        run = await a_talk(served)
        endpoint.faults = [refusing("tester", 503)]
        setback = await attempt(served, run)
    assert setback is not None
    assert setback.delay_ms == delay_ms


@pytest.mark.parametrize("role", ROLES)
async def test_a_model_that_refuses_is_not_asked_again(ctx: Context, role: str) -> None:
    async with playing(ctx) as (served, endpoint):
        run = await a_talk(served)
        endpoint.faults = [refusing(role, 400, -1)]
        assert await attempt(served, run) is None
    done = await now(ctx, run)
    assert (done.status, done.fault, done.attempts) == (Status.ERROR, Fault.INFRASTRUCTURE, 1)
    assert "attempts at the run" not in done.reason


async def test_a_verdict_is_never_tried_again(ctx: Context) -> None:
    async with playing(ctx) as (served, endpoint):
        run = await a_talk(served)
        endpoint.behaviours.append(
            {"role": "judge", "verdicts": {"kind": {"decision": "inconclusive", "reason": "who knows", "quote": ""}}}
        )
        assert await attempt(served, run) is None
    done = await now(ctx, run)
    assert (done.status, done.fault, done.attempts) == (Status.ERROR, Fault.JUDGE, 1)


async def test_an_address_where_nobody_is_is_tried_again_and_is_the_assistants_fault_in_the_end(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.channels.ask._FIRST_WAIT_S", 0.0)
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with open_session(LOCAL) as session:
        reaching = replace(ctx, outbound=session, limits=replace(ctx.limits, run_retries=1))
        run = await a_run(reaching, target=f"http://127.0.0.1:{port}/bot")
        setback = await attempt(reaching, run)
        assert setback is not None
        assert "no connection to" in setback.reason
        assert [type(one) for one in await recorded(ctx, run)] == [Message]
        assert await attempt(reaching, run) is None
    done = await now(ctx, run)
    assert (done.status, done.fault, done.ending) == (Status.ERROR, Fault.ASSISTANT, Ending.ASSISTANT_FAULT)
    assert done.reason.endswith("(after 2 attempts at the run)")


@pytest.mark.parametrize(
    ("role", "waited_for"),
    [
        ("tester", "the caller, after 1 recorded events"),
        ("assistant", "the assistant, after 2 recorded events"),
        ("judge", "the judge, after "),
    ],
)
async def test_an_attempt_has_a_time_limit_whatever_it_waits_for(ctx: Context, role: str, waited_for: str) -> None:
    async with playing(ctx, run_timeout_s=1.0) as (served, endpoint):
        endpoint.faults = [{"kind": "hang", "role": role, "times": -1}]
        assistant = await an_assistant(
            served, model="local/assistant", instructions="Be kind.", tools=(), greeting="Good day."
        )
        run = await a_run(served, target=assistant.id, brief="Say hello.", criteria=(Criterion("kind", "is kind"),))
        assert await attempt(served, run) is None
    done = await now(ctx, run)
    assert (done.status, done.fault, done.attempts) == (Status.ERROR, Fault.INFRASTRUCTURE, 1)
    assert done.reason.startswith(f"timeout: the run took longer than 1 s; it was waiting for {waited_for}")
    assert done.reason in done.story
    last = (await recorded(ctx, run))[-1]
    assert isinstance(last, Left)
    if role == "judge":
        assert (last.ending, done.ending, done.verdicts) == (Ending.GOODBYE, Ending.GOODBYE, ())
    else:
        assert (last.ending, done.ending) == (Ending.INFRASTRUCTURE_FAULT, Ending.INFRASTRUCTURE_FAULT)
        assert [(one.decision, one.decided_by) for one in done.verdicts] == [(Decision.INCONCLUSIVE, "nobody")]


async def test_before_anything_was_said_the_time_limit_holds_too(ctx: Context) -> None:
    class Stuck:
        async def write(self, entry: Entry) -> None:
            if entry.changes.get("status") == "running":
                await asyncio.Event().wait()
            await ctx.journal.write(entry)

    limited = replace(ctx, journal=Stuck(), limits=replace(ctx.limits, run_timeout_s=0.05))  # type: ignore[arg-type]
    run = await a_run(limited, target=(await an_assistant(limited)).id)
    assert await attempt(limited, run) is None
    done = await now(ctx, run)
    assert done.reason.endswith("it was waiting for the assistant, before anything was said")
    assert [type(one) for one in await recorded(ctx, run)] == [Left]


@dataclass
class Late:
    """A journal that writes what happens in one turn and does not say that it did, until that is given up."""

    ctx: Context
    turn: int
    under_way: list[asyncio.Task[Any]] = field(default_factory=list[asyncio.Task[Any]])

    async def write(self, entry: Entry) -> None:
        if entry.events and entry.first_turn == self.turn and not self.under_way:
            self.under_way.append(asyncio.create_task(self.ctx.journal.write(entry)))
            await asyncio.Event().wait()
        await self.ctx.journal.write(entry)


async def test_what_was_being_written_down_when_the_time_was_up_is_kept_and_stands_before_the_end(ctx: Context) -> None:
    late = Late(ctx, turn=2)
    limited = replace(ctx, journal=late, limits=replace(ctx.limits, run_timeout_s=0.2))  # type: ignore[arg-type]
    run = await a_run(limited, target=(await an_assistant(limited)).id)
    assert await attempt(limited, run) is None
    await asyncio.gather(*late.under_way)
    events = await recorded(ctx, run)
    assert [type(one).__name__ for one in events] == ["Message", "Message", "Message", "Left"]
    done = await now(ctx, run)
    assert "after 3 recorded events" in done.reason
    assert (done.status, done.ending) == (Status.ERROR, Ending.INFRASTRUCTURE_FAULT)


async def test_a_timeout_of_something_else_is_a_defect_of_ours(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    async def defect(*_given: object, **_named: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("vivavoce.services.examinations.examine", defect)
    run = await a_run(ctx, target=(await an_assistant(ctx)).id)
    assert await attempt(ctx, run) is None
    assert (await now(ctx, run)).reason == "a defect of this server (TimeoutError); its log says more"
