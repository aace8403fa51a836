"""The plan follows from its seed, and leaves nothing out."""

from itertools import pairwise

from tests.chaos.plan import KINDS, SERVER, Faults, outages, strikes


def test_the_same_seed_plans_the_same() -> None:
    assert strikes(7, 120, 3) == strikes(7, 120, 3)
    assert strikes(7, 120, 3) != strikes(8, 120, 3)
    assert outages(7, 120) == outages(7, 120)
    one, other = Faults(7), Faults(8)
    drawn = [[each.of("case-0001", 1, nth, 0.0) for nth in range(1, 100)] for each in (one, one, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_every_kind_of_strike_hits_a_worker_and_nobody_is_hit_twice_at_once() -> None:
    planned = strikes(7, 120, 3)
    assert {strike.kind for strike in planned if strike.victim > SERVER} == set(KINDS)
    assert any(strike.victim == SERVER for strike in planned)
    for victim in range(4):
        mine = [strike for strike in planned if strike.victim == victim]
        assert all(one.at_s + one.lasts_s < next_.at_s for one, next_ in pairwise(mine))


def test_garbage_comes_once_and_outages_refuse_everything() -> None:
    faults = Faults(7, rate=1.0, outages=((10.0, 12.0),))
    garbled = [faults.of(f"case-{number:04}", 1, 2, 0.0) for number in range(200)]
    assert {"kind": "garbage"} not in garbled
    assert {"kind": "garbage"} in [faults.of(f"case-{number:04}", 1, 1, 0.0) for number in range(200)]
    assert {faults.of("case-0001", 1, nth, 11.0)["status"] for nth in range(1, 9)} == {503}  # type: ignore[index]
    assert Faults(7, rate=0.0).of("case-0001", 1, 1, 0.0) is None
