"""What a worker does with duties, by hand and at once, so that a test can turn the clock in between."""

from dataclasses import dataclass, field

from vivavoce.channels.messenger import Outgoing
from vivavoce.core.scenario import Medium
from vivavoce.engine.duties import after
from vivavoce.engine.leases import LEASE_MS, database_now
from vivavoce.services import duties as doing
from vivavoce.services.context import Context
from vivavoce.storage import duties
from vivavoce.storage.duties import Duty

MOST_ROUNDS = 50


async def taken(ctx: Context) -> tuple[Duty, ...]:
    """All duties that are due now, leased."""
    now, token = ctx.clock.now(), ctx.new_id()
    return await ctx.database.write(lambda tx: duties.take(tx, now, database_now(tx), token, LEASE_MS, 64))


async def do(ctx: Context, duty: Duty) -> Exception | None:
    """Do one as a worker does; returns what it raised."""
    try:
        await doing.perform(ctx, duty)
    except Exception as failure:
        await ctx.database.write(after(duty, failure, ctx.clock.now()))
        return failure
    await ctx.database.write(lambda tx: duties.finish(tx, duty))
    return None


async def work_off(ctx: Context) -> list[Exception]:
    """Do what is due now, and what becomes due by that; returns what was raised."""
    failures: list[Exception] = []
    for _ in range(MOST_ROUNDS):
        found = await taken(ctx)
        if not found:
            return failures
        for duty in found:
            failure = await do(ctx, duty)
            failures += [failure] if failure else []
    raise AssertionError("there is no end of duties")


@dataclass
class Carrier:
    """A messenger that keeps what it was given, and fails as often as it is told to."""

    troubles: list[Exception] = field(default_factory=list[Exception])
    sent: list[Outgoing] = field(default_factory=list[Outgoing])
    media: tuple[Medium, ...] = (Medium.SMS_CHAT, Medium.WHATSAPP_CHAT)
    name: str = "carrier"

    def carries(self, medium: Medium) -> bool:
        return medium in self.media

    async def send(self, message: Outgoing) -> str:
        if self.troubles:
            raise self.troubles.pop(0)
        self.sent.append(message)
        return f"carrier-{len(self.sent)}"
