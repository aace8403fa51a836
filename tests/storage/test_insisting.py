"""What cannot be had again is written while there is any hope."""

import pytest
from tests.support.outages import WHENS, Outage, When, weaken

from vivavoce.storage.database import Database, DatabaseAway, Tx
from vivavoce.storage.insisting import WAITS_S, insist


class Naps:
    """Sleeps that take no time."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@pytest.mark.parametrize("when", WHENS)
async def test_it_is_written_again_until_it_is_known_to_be_kept(database: Database, when: When) -> None:
    outage, naps, tries = Outage(), Naps(), list[int]()
    weaken(database, outage)
    outage.begins(1, when)

    def work(_tx: Tx) -> int:
        tries.append(1)
        return len(tries)

    assert await insist(database, work, sleep=naps) == (2 if when == "after" and database.sqlite else 1)
    assert naps.taken == [WAITS_S[0]]


async def test_no_try_begins_after_its_time(database: Database) -> None:
    naps, outage = Naps(), Outage()
    weaken(database, outage)
    outage.begins(1, "before")
    with pytest.raises(DatabaseAway):
        await insist(database, lambda _tx: None, within_s=0.0, sleep=naps)
    assert naps.taken == []


async def test_a_database_that_stays_away_is_told_in_the_end(database: Database) -> None:
    naps, outages = Naps(), [Outage() for _ in range(len(WAITS_S) + 1)]
    for outage in outages:
        weaken(database, outage)
        outage.begins(1, "before")
    with pytest.raises(DatabaseAway):
        await insist(database, lambda _tx: None, sleep=naps)
    assert naps.taken == [*WAITS_S]


async def test_what_else_fails_is_not_tried_again(database: Database) -> None:
    def work(_tx: Tx) -> None:
        raise ValueError("ours")

    naps = Naps()
    with pytest.raises(ValueError, match="ours"):
        await insist(database, work, sleep=naps)
    assert naps.taken == []
