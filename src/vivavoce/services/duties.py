"""Who does which duty."""

from vivavoce.services import appointments, assistants, closing, deliveries, findings, incoming, libraries, messaging
from vivavoce.services.context import Context
from vivavoce.storage.duties import Duty


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
        case closing.IDLE:
            await closing.end_idle(ctx, duty)
        case closing.REPORT:
            await closing.report(ctx, duty)
        case other:
            raise LookupError(f"nobody does duties of kind {other!r}")
