"""The drill of ``tests.chaos`` in short: each kind of strike once, and a provider that fails."""

from pathlib import Path

from tests.chaos.drill import Orders, drill
from tests.chaos.plan import EVERYBODY, SERVER, Faults, Strike
from tests.chaos.verdict import report, violations
from tests.support.postgres import new_postgres

STRIKES = (
    Strike(1.0, "kill", 1, 0.2),
    Strike(1.5, "freeze", 2, 1.5),
    Strike(2.0, "cut", SERVER, 0.7),
    Strike(3.5, "cut", EVERYBODY, 0.7),
    Strike(4.5, "stop", 2, 0.1),
)


async def test_nothing_is_lost_and_nothing_is_paid_for_twice(tmp_path: Path) -> None:
    orders = Orders(
        seed=7,
        seconds=6.0,
        conversations=12,
        workers=2,
        concurrency=4,
        latency_s=0.2,
        strikes=STRIKES,
        faults=Faults(7, rate=0.1),
        recovery_s=90.0,
    )
    with new_postgres() as url:
        outcome = await drill(orders, tmp_path, url)
    assert len(outcome.hits) + outcome.left_out == len(STRIKES)
    assert any(one.faulty for one in outcome.ledger)
    found = violations(outcome)
    assert not found, "\n".join([report(outcome), *found])
