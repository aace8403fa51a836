"""What runs took together: how fast the assistant answered, how long was talked, and what it cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vivavoce.core.event import Usage
from vivavoce.core.percentiles import Percentiles, percentiles
from vivavoce.services.prices import Price, cost
from vivavoce.storage.results import Measured


@dataclass(frozen=True, slots=True)
class Figures:
    """``response_ms`` is of single answers of the assistant, ``talked_ms`` of whole conversations; None where nothing
    was measured. ``micros`` are millionths of the currency of the prices; None without prices, and where it is not
    known which models were asked. ``unpriced_tokens`` are of models without a price."""

    response_ms: Percentiles | None = None
    talked_ms: Percentiles | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    micros: int | None = None
    unpriced_tokens: int = 0


def figures(prices: Mapping[str, Price], runs: Sequence[Measured]) -> Figures:
    """The figures of these runs together."""
    spent = cost(prices, "", _usages(runs))
    known = bool(prices) and all(one.tokens is not None or not any(one.all_tokens) for one in runs)
    return Figures(
        percentiles([taken for one in runs for taken in one.response_ms or ()]),
        percentiles([one.talked_ms for one in runs if one.talked_ms]),
        sum(one.all_tokens[0] for one in runs),
        sum(one.all_tokens[1] for one in runs),
        spent.micros if known else None,
        spent.unpriced if known else 0,
    )


def _usages(runs: Sequence[Measured]) -> list[Usage]:
    """What each model took in all."""
    asked, answered = Counter[str](), Counter[str]()
    for one in runs:
        for name, (questions, answers) in (one.tokens or {}).items():
            asked[name] += questions
            answered[name] += answers
    return [Usage(name, asked[name], answered[name]) for name in asked]
