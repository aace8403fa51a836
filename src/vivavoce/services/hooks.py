"""Hooks: addresses that are told when runs and batches are over.

Whoever ends a run wants a duty with it (``vivavoce.storage.hooks``). The duty wants a delivery for each hook in the
transaction that finishes it, so nothing is told twice. The last run of a batch is not always the last whose duty is
done: each of them looks whether all are over, and the first to find it marks that it is told.
"""

import re
from dataclasses import dataclass
from typing import Any

from vivavoce.core.clock import Clock
from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.ids import NewId
from vivavoce.core.run import Run
from vivavoce.core.times import iso, maybe_iso
from vivavoce.outbound.fetch import Unreachable
from vivavoce.outbound.guard import Guard, Refused, vetted
from vivavoce.services import deliveries
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import batches, duties, hooks, runs
from vivavoce.storage.batches import Stand
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Duty
from vivavoce.storage.page import Page, Window

KIND = hooks.COMPLETED
TOLD = hooks.TOLD
PREFIX = "viva_"
"""Of the headers that sign what hooks are sent."""
MOST = 20
"""How many hooks an organisation may have."""
LONGEST_URL = 2048
TEST = "test"
"""The kind of what is sent to try a hook."""
_URL = re.compile(rf"[!-~]{{1,{LONGEST_URL}}}")


async def create(
    database: Database, clock: Clock, new_id: NewId, guard: Guard, org: str, url: str, kinds: tuple[Occasion, ...]
) -> Hook:
    """Keep a hook. Raises ``Rejected`` for an address that cannot be called, as far as that can be told without looking
    up its name, for no kinds, and for too many hooks."""
    if not _URL.fullmatch(url):
        raise Rejected(f"An address has up to {LONGEST_URL} characters of ASCII and no blanks.", "url")
    try:
        vetted(guard, url)
    except Refused as failure:
        raise Rejected(f"This address cannot be called: {failure}", "url") from failure
    if not kinds:
        raise Rejected("A webhook needs a kind: " + ", ".join(Occasion), "kinds")
    made = Hook(new_id(), url, tuple(sorted(set(kinds), key=list(Occasion).index)), clock.now())

    def work(tx: Tx) -> None:
        if len(hooks.get_all(tx, org)) >= MOST:
            raise Rejected(f"There are {MOST} webhooks already, which is the most that an organisation may have.")
        hooks.add(tx, org, made)

    await database.write(work)
    return made


async def retrieve(database: Database, org: str, hook_id: str) -> Hook:
    """One hook. Raises ``NotFound``."""
    found = await database.read(lambda tx: hooks.get(tx, org, hook_id))
    if found is None:
        raise NotFound("webhook", hook_id)
    return found


async def get_page(database: Database, org: str, window: Window) -> Page[Hook]:
    """A page of hooks, newest first."""
    return await database.read(lambda tx: hooks.get_page(tx, org, window))


async def delete(database: Database, org: str, hook_id: str) -> None:
    """Remove a hook; what was to be delivered already still is. Raises ``NotFound``."""
    if not await database.write(lambda tx: hooks.drop(tx, org, hook_id)):
        raise NotFound("webhook", hook_id)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a trial: the status of the answer, or why there was none."""

    status: int | None
    reason: str = ""

    @property
    def taken(self) -> bool:
        """Whether a delivery would have been over with this."""
        return self.status is not None and 200 <= self.status < 300


async def try_out(by: deliveries.Means, hook: Hook, new_id: NewId) -> Tried:
    """Send something to the hook now, and once."""
    payload = {
        "kind": TEST,
        "created_at": iso(by.clock.now()),
        "data": {"webhook_id": hook.id, "kinds": list(hook.kinds)},
    }
    try:
        answer = await deliveries.send(by, hook.url, PREFIX, payload, new_id())
    except Unreachable as failure:
        return Tried(None, str(failure))
    except Refused as failure:
        return Tried(None, str(failure))
    return Tried(answer.status)


async def perform(ctx: Context, duty: Duty) -> None:
    """A run is over, or runs of a batch are gone: have everybody told who wants to know."""
    await ctx.database.write(lambda tx: _tell(ctx, tx, duty))
    ctx.wake()


def _tell(ctx: Context, tx: Tx, duty: Duty) -> None:
    found = hooks.get_all(tx, duty.org)
    run = runs.get(tx, duty.org, duty.subject)
    if not duties.finish(tx, duty):
        return
    if run is not None:
        _want(ctx, tx, duty.org, found, Occasion.RUN, run.id, of_run(run))
    batch_id = duty.body
    if not batch_id or not any(Occasion.BATCH in hook.kinds for hook in found):
        return
    # First what costs least: of a large batch each run comes by here.
    if hooks.is_told(tx, batch_id) or hooks.any_unfinished(tx, duty.org, batch_id):
        return
    stand = batches.get_stand(tx, duty.org, batch_id)
    if stand is not None and hooks.mark_told(tx, duty.org, batch_id, ctx.new_id(), ctx.clock.now()):
        _want(ctx, tx, duty.org, found, Occasion.BATCH, batch_id, of_batch(batch_id, stand))


def _want(
    ctx: Context, tx: Tx, org: str, found: tuple[Hook, ...], kind: Occasion, id_: str, data: dict[str, Any]
) -> None:
    payload = {"kind": kind.value, "created_at": iso(ctx.clock.now()), "data": data}
    for hook in found:
        if kind in hook.kinds:
            deliveries.want(ctx, tx, org, f"{kind} {id_} to {hook.id}", hook.url, PREFIX, payload)


def of_run(run: Run) -> dict[str, Any]:
    """What is told of a run that is over: nothing that was said in it."""
    return {
        "run_id": run.id,
        "test_id": run.scenario_id,
        "batch_id": run.batch_id,
        "suite": run.suite,
        "version_id": run.version_id,
        "trigger": run.trigger,
        "status": run.state,
        "fault": run.fault.value if run.fault else None,
        "reason": run.reason or None,
        "attempts": run.attempts,
        "created_at": iso(run.created_at),
        "started_at": maybe_iso(run.started_at),
        "completed_at": maybe_iso(run.completed_at),
    }


def of_batch(batch_id: str, stand: Stand) -> dict[str, Any]:
    """What is told of a batch that is over."""
    final = {status.value: many for status, many in stand.many.items() if status.final}
    return {
        "batch_id": batch_id,
        "total": stand.total,
        "counts": {**final, "cancelled": stand.cancelled},
        "created_at": iso(stand.created_at),
        "started_at": maybe_iso(stand.started_at),
        "completed_at": maybe_iso(stand.completed_at),
    }
