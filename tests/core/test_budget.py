import pytest

from vivavoce.core.budget import Account, Budget


@pytest.mark.parametrize(
    ("budget", "tokens", "micros", "exhausted"),
    [
        (Budget(), 10**9, 10**9, False),
        (Budget(tokens=100), 99, 10**9, False),
        (Budget(tokens=100), 100, 0, True),
        (Budget(micros=100), 10**9, 99, False),
        (Budget(micros=100), 0, 100, True),
        (Budget(100, 100), 99, 99, False),
        (Budget(100, 100), 100, 99, True),
        (Budget(100, 100), 99, 100, True),
    ],
)
def test_a_budget_is_spent_when_a_ceiling_is_reached(budget: Budget, tokens: int, micros: int, exhausted: bool) -> None:
    assert Account(budget, tokens, micros).exhausted is exhausted


def test_whether_there_is_a_ceiling() -> None:
    assert [Budget().sets_any, Budget(1).sets_any, Budget(None, 1).sets_any] == [False, True, True]


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (Account(Budget(100_000), 100_312), "the batch's budget of 100000 tokens is spent (100312)"),
        (Account(Budget(9, 2_500_000), 8, 2_510_000), "the batch's budget of 2.5 in money is spent (2.51)"),
    ],
)
def test_the_reason_names_the_ceiling_and_what_was_spent(account: Account, reason: str) -> None:
    assert account.reason == reason
