"""Which versions conversations get: as people read it, and as a form says it."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from vivavoce.core.assistant import Version
from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot, percent
from vivavoce.web.gate import Form

MOST_RULES = 50
MOST_CLAUSES = 20
MOST_VALUES = 1000
OPERATORS: Mapping[Operator, str] = {
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
    Operator.STARTS_WITH: "begins with one of",
}
_WEIGHT = re.compile(r"r([0-9]{1,3})w(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ClauseTyped:
    """A condition as it was typed; ``values`` one on each line."""

    attribute: str = ""
    operator: str = Operator.IN.value
    values: str = ""


@dataclass(frozen=True, slots=True)
class RuleTyped:
    """A rule as it was typed: ``weights`` are percents by the ids of versions, of those that were given any."""

    clauses: tuple[ClauseTyped, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def blank(self) -> bool:
        """Whether nothing was typed."""
        return not any(one.attribute or one.values for one in self.clauses) and not any(self.weights.values())


@dataclass(frozen=True, slots=True)
class Share:
    """What a rule gives: ``who`` are the conversations, ``gets`` the versions with their percents, main last."""

    who: str
    gets: tuple[tuple[str, str], ...]


def shares(rollout: Rollout | None, main: Version, versions: Sequence[Version]) -> tuple[Share, ...]:
    """A rollout as people read it, rule by rule; what no rule matches gets main."""
    names = {version.id: called(version) for version in versions}
    told = [_share(rule, called(main), names) for rule in (rollout.rules if rollout else ())]
    rest = Share("all other conversations" if told else "all conversations", ((called(main), "100 %"),))
    # Behind a rule without conditions nothing is left.
    if rollout and any(not rule.clauses for rule in rollout.rules):
        return tuple(told)
    return (*told, rest)


def called(version: Version) -> str:
    """What people call a version."""
    number = f"version {version.number}"
    return f"{number} “{version.label}”" if version.label else number


def titled(version: Version) -> str:
    """The same where it begins a line."""
    told = called(version)
    return told[0].upper() + told[1:]


def _share(rule: Rule, main: str, names: Mapping[str, str]) -> Share:
    who = " and ".join(f"{one.attribute} {OPERATORS[one.operator]} {', '.join(one.values)}" for one in rule.clauses)
    if rule.version_id is not None:
        gets = [(names.get(rule.version_id, rule.version_id), "100 %")]
    else:
        gets = [(names.get(slot.version_id, slot.version_id), _percent(slot.weight)) for slot in rule.slots]
        gets.append((main, _percent(float(100 - percent(rule.slots)))))
    return Share(f"conversations where {who}" if who else "all conversations", tuple(gets))


def _percent(weight: float) -> str:
    return f"{weight:g} %"


def typed(rollout: Rollout | None) -> tuple[RuleTyped, ...]:
    """A rollout as the form shows it."""
    return tuple(
        RuleTyped(
            tuple(ClauseTyped(one.attribute, one.operator.value, "\n".join(one.values)) for one in rule.clauses),
            {rule.version_id: "100"}
            if rule.version_id is not None
            else {slot.version_id: str(slot.weight).removesuffix(".0") for slot in rule.slots},
        )
        for rule in (rollout.rules if rollout else ())
    )


def fits(rollout: Rollout | None) -> bool:
    """Whether the form has room for all of it."""
    rules = rollout.rules if rollout else ()
    return len(rules) <= MOST_RULES and all(len(rule.clauses) <= MOST_CLAUSES for rule in rules)


def seal(main: Version, rollout: Rollout | None) -> str:
    """What is another text when another version is main, or when other rules are served."""
    return hashlib.sha256(repr((main.id, rollout)).encode()).hexdigest()[:32]


def only(rules: Sequence[RuleTyped], version_ids: Collection[str]) -> tuple[RuleTyped, ...]:
    """The rules without the shares of other versions."""
    return tuple(
        replace(rule, weights={id_: written for id_, written in rule.weights.items() if id_ in version_ids})
        for rule in rules
    )


def read(sent: Form) -> tuple[RuleTyped, ...]:
    """What the form sent, rule by rule. A weight is the field ``r0w`` with the version's id behind it."""
    many = _count(sent.get("rules", ""), MOST_RULES)
    weights: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for name, written in sent.multi_items():
        found_weight = _WEIGHT.fullmatch(name) if written.strip() else None
        if found_weight:
            weights[int(found_weight[1])][found_weight[2]] = written.strip()
    found: list[RuleTyped] = []
    for place in range(many):
        clauses = tuple(
            ClauseTyped(
                sent.get(f"r{place}c{one}attribute", "").strip(),
                sent.get(f"r{place}c{one}operator", Operator.IN.value),
                sent.get(f"r{place}c{one}values", ""),
            )
            for one in range(_count(sent.get(f"r{place}clauses", ""), MOST_CLAUSES))
        )
        kept = tuple(one for one in clauses if one.attribute or one.values.strip())
        found.append(RuleTyped(kept, weights[place]))
    return tuple(found)


