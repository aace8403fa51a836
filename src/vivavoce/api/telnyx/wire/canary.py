"""Canary deploys ⇄ core (contract, sections 5.4, 6.2 and 9)."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from vivavoce.api.shape import Number, fault, omitted, refuse, sent, storable
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.core.rollout import Clause, Operator, Rollout, Rule, Slot, percent

MAX_RULES = 100
MAX_CLAUSES = 100
MAX_VALUES = 1000
MAX_SLOTS = 100


class ClauseBody(BaseModel, frozen=True, extra="allow"):
    """A condition on one attribute of the conversation."""

    attribute: str
    operator: Operator
    values: Annotated[list[str], Field(min_length=1, max_length=MAX_VALUES)]


class SlotBody(BaseModel, frozen=True, extra="allow"):
    """A share of the conversations, in percent."""

    version_id: str
    weight: Annotated[Number, Field(ge=0, le=100)]


class ServeBody(BaseModel, frozen=True, extra="allow"):
    """Either `version_id`, or `rollout` with weights whose sum is less than 100: main gets the rest."""

    version_id: str = omitted()
    rollout: Annotated[list[SlotBody], Field(max_length=MAX_SLOTS)] = omitted()

    @model_validator(mode="after")
    def _either(self) -> Self:
        if len(self.model_fields_set & {"version_id", "rollout"}) != 1:
            raise refuse(fault("value_error", "Exactly one of version_id and rollout should be given", None))
        if "rollout" in self.model_fields_set and percent(_slots(sent(self)["rollout"], "weight")) >= 100:
            raise refuse(fault("value_error", "The sum of the weights should be less than 100", None, ("rollout",)))
        return self


class RuleBody(BaseModel, frozen=True, extra="allow"):
    """What conversations get that match all clauses; without clauses, all do."""

    serve: ServeBody
    match: Annotated[list[ClauseBody], Field(max_length=MAX_CLAUSES)] = omitted()


class ShareBody(BaseModel, frozen=True, extra="allow"):
    """One version of the older form."""

    version_id: str
    percentage: Annotated[Number, Field(gt=0, lt=100)]


class CanaryBody(BaseModel, frozen=True, extra="allow"):
    """Rules, or the older form of a single one: `versions`."""

    rules: Annotated[list[RuleBody], Field(max_length=MAX_RULES)] = omitted()
    versions: Annotated[list[ShareBody], Field(max_length=MAX_SLOTS)] = omitted()

    _storable = model_validator(mode="before")(storable)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if {"rules", "versions"} <= self.model_fields_set:
            raise refuse(fault("value_error", "Only one of rules and versions should be given", None, ("versions",)))
        if "versions" in self.model_fields_set and percent(_slots(sent(self)["versions"], "percentage")) >= 100:
            message = "The sum of the percentages should be less than 100"
            raise refuse(fault("value_error", message, None, ("versions",)))
        return self


def _slots(wire: list[dict[str, Any]], weight: str) -> tuple[Slot, ...]:
    return tuple(Slot(one["version_id"], one[weight]) for one in wire)


def to_rules(body: CanaryBody | None) -> tuple[Rule, ...]:
    """The rules that were sent, in either form."""
    wire = sent(body) if body else {}
    if "versions" in wire:
        return (Rule(slots=_slots(wire["versions"], "percentage")),)
    return tuple(_rule(one) for one in wire.get("rules", ()))


def _rule(wire: dict[str, Any]) -> Rule:
    clauses = tuple(Clause(one["attribute"], one["operator"], tuple(one["values"])) for one in wire.get("match", ()))
    serve = wire["serve"]
    return Rule(clauses, serve.get("version_id"), _slots(serve.get("rollout", []), "weight"))


def dump_canary(assistant_id: str, rollout: Rollout) -> dict[str, Any]:
    """The response object; `versions` of the older form where it can say the same (section 9)."""
    wire: dict[str, Any] = {
        "assistant_id": assistant_id,
        "rules": [_dump_rule(rule) for rule in rollout.rules],
        "created_at": iso(rollout.created_at),
        "updated_at": iso(rollout.updated_at),
    }
    if len(rollout.rules) == 1 and not rollout.rules[0].clauses and rollout.rules[0].version_id is None:
        slots = rollout.rules[0].slots
        wire["versions"] = [{"version_id": slot.version_id, "percentage": slot.weight} for slot in slots]
    return wire


def _dump_rule(rule: Rule) -> dict[str, Any]:
    serve: dict[str, Any]
    if rule.version_id is not None:
        serve = {"version_id": rule.version_id}
    else:
        serve = {"rollout": [{"version_id": slot.version_id, "weight": slot.weight} for slot in rule.slots]}
    match = [
        {"attribute": one.attribute, "operator": one.operator.value, "values": list(one.values)} for one in rule.clauses
    ]
    return {"match": match, "serve": serve}
