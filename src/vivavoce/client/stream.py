"""Live events: what a server tells while things happen, and where to go on after a break (docs/reference/events.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vivavoce.client import reading
from vivavoce.client.answers import Run, Turn, Verdict

REMEMBERED = 10_000
"""Of so many runs it is remembered how far they have come, so that no change is told twice."""


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A run stands otherwise than before; ``step`` grows with every change of it."""

    run_id: str
    test_id: str
    status: str
    step: int
    batch_id: str | None = None
    suite: str | None = None
    fault: str | None = None
    reason: str = ""
    attempts: int = 1
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TurnRecorded:
    """Something happened in the conversation of a run."""

    run_id: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class Decided:
    """The judge has spoken."""

    run_id: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many runs of a batch stand how. ``over`` where none can change any more."""

    batch_id: str
    total: int
    counts: Mapping[str, int]
    over: bool


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run that was followed is over."""

    run: Run


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """Every run of the batch that was followed is over."""

    counted: Counted


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was followed, or a run of it, is no longer there."""

    id: str


@dataclass(frozen=True, slots=True)
class Missed:
    """More happened since then than is told again: read the lists."""

    since: datetime


News = StatusChanged | TurnRecorded | Decided | Counted | RunEnded | BatchEnded | Deleted | Missed


@dataclass(slots=True)
class Follower:
    """Where in a stream somebody is. ``path`` is below the API's root; ``id`` is what to go on behind."""

    path: str
    of: str = ""
    query: Mapping[str, Any] | None = None
    id: str = ""
    over: bool = False
    _steps: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with a request for the rest."""
        return {"Accept": "text/event-stream", **({"Last-Event-ID": self.id} if self.id else {})}

    def take(self, name: str, data: str, id_: str) -> News | None:
        """What an event tells; None where it tells nothing, or nothing new. Raises what ``reading`` raises."""
        if id_:
            self.id = id_
        if not data:
            return None
        told = self._read(name, json.loads(data))
        if isinstance(told, StatusChanged):
            return told if self._new(told) else None
        if isinstance(told, RunEnded | BatchEnded) or (isinstance(told, Deleted) and told.id == self.of):
            self.over = True
        return told

    def _read(self, name: str, data: Mapping[str, Any]) -> News | None:
        match name:
            case "status":
                return _status(data)
            case "turn":
                return TurnRecorded(data["run_id"], reading.turn(data))
            case "verdicts":
                return Decided(data["run_id"], tuple(reading.verdict(one) for one in data["verdicts"]))
            case "counts":
                return _counted(data)
            case "end":
                return BatchEnded(_counted(data)) if "counts" in data else RunEnded(reading.run(data))
            case "deleted":
                return Deleted(data["id"])
            case "missed":
                return Missed(datetime.fromisoformat(data["since"]))
            case _:
                return None

    def _new(self, told: StatusChanged) -> bool:
        if self._steps.get(told.run_id, -1) >= told.step:
            return False
        self._steps.pop(told.run_id, None)
        self._steps[told.run_id] = told.step
        if len(self._steps) > REMEMBERED:
            del self._steps[next(iter(self._steps))]
        return True


def _status(data: Mapping[str, Any]) -> StatusChanged:
    updated = data.get("updated_at")
    return StatusChanged(
        data["run_id"],
        data["test_id"],
        data["status"],
        data["step"],
        data.get("batch_id"),
        data.get("suite"),
        data.get("fault"),
        data.get("reason") or "",
        data.get("attempts", 1),
        datetime.fromisoformat(updated) if updated else None,
    )


def _counted(data: Mapping[str, Any]) -> Counted:
    return Counted(data["batch_id"], data["total"], dict(data["counts"]), data["over"])