def changed(rules: Sequence[RuleTyped], act: str) -> tuple[RuleTyped, ...]:
    """The rules after a button: ``add``, ``up-1``, ``remove-1``."""
    found = list(rules)
    name, _, written = act.partition("-")
    place = int(written) if written.isascii() and written.isdigit() and len(written) < 4 else -1
    if name == "add" and len(found) < MOST_RULES:
        found.append(RuleTyped())
    elif name == "remove" and 0 <= place < len(found):
        del found[place]
    elif name == "up" and 0 < place < len(found):
        found[place - 1], found[place] = found[place], found[place - 1]
    return tuple(found)


def to_rules(rules: Sequence[RuleTyped]) -> tuple[tuple[Rule, ...], dict[str, str]]:
    """The rules that were meant, and what is wrong with them by the names of the fields. Blank ones are left out."""
    made: list[Rule] = []
    errors: dict[str, str] = {}
    for place, rule in enumerate(rules):
        if rule.blank:
            continue
        clauses = tuple(_clause(one, f"r{place}c{number}", errors) for number, one in enumerate(rule.clauses))
        slots: list[Slot] = []
        for id_, written in rule.weights.items():
            weight = _weight(written, f"r{place}w{id_}", errors)
            if weight:
                slots.append(Slot(id_, weight))
        total = percent(slots)
        if total > 100:
            errors.setdefault(f"r{place}", f"Together these are {float(total):g} %: more than there is to give.")
        elif total == 100 and len(slots) > 1:
            errors.setdefault(f"r{place}", "Leave something to main, or give one version all of it.")
        elif not slots:
            errors.setdefault(f"r{place}", "Give at least one version a share, or remove the rule.")
        if total == 100:
            made.append(Rule(clauses, slots[0].version_id))
        else:
            made.append(Rule(clauses, None, tuple(slots)))
    return tuple(made), errors


def _clause(one: ClauseTyped, name: str, errors: dict[str, str]) -> Clause:
    values = tuple(dict.fromkeys(line.strip() for line in one.values.splitlines() if line.strip()))
    if not one.attribute:
        errors[f"{name}attribute"] = "Name what is compared, for example a key of the metadata."
    if not values:
        errors[f"{name}values"] = "Write at least one value, each on a line of its own."
    elif len(values) > MOST_VALUES:
        errors[f"{name}values"] = f"At most {MOST_VALUES} values."
    try:
        operator = Operator(one.operator)
    except ValueError:
        operator = Operator.IN
        errors[f"{name}operator"] = "Choose one of these."
    return Clause(one.attribute, operator, values)


def _weight(written: str, name: str, errors: dict[str, str]) -> float:
    if not written:
        return 0.0
    try:
        weight = float(written.removesuffix("%").replace(",", "."))
    except ValueError:
        weight = -1.0
    if not (isfinite(weight) and 0 <= weight <= 100):
        errors[name] = "A number from 0 to 100."
        return 0.0
    return weight


def _count(written: str, most: int) -> int:
    return min(int(written), most) if written.isascii() and written.isdigit() and len(written) < 6 else 0
