from vivavoce.core.event import Message, Moved, Speaker, ToolReturned, Usage
from vivavoce.services.prices import Price, cost, usages
from vivavoce.storage.budgets import Spent

PRICES = {"openai/gpt-4o-mini": Price(0.15, 0.6), "local/free": Price(0, 0), "gpt-5": Price(1.25, 10)}


def test_tokens_times_the_price_for_a_million() -> None:
    used = [Usage("openai/gpt-4o-mini", 1_000_000, 500_000), Usage("openai/gpt-4o-mini", 10, 1)]
    assert cost(PRICES, "b", used) == Spent("b", 1_500_011, 450_002, 0)


def test_what_has_no_price_costs_no_money_and_is_told_apart() -> None:
    used = [Usage("local/llama", 70, 7), Usage("local/free", 20, 2), Usage("scripted")]
    assert cost(PRICES, "b", used) == Spent("b", 99, 0, 77)
    assert cost({}, "b", []) == Spent("b", 0, 0, 0)


def test_a_bare_name_is_openais() -> None:
    assert cost(PRICES, "b", [Usage("openai/gpt-5", 2, 1)]) == Spent("b", 3, 12, 0)


def test_what_events_cost() -> None:
    used = Usage("m", 1, 2)
    events = (
        Message(Speaker.CALLER, "hi", 0, usage=used),
        Message(Speaker.ASSISTANT, "hi", 0),
        ToolReturned("1", "t", "", True, 0),
        Moved("n", 0, usage=used),
    )
    assert list(usages(events)) == [used, used]
