"""Who does which duty."""

from vivavoce.services import (
    appointments,
    assistants,
    budgets,
    closing,
    deliveries,
    findings,
    hooks,
    incoming,
    libraries,
    messaging,
    pruning,
    schedules,
    tallying,
)
from vivavoce.services.context import Context
from vivavoce.storage import duties
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty

KINDS = frozenset(
    {
        deliveries.KIND,
        findings.KIND,
        appointments.KIND,
        assistants.ERASE,
        libraries.KIND,
        messaging.SEND,
        incoming.REPLY,
        schedules.KIND,
        schedules.NOW,
        budgets.KIND,
        closing.IDLE,
        closing.REPORT,
        hooks.KIND,
        hooks.TOLD,
        tallying.KIND,
        pruning.KIND,
    }
)
"""What ``perform`` does. Others are a later release's: its servers do them."""


async def begin(ctx: Context) -> None:
    """Keep the duties that come back by themselves, where they are not kept already. For a server that starts."""

    def work(tx: Tx) -> None:
        duties.begin(tx, tallying.wanted(ctx))
        duties.begin(tx, pruning.wanted(ctx, delay_ms=pruning.FIRST_MS))

    await ctx.database.write(work)


async def perform(ctx: Context, duty: Duty) -> None:
    """Do it. What it raises has it tried again later."""
    match duty.kind:
        case deliveries.KIND:
            await deliveries.perform(ctx, duty)
        case findings.KIND:
            await findings.perform(ctx, duty)
        case appointments.KIND:
            await appointments.perform(ctx, duty)
        case assistants.ERASE:
            await assistants.erase(ctx, duty)
        case libraries.KIND:
            await libraries.perform(ctx, duty)
        case messaging.SEND:
            await messaging.perform(ctx, duty)
        case incoming.REPLY:
            await incoming.perform(ctx, duty)
        case schedules.KIND:
            await schedules.perform(ctx, duty)
        case schedules.NOW:
            await schedules.perform_now(ctx, duty)
        case budgets.KIND:
            await budgets.perform(ctx, duty)
        case closing.IDLE:
            await closing.end_idle(ctx, duty)
        case closing.REPORT:
            await closing.report(ctx, duty)
        case hooks.KIND:
            await hooks.perform(ctx, duty)
        case hooks.TOLD:
            pass
        case tallying.KIND:
            await tallying.perform(ctx, duty)
        case pruning.KIND:
            await pruning.perform(ctx, duty)
        case other:
            raise LookupError(f"nobody does duties of kind {other!r}")
