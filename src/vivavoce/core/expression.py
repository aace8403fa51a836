"""Expressions over a conversation's variables (contract, section 4.1).

Where the contract is silent: a variable that is not set is null; nothing is converted, so ``"200"`` and ``200`` are
different; an order against null, or between values of different kinds, does not hold; arithmetic with anything but
numbers, or by zero, is null.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

Comparing = Literal["==", "!=", "<", "<=", ">", ">=", "contains", "not_contains"]
Joining = Literal["and", "or", "not"]
Calculating = Literal["+", "-", "*", "/", "%"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares two values; ``contains`` is a substring or a member of a list."""

    op: Comparing
    left: "Expression"
    right: "Expression"
    kind: Literal["comparison"] = "comparison"


@dataclass(frozen=True, slots=True)
class Junction:
    """Joins conditions; *not* has one operand."""

    op: Joining
    operands: tuple["Expression", ...]
    kind: Literal["junction"] = "junction"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Calculates with numbers."""

    op: Calculating
    left: "Expression"
    right: "Expression"
    kind: Literal["arithmetic"] = "arithmetic"


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of a variable."""

    name: str
    kind: Literal["variable"] = "variable"


@dataclass(frozen=True, slots=True)
class Literally:
    """A text, a number or a truth value."""

    value: str | float | bool
    kind: Literal["literal"] = "literal"


Expression = Comparison | Junction | Arithmetic | Variable | Literally

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SUMS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def holds(expression: Expression, variables: Mapping[str, Any]) -> bool:
    """Whether the expression is true; whatever is not a truth value is not. Never raises."""
    return value(expression, variables) is True


def value(expression: Expression, variables: Mapping[str, Any]) -> Any:
    """What the expression comes to: text, number, truth value, what a variable holds, or None where it comes to
    nothing. Never raises; what is nested too deeply to be worked out comes to nothing."""
    try:
        return _value(expression, variables)
    except RecursionError:
        return None


def _value(expression: Expression, variables: Mapping[str, Any]) -> Any:
    match expression:
        case Literally(value=literal):
            return literal
        case Variable(name=name):
            return variables.get(name)
        case Comparison(op=op, left=left, right=right):
            return _compare(op, _value(left, variables), _value(right, variables))
        case Arithmetic(op=op, left=left, right=right):
            return _calculate(op, _value(left, variables), _value(right, variables))
        case _:
            true = (_value(one, variables) is True for one in expression.operands)
            return all(true) if expression.op == "and" else any(true) is (expression.op == "or")


def _compare(op: Comparing, left: Any, right: Any) -> bool:
    match op:
        case "==":
            return _equal(left, right)
        case "!=":
            return not _equal(left, right)
        case "contains":
            return _contains(left, right)
        case "not_contains":
            return not _contains(left, right)
        case _:
            ordered = (_number(left) and _number(right)) or (isinstance(left, str) and isinstance(right, str))
            return ordered and _ORDERS[op](left, right)


def _equal(left: Any, right: Any) -> bool:
    """Python takes True for 1; people do not."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    if isinstance(whole, list | tuple):
        return any(_equal(one, part) for one in cast("list[Any] | tuple[Any, ...]", whole))
    return False


def _calculate(op: Calculating, left: Any, right: Any) -> Any:
    if not (_number(left) and _number(right)):
        return None
    try:
        return _SUMS[op](left, right)
    except (ZeroDivisionError, OverflowError):
        return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
