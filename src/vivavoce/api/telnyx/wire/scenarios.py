"""Tests ⇄ scenarios (contract, section 5.9)."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from vivavoce.api.shape import Whole, omitted, sent, storable
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.core.event import Millis
from vivavoce.core.scenario import Criterion, Medium, Scenario

_KNOWN = frozenset(
    {
        "name",
        "destination",
        "instructions",
        "rubric",
        "description",
        "telnyx_conversation_channel",
        "max_duration_seconds",
        "test_suite",
        # Only responses have these; a client that sends one back does not set them.
        "test_id",
        "created_at",
    }
)

NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
"""A suite's name is part of an address, in which a line break cannot stand."""


class RubricItem(BaseModel, frozen=True, extra="forbid"):
    """One criterion."""

    name: str
    criteria: str


ChannelName = Literal["phone_call", "web_call", "sms_chat", "web_chat"]


class TestUpdate(BaseModel, frozen=True, extra="allow"):
    """What may be changed of a test; what is left out stays as it is."""

    __test__ = False  # its name makes pytest look at it

    name: Annotated[str, Field(min_length=1, max_length=255)] = omitted()
    destination: Annotated[str, Field(min_length=1)] = omitted()
    instructions: Annotated[str, Field(min_length=1, max_length=5000)] = omitted()
    rubric: Annotated[list[RubricItem], Field(min_length=1)] = omitted()
    description: Annotated[str, Field(max_length=1000)] = omitted()
    telnyx_conversation_channel: ChannelName = omitted()
    max_duration_seconds: Annotated[Whole, Field(ge=1, le=3600)] = omitted()
    test_suite: Annotated[str, Field(max_length=100, pattern=NO_CONTROLS)] = omitted()

    _storable = model_validator(mode="before")(storable)


class TestCreate(TestUpdate, frozen=True):
    """A new test."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = Field(...)
    destination: Annotated[str, Field(min_length=1)] = Field(...)
    instructions: Annotated[str, Field(min_length=1, max_length=5000)] = Field(...)
    rubric: Annotated[list[RubricItem], Field(min_length=1)] = Field(...)


def to_scenario(body: TestCreate, *, id: str, now: Millis) -> Scenario:  # noqa: A002  # the noun's own field
    """A new scenario."""
    blank = Scenario(id=id, name=body.name, target=body.destination, brief="", criteria=(), created_at=now)
    return change_scenario(blank, body)


def change_scenario(scenario: Scenario, body: TestUpdate) -> Scenario:
    """The scenario with what was sent in its place. An empty suite takes the test out of its suite."""
    wire = sent(body)
    rubric = wire.get("rubric")
    return replace(
        scenario,
        name=wire.get("name", scenario.name),
        target=wire.get("destination", scenario.target),
        brief=wire.get("instructions", scenario.brief),
        criteria=scenario.criteria
        if rubric is None
        else tuple(Criterion(item["name"], item["criteria"]) for item in rubric),
        medium=Medium(wire.get("telnyx_conversation_channel", scenario.medium)),
        description=wire.get("description", scenario.description),
        suite=wire.get("test_suite", scenario.suite) or None,
        max_duration_s=wire.get("max_duration_seconds", scenario.max_duration_s),
        extra={**scenario.extra, **{key: value for key, value in wire.items() if key not in _KNOWN}},
    )


def dump_scenario(scenario: Scenario) -> dict[str, Any]:
    """The response object of a test. What is unset is left out rather than null, so that it can be sent back."""
    optional = {
        "description": scenario.description,
        "instructions": scenario.brief or None,
        "max_duration_seconds": scenario.max_duration_s,
        "test_suite": scenario.suite,
    }
    return {
        **scenario.extra,
        **{key: value for key, value in optional.items() if value is not None},
        "test_id": scenario.id,
        "name": scenario.name,
        "destination": scenario.target,
        "rubric": [{"name": one.name, "criteria": one.text} for one in scenario.criteria],
        "telnyx_conversation_channel": scenario.medium.value,
        "created_at": iso(scenario.created_at),
    }
