"""Counts and figures as they are shown."""

from dataclasses import asdict
from typing import Any

from vivavoce.core.budget import MICROS
from vivavoce.core.event import Millis
from vivavoce.core.percentiles import Percentiles
from vivavoce.core.times import iso
from vivavoce.services.measuring import Figures
from vivavoce.storage.results import Counts


def dump_counts(counts: Counts) -> dict[str, Any]:
    """How many runs stand how."""
    return {
        "total": counts.total,
        "passed": counts.passed,
        "failed": counts.failed,
        "errors": counts.errors,
        "cancelled": counts.cancelled,
        "over": counts.over,
        "pass_rate": counts.pass_rate,
    }


def dump_standing(batch_id: str, at: Millis, counts: Counts) -> dict[str, Any]:
    """A batch in a line."""
    return {"batch_id": batch_id, "at": iso(at), **dump_counts(counts)}


def dump_figures(figures: Figures | None) -> dict[str, Any]:
    """What runs took; all of it null where that was not read."""
    if figures is None:
        names = ("response_ms", "talked_ms", "input_tokens", "output_tokens", "money", "unpriced_tokens")
        return dict.fromkeys(names)
    return {
        "response_ms": dump_percentiles(figures.response_ms),
        "talked_ms": dump_percentiles(figures.talked_ms),
        "input_tokens": figures.input_tokens,
        "output_tokens": figures.output_tokens,
        "money": dump_money(figures),
        "unpriced_tokens": figures.unpriced_tokens,
    }


def dump_percentiles(found: Percentiles | None) -> dict[str, int] | None:
    """Milliseconds."""
    return None if found is None else asdict(found)


def dump_money(figures: Figures) -> float | None:
    """In the currency of the prices."""
    return None if figures.micros is None else figures.micros / MICROS
