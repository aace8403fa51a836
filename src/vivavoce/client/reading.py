"""JSON of the server → dataclasses. A missing or odd field raises ``KeyError``, ``TypeError`` or ``ValueError``."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from vivavoce.client.answers import (
    Applied,
    AppliedAssistant,
    AppliedTest,
    Batch,
    Change,
    Chat,
    Comparison,
    FieldChange,
    ModelStanding,
    Named,
    Page,
    Point,
    Quote,
    Run,
    Spending,
    Standing,
    SuiteSummary,
    Transcript,
    Turn,
    Usage,
    Verdict,
)

T = TypeVar("T")
Json = Mapping[str, Any]


def page(one: Callable[[Json], T]) -> Callable[[Any], Page[T]]:
    """How a page of these is read."""

    def read(data: Json) -> Page[T]:
        items = tuple(one(item) for item in data["data"])
        return Page(items, data.get("page", 1), data.get("size", len(items)), data.get("total", len(items)))

    return read


def run(data: Json) -> Run:
    """A run."""
    usage = data.get("usage")
    return Run(
        id=data["id"],
        test_id=data["test_id"],
        status=data["status"],
        conversation_id=data["conversation_id"],
        created_at=_time(data["created_at"]),
        test=_named(data.get("test")),
        assistant=_named(data.get("assistant")),
        batch_id=data.get("batch_id"),
        suite=data.get("suite"),
        version_id=data.get("version_id"),
        trigger=data.get("trigger") or "",
        priority=data.get("priority") or "",
        fault=data.get("fault"),
        reason=data.get("reason") or "",
        ending=data.get("ending"),
        verdicts=tuple(verdict(one) for one in data.get("verdicts") or ()),
        criteria=tuple(data.get("criteria") or ()),
        attempts=data.get("attempts", 1),
        setbacks=tuple(data.get("setbacks") or ()),
        talked_seconds=data.get("talked_seconds"),
        usage=Usage(usage["input_tokens"], usage["output_tokens"]) if usage else None,
        updated_at=_maybe(data.get("updated_at")),
        started_at=_maybe(data.get("started_at")),
        completed_at=_maybe(data.get("completed_at")),
        story=data.get("story"),
    )


def verdict(data: Json) -> Verdict:
    """What was decided of a criterion."""
    quote = data.get("quote")
    return Verdict(
        data["criterion"],
        data["decision"],
        data.get("reason") or "",
        data.get("decided_by") or "",
        Quote(quote["turn"], quote["text"]) if quote else None,
    )


def turn(data: Json) -> Turn:
    """Something that happened in a conversation."""
    return Turn(
        turn=data["turn"],
        kind=data["kind"],
        at=_maybe(data.get("at")),
        took_ms=data.get("took_ms", 0),
        speaker=data.get("speaker"),
        text=data.get("text") or "",
        fills=data.get("fills", False),
        name=data.get("name") or "",
        call_id=data.get("call_id") or "",
        arguments=data.get("arguments"),
        output=data.get("output") or "",
        ok=data.get("ok", True),
        mocked=data.get("mocked", False),
        status_code=data.get("status_code"),
        node=data.get("node") or "",
        passages=tuple(data.get("passages") or ()),
        ending=data.get("ending"),
        reason=data.get("reason") or "",
    )


def transcript(data: Json) -> Transcript:
    """The conversation of a run."""
    return Transcript(data["run_id"], data["conversation_id"], tuple(turn(one) for one in data["events"]))


def batch(data: Json) -> Batch:
    """Runs that were triggered together."""
    budget = data.get("budget")
    return Batch(
        data["id"],
        data["total"],
        dict(data["counts"]),
        data["over"],
        _time(data["created_at"]),
        _maybe(data.get("started_at")),
        _maybe(data.get("completed_at")),
        _spending(budget) if budget else None,
        tuple(run(one) for one in data.get("runs") or ()),
    )


def applied(data: Json) -> Applied:
    """What became of a suite document."""
    return Applied(
        data["suite"],
        tuple(
            AppliedAssistant(one["id"], one["name"], one.get("version_id") or "", one["change"])
            for one in data["assistants"]
        ),
        tuple(AppliedTest(one["id"], one["name"], one["change"], one.get("repeats") or 1) for one in data["tests"]),
    )


def suite(data: Json) -> SuiteSummary:
    """A suite in a list."""
    last = data.get("last")
    return SuiteSummary(data["name"], data["tests"], _standing(last) if last else None)


def history(data: Json) -> tuple[Point, ...]:
    """The batches of a suite, oldest first."""
    return tuple(
        Point(
            _standing(one),
            one.get("response_ms"),
            one.get("talked_ms"),
            one.get("input_tokens"),
            one.get("output_tokens"),
            one.get("money"),
        )
        for one in data["data"]
    )


def comparison(data: Json) -> Comparison:
    """Two things beside each other."""
    return Comparison(
        tuple(
            Change(_name(one.get("test")), one.get("criterion"), one.get("left"), one.get("right"), one["kind"])
            for one in data["changes"]
        ),
        data.get("same", 0),
        tuple(FieldChange(one["path"], one.get("left"), one.get("right")) for one in data.get("fields") or ()),
        data,
    )


def models(data: Json) -> tuple[ModelStanding, ...]:
    """The models of all roles."""
    return tuple(
        ModelStanding(one["role"], one.get("model"), one["ok"], one.get("reason") or "") for one in data["data"]
    )


def chat(id_: str | None = None) -> Callable[[Any], Chat]:
    """How what came of a chat is read; the answer to its beginning tells its ``id_``."""

    def read(data: Json) -> Chat:
        turns = tuple(turn({"turn": place, **one}) for place, one in enumerate(data.get("events") or ()))
        return Chat(id_ or data["id"], turns, data.get("over", False))

    return read


def document(data: Any) -> dict[str, Any]:
    """A JSON object as it is."""
    return dict(data)


def nothing(data: Any) -> None:
    """Whatever it is, it is of no interest."""
    del data


def how_many(data: Json) -> int:
    """How many runs were cancelled."""
    return int(data["cancelled"])


def _standing(data: Json) -> Standing:
    return Standing(
        data["batch_id"],
        _time(data["at"]),
        data["total"],
        data["passed"],
        data["failed"],
        data["errors"],
        data["cancelled"],
        data["over"],
        data.get("pass_rate"),
    )


def _spending(data: Json) -> Spending:
    return Spending(
        data.get("tokens"),
        data.get("money"),
        data["spent_tokens"],
        data["spent_money"],
        _maybe(data.get("exhausted_at")),
    )


def _named(data: Json | None) -> Named | None:
    return Named(data["id"], data.get("name") or "") if data else None


def _name(data: Any) -> str:
    return data if isinstance(data, str) else str(data["name"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
