"""Equations over texts: what a template becomes is compared, whatever the variables in it were."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Relation = Literal["==", "!=", ">", ">=", "<", "<=", "contains", "not_contains", "exists", "not_exists"]

Fill = Callable[[str], str | None]
"""What a template becomes; None where something in it is not set."""

_NUMBER = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*")


@dataclass(frozen=True, slots=True)
class Equation:
    """Compares what two templates become; for ``exists`` and ``not_exists`` only the left one counts."""

    left: str
    relation: Relation
    right: str = ""


def holds(equation: Equation, fill: Fill) -> bool:
    """Whether it is true. Never raises.

    Equality and containing compare texts; an order compares numbers, and does not hold between anything else. What is
    not set is not equal to anything, contains nothing and does not exist; an empty text does.
    """
    left = fill(equation.left)
    relation = equation.relation
    if relation in ("exists", "not_exists"):
        return (left is not None) is (relation == "exists")
    right = fill(equation.right)
    if relation in ("!=", "not_contains"):
        return left is None or right is None or not _related(left, "==" if relation == "!=" else "contains", right)
    return left is not None and right is not None and _related(left, relation, right)


def _related(left: str, relation: Relation, right: str) -> bool:
    if relation == "==":
        return left == right
    if relation == "contains":
        return right in left
    one, other = _number(left), _number(right)
    if one is None or other is None:
        return False
    match relation:
        case ">":
            return one > other
        case ">=":
            return one >= other
        case "<":
            return one < other
        case _:
            return one <= other


def _number(text: str) -> float | None:
    # What Python takes for a number beside (1_000, nan, ٣) nobody wrote as one.
    return float(text) if _NUMBER.fullmatch(text) else None
