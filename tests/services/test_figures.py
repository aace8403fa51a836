"""Figures for whoever asks often."""

from collections.abc import Callable

from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests.support.store import Hand, only_sqlite, pending_run

from vivavoce.core.run import Priority
from vivavoce.core.status import Status
from vivavoce.services.context import Context
from vivavoce.services.figures import KEPT_S, Standing
from vivavoce.storage.database import Tx
from vivavoce.storage.figures import Figures

WAITING = (Status.PENDING, Priority.INTERACTIVE)


@only_sqlite
async def test_the_database_is_not_asked_at_every_look(ctx: Context, hand: Hand) -> None:
    standing = Standing(ctx.database, hand.ticks)
    for waited_s, expected in ((0.0, 0), (KEPT_S - 1, 0), (1.0, 1)):
        hand.turn(waited_s)
        found = await standing.now()
        assert found is not None
        assert found.runs[WAITING] == expected
        if waited_s == 0:
            await pending_run(ctx.database)


@only_sqlite
async def test_a_database_that_does_not_answer_is_asked_again_later(ctx: Context, hand: Hand) -> None:
    answers = True

    class Away:
        async def read(self, work: Callable[[Tx], Figures]) -> Figures:
            if not answers:
                raise OperationalError("marked", {}, Exception("marked"))
            return await ctx.database.read(work)

    standing = Standing(Away(), hand.ticks)  # type: ignore[arg-type]
    assert await standing.now() is not None
    answers = False
    assert await standing.now() is not None
    hand.turn(KEPT_S)
    with capture_logs() as logs:
        assert await standing.now() is None
    assert [one["reason"] for one in logs] == ["OperationalError: Exception"]
    answers = True
    assert await standing.now() is None
    hand.turn(KEPT_S)
    assert await standing.now() is not None
