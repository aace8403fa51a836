"""Insights, their groups and what they found on the wire (contract, sections 5.15 and 5.16)."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from vivavoce.api.shape import omitted, sent, storable
from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire import filters
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.core import filter as core
from vivavoce.core.insight import Finding, Insight, InsightGroup, Tally, schema_of

MAX_FIELDS = 10
"""The most fields that answers are counted by at once."""
METADATA = "metadata."
_METADATA = re.compile(r"metadata(?:\.(?P<dotted>.+)|\[(?P<boxed>.+)\])", re.DOTALL)


def _schema(value: str | dict[str, Any]) -> str | dict[str, Any]:
    try:
        schema_of(value)
    except ValueError as failure:
        raise PydanticCustomError("json_schema", "Input should be a JSON object, or one as text") from failure
    return value


def _webhook(url: str) -> str:
    """Where it leads is looked at when something is sent there."""
    try:
        known = not url or (urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname))
    except ValueError:
        known = False
    if not known:
        raise PydanticCustomError("webhook", "Input should be an http or https URL, or empty")
    return url


Schema = Annotated[str | dict[str, Any], AfterValidator(_schema)]
Webhook = Annotated[str, Field(max_length=2048), AfterValidator(_webhook)]


class InsightUpdate(BaseModel, frozen=True, extra="ignore"):
    """What is to change in an insight."""

    name: str = omitted()
    instructions: str = omitted()
    json_schema: Schema = omitted()
    webhook: Webhook = omitted()

    _storable = model_validator(mode="before")(storable)


class InsightCreate(InsightUpdate, frozen=True):
    """A new insight."""

    name: str = Field(...)
    instructions: str = Field(...)


class GroupUpdate(BaseModel, frozen=True, extra="ignore"):
    """What is to change in a group."""

    name: str = omitted()
    description: str = omitted()
    webhook: Webhook = omitted()

    _storable = model_validator(mode="before")(storable)


class GroupCreate(GroupUpdate, frozen=True):
    """A new group."""

    name: str = Field(...)


def laid_over(insight: Insight, body: InsightUpdate) -> Insight:
    """The insight with what was sent in its place; an empty ``json_schema`` removes it."""
    wire = sent(body)
    return Insight(
        insight.id,
        wire.get("name", insight.name),
        wire.get("instructions", insight.instructions),
        insight.created_at,
        wire.get("webhook", insight.webhook),
        wire.get("json_schema", insight.schema),
    )


def laid_over_group(group: InsightGroup, body: GroupUpdate) -> InsightGroup:
    """The group with what was sent in its place."""
    wire = sent(body)
    return InsightGroup(
        group.id,
        wire.get("name", group.name),
        group.created_at,
        wire.get("description", group.description),
        wire.get("webhook", group.webhook),
        group.managed,
        group.insights,
    )


BLANK = Insight("", "", "", 0)
BLANK_GROUP = InsightGroup("", "", 0)


def dump_insight(insight: Insight) -> dict[str, Any]:
    """The response object of an insight; ``json_schema`` as it was sent, and absent where there is none."""
    wire: dict[str, Any] = {
        "id": insight.id,
        "name": insight.name,
        "instructions": insight.instructions,
        "insight_type": "default" if insight.managed else "custom",
        "webhook": insight.webhook,
        "created_at": iso(insight.created_at),
    }
    if insight.schema is not None:
        wire["json_schema"] = insight.schema if isinstance(insight.schema, str) else dict(insight.schema)
    return wire


def dump_group(group: InsightGroup) -> dict[str, Any]:
    """The response object of a group, with its insights."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "webhook": group.webhook,
        "insights": [dump_insight(one) for one in group.insights],
        "created_at": iso(group.created_at),
    }


def dump_finding(finding: Finding) -> dict[str, Any]:
    """What was found in a conversation; ``reason``, beyond the contract, says why answers are missing."""
    wire: dict[str, Any] = {
        "id": finding.id,
        "status": finding.status.value,
        "created_at": iso(finding.created_at),
        "conversation_insights": [{"insight_id": one.insight_id, "result": one.result} for one in finding.results],
    }
    if finding.reason:
        wire["reason"] = finding.reason
    return wire


def parse_fields(query: Iterable[tuple[str, str]]) -> tuple[core.Field, ...]:
    """The fields of ``group_by`` and ``show``, each repeated or comma-joined, in the order in which they were sent.

    Every row is counted by what it shows. Raises ``Refused`` (400/10015).
    """
    found: dict[core.Field, None] = {}
    for wanted in ("group_by", "show"):
        for name, text in query:
            if name.removesuffix("[]") != wanted:
                continue
            for part in text.split(","):
                field = core.Field(part.removeprefix(METADATA), part.startswith(METADATA))
                if not field.name or part == "record_count":
                    raise bad_request(f"{part!r} is no field to count by", pointer=f"/query/{name}")
                found[field] = None
    if len(found) > MAX_FIELDS:
        raise bad_request(f"At most {MAX_FIELDS} fields can be counted by", pointer="/query/group_by")
    return tuple(found)


def parse_scope(query: Iterable[tuple[str, str]]) -> core.Filter:
    """Which answers are counted: ``created_at=op.value`` and ``metadata.key=op.value``, also as ``metadata[key]``, any
    number of them. Raises ``Refused`` (400/10015)."""
    wanted: list[tuple[str, str]] = []
    sent_as: dict[str, str] = {}
    for name, text in query:
        if name == "created_at":
            wanted.append((name, text))
        elif found := _METADATA.fullmatch(name):
            wanted.append((f"metadata->{found['dotted'] or found['boxed']}", text))
            sent_as[wanted[-1][0]] = name
    return filters.parse_filter(wanted, sent_as)


def dump_tally(tallies: Sequence[Tally], fields: Sequence[core.Field]) -> dict[str, Any]:
    """One row for each combination of values, with how many answers have them."""
    names = [f"{METADATA}{one.name}" if one.metadata else one.name for one in fields]
    rows = [{**dict(zip(names, one.values, strict=True)), "record_count": one.count} for one in tallies]
    return {"data": rows}
