"""What the runs of a batch may spend together, and what they have."""

from dataclasses import dataclass

from vivavoce.core.event import Millis

MICROS = 1_000_000
"""Money is counted in millionths of whatever the prices are in."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A ceiling of ``tokens`` (of questions and answers together) and one of money in millionths (``micros``); None
    sets none."""

    tokens: int | None = None
    micros: int | None = None

    @property
    def sets_any(self) -> bool:
        """Whether there is a ceiling at all."""
        return self.tokens is not None or self.micros is not None


@dataclass(frozen=True, slots=True)
class Account:
    """A batch's budget and what was spent of it. ``unpriced_tokens`` are those of models that have no price, which cost
    no money; ``exhausted_at`` is when a ceiling was reached."""

    budget: Budget
    spent_tokens: int = 0
    spent_micros: int = 0
    unpriced_tokens: int = 0
    exhausted_at: Millis | None = None

    @property
    def exhausted(self) -> bool:
        """Whether a ceiling is reached."""
        tokens, micros = self.budget.tokens, self.budget.micros
        return (tokens is not None and self.spent_tokens >= tokens) or (
            micros is not None and self.spent_micros >= micros
        )

    @property
    def reason(self) -> str:
        """Why the batch is stopped, for a person."""
        tokens = self.budget.tokens
        if tokens is not None and self.spent_tokens >= tokens:
            return f"the batch's budget of {tokens} tokens is spent ({self.spent_tokens})"
        money = (self.budget.micros or 0) / MICROS
        return f"the batch's budget of {money:g} in money is spent ({self.spent_micros / MICROS:g})"
