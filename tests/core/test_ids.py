import uuid

from hypothesis import given
from hypothesis import strategies as st
from tests.support.players import START, HandClock

from vivavoce.core.ids import first_of, uuid7


def zeros(count: int) -> bytes:
    return bytes(count)


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=60), st.binary(min_size=8, max_size=8))
def test_ids_of_one_source_strictly_increase_also_when_the_clock_steps_back(steps: list[int], noise: bytes) -> None:
    clock = HandClock()
    new = uuid7(clock, lambda _count: noise)
    ids: list[str] = []
    for step_ms in steps:
        clock.at += step_ms
        ids.append(new())
    assert ids == sorted(set(ids))
    assert [uuid.UUID(each).int for each in ids] == sorted(uuid.UUID(each).int for each in ids)


@given(st.binary(min_size=8, max_size=8), st.integers(0, (1 << 48) - 1))
def test_an_id_is_a_uuid_of_version_7_with_its_millisecond_in_front(noise: bytes, at: int) -> None:
    made = uuid.UUID(uuid7(HandClock(at=at), lambda _count: noise)())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == at
    assert made.int & (1 << 62) - 1 == int.from_bytes(noise) & (1 << 62) - 1


def test_a_full_counter_borrows_from_the_next_millisecond() -> None:
    new = uuid7(HandClock(), zeros)
    made = [uuid.UUID(new()).int for _ in range(4097)]
    assert made == sorted(set(made))
    assert [made[0] >> 80, made[4095] >> 80, made[4096] >> 80] == [START, START, START + 1]


def test_after_a_step_back_ids_return_to_the_clock_when_it_has_caught_up() -> None:
    clock = HandClock()
    new = uuid7(clock, zeros)
    new()
    clock.advance(-5)
    assert uuid.UUID(new()).int >> 80 == START
    clock.advance(6)
    assert uuid.UUID(new()).int >> 80 == START + 1000


def test_eight_random_bytes_are_asked_for() -> None:
    wanted: list[int] = []

    def random(count: int) -> bytes:
        wanted.append(count)
        return bytes(count)

    uuid7(HandClock(), random)()
    assert wanted == [8]


@given(st.integers(0, (1 << 48) - 1))
def test_no_id_of_that_millisecond_sorts_before_the_first(at: int) -> None:
    assert first_of(at) <= uuid7(HandClock(at=at), zeros)()
    assert at == 0 or uuid7(HandClock(at=at - 1), lambda count: b"\xff" * count)() < first_of(at)


def test_times_that_no_id_can_hold_have_a_first_one_all_the_same() -> None:
    assert first_of(-1) == first_of(0)
    assert first_of(1 << 60) == first_of((1 << 48) - 1)
