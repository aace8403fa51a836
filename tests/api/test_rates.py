from hypothesis import given
from hypothesis import strategies as st
from tests.support.store import Hand

from vivavoce.api import rates
from vivavoce.api.rates import WINDOW_S, Rate, Rates


def test_requests_are_counted_down_and_refused_from_one_too_many() -> None:
    counter = Rates(3, Hand())
    seen = [counter.count("k") for _ in range(5)]
    assert seen == [Rate(3, used, 60) for used in range(1, 6)]
    assert [one.exceeded for one in seen if one] == [False, False, False, True, True]
    assert [one.headers()["x-ratelimit-remaining"] for one in seen if one] == ["2", "1", "0", "0", "0"]


def test_a_minute_later_counting_begins_anew() -> None:
    hand = Hand()
    counter = Rates(1, hand)
    assert counter.count("k") == Rate(1, 1, 60)
    hand.turn(59.9)
    assert counter.count("k") == Rate(1, 2, 1)
    hand.turn(0.1)
    assert counter.count("k") == Rate(1, 1, 60)


def test_every_key_counts_for_itself() -> None:
    hand = Hand()
    counter = Rates(1, hand)
    assert counter.count("a") == Rate(1, 1, 60)
    hand.turn(30)
    assert counter.count("b") == Rate(1, 1, 60)
    assert counter.count("a") == Rate(1, 2, 30)


def test_without_a_limit_nothing_is_counted() -> None:
    counter = Rates(0, Hand())
    assert [counter.count("k") for _ in range(3)] == [None] * 3


def test_the_headers_are_whole_numbers() -> None:
    assert Rate(10, 4, 17).headers() == {
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "6",
        "x-ratelimit-reset": "17",
    }


def test_any_number_of_keys_takes_no_more_than_some_memory() -> None:
    counter = Rates(1, Hand())
    for number in range(rates._MOST_KEYS + 5):
        counter.count(f"{number}")
    assert len(counter._windows) <= rates._MOST_KEYS


@given(st.lists(st.floats(0, 30, allow_nan=False), max_size=40), st.integers(1, 5))
def test_nobody_gets_more_than_the_limit_in_a_window(waits: list[float], limit: int) -> None:
    hand = Hand()
    counter = Rates(limit, hand)
    let_in: list[float] = []
    for wait in waits:
        hand.turn(wait)
        rate = counter.count("k")
        assert rate is not None
        assert 1 <= rate.reset <= WINDOW_S
        if rate.used == 1:
            let_in = []
        if not rate.exceeded:
            let_in.append(hand.ticks())
        assert len(let_in) <= limit
        assert let_in[-1] - let_in[0] < WINDOW_S
