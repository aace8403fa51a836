"""Which version of an assistant a new conversation gets (contract, section 6.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from vivavoce.core.event import Millis


class Operator(StrEnum):
    """How an attribute is compared with the values of a clause."""

    IN = "in"
    NOT_IN = "not_in"
    STARTS_WITH = "starts_with"


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition on one attribute of a conversation. An attribute that is absent is in nothing and begins with
    nothing."""

    attribute: str
    operator: Operator
    values: tuple[str, ...]

    def holds(self, context: Mapping[str, str]) -> bool:
        """Whether it is true of a conversation with these attributes."""
        found = context.get(self.attribute)
        match self.operator:
            case Operator.IN:
                return found is not None and found in self.values
            case Operator.NOT_IN:
                return found is None or found not in self.values
            case _:
                return found is not None and found.startswith(self.values)


@dataclass(frozen=True, slots=True)
class Slot:
    """A share of the conversations: ``weight`` is in percent."""

    version_id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Rule:
    """What conversations get for which all clauses hold: one version, or by shares; what the shares leave over gets
    main. ``slots`` is empty where ``version_id`` is set."""

    clauses: tuple[Clause, ...] = ()
    version_id: str | None = None
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True)
class Rollout:
    """The rules of an assistant, of which the first that matches decides; without any, all get main."""

    rules: tuple[Rule, ...]
    created_at: Millis
    updated_at: Millis

    def served(self) -> tuple[str, ...]:
        """The ids of all versions that some conversation can get by a rule."""
        named = [
            (rule.version_id,) if rule.version_id else [slot.version_id for slot in rule.slots] for rule in self.rules
        ]
        return tuple(dict.fromkeys(id_ for ids in named for id_ in ids))


def percent(slots: Sequence[Slot]) -> Fraction:
    """The sum of the weights, exactly as they are written in decimals: 33.3 + 33.3 + 33.4 is 100."""
    return sum((_exact(slot.weight) for slot in slots), Fraction(0))


def choose(rollout: Rollout, context: Mapping[str, str], draw: float) -> str | None:
    """The id of the version that a conversation with these attributes gets; None is main. 0 <= ``draw`` < 1."""
    for rule in rollout.rules:
        if all(clause.holds(context) for clause in rule.clauses):
            return rule.version_id or _drawn(rule.slots, draw)
    return None


def _drawn(slots: Sequence[Slot], draw: float) -> str | None:
    left = Fraction(draw) * 100
    for slot in slots:
        left -= _exact(slot.weight)
        if left < 0:
            return slot.version_id
    return None


def _exact(weight: float) -> Fraction:
    return Fraction(repr(weight))
