"""What models cost: prices that the operator set. A model without one costs no money, and is told apart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vivavoce.core.event import Event, Recalled, ToolReturned, Usage
from vivavoce.storage.budgets import Spent


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, of questions (``input``) and of answers (``output``)."""

    input: float
    output: float


def cost(prices: Mapping[str, Price], batch_id: str, usages: Iterable[Usage]) -> Spent:
    """What these model calls cost together."""
    tokens = unpriced = 0
    micros = 0.0
    for usage in usages:
        both = usage.input_tokens + usage.output_tokens
        tokens += both
        # A bare name is OpenAI's, as it is wherever models are named.
        price = prices.get(usage.model) or prices.get(usage.model.removeprefix("openai/"))
        if price is None:
            unpriced += both
        else:
            # A price for a million, in millionths: the two cancel out.
            micros += usage.input_tokens * price.input + usage.output_tokens * price.output
    return Spent(batch_id, tokens, round(micros), unpriced)


def usages(events: Iterable[Event]) -> Iterable[Usage]:
    """What each of the events cost that cost anything."""
    return (
        event.usage for event in events if not isinstance(event, ToolReturned | Recalled) and event.usage is not None
    )
