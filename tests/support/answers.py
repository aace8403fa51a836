"""What a server answers to a client, made up; and a server for clients that answers from a list."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

AT = "2026-11-22T07:00:00.000Z"
RUN: Mapping[str, Any] = {
    "id": "r1",
    "test_id": "t1",
    "test": {"id": "t1", "name": "Order"},
    "assistant": {"id": "a1", "name": "Desk", "more": 1},
    "batch_id": "b1",
    "suite": "desk",
    "version_id": "v1",
    "conversation_id": "c1",
    "trigger": "manual",
    "priority": "batch",
    "status": "failed",
    "fault": "assistant",
    "reason": "unmet: asks",
    "ending": "goodbye",
    "verdicts": [
        {
            "criterion": "asks",
            "decision": "unmet",
            "reason": "It never asked.",
            "decided_by": "judge",
            "quote": {"turn": 0, "text": "Hello"},
        }
    ],
    "criteria": ["asks"],
    "attempts": 2,
    "setbacks": ["away"],
    "talked_seconds": 1.5,
    "usage": {"input_tokens": 10, "output_tokens": 2},
    "created_at": AT,
    "updated_at": AT,
    "started_at": AT,
    "completed_at": "2026-11-22T07:00:02.500Z",
    "story": "once",
    "a_field_of_the_future": {},
}
TURN: Mapping[str, Any] = {
    "turn": 0,
    "kind": "message",
    "at": AT,
    "took_ms": 3,
    "speaker": "caller",
    "text": "Hello",
    "fills": False,
    "future": 1,
}
BATCH: Mapping[str, Any] = {
    "id": "b1",
    "total": 1,
    "counts": {"failed": 1},
    "over": True,
    "created_at": AT,
    "updated_at": AT,
    "started_at": AT,
    "completed_at": None,
    "budget": {
        "tokens": 100,
        "money": None,
        "spent_tokens": 5,
        "spent_money": 0.0,
        "unpriced_tokens": 5,
        "exhausted_at": None,
    },
}
STANDING: Mapping[str, Any] = {
    "batch_id": "b1",
    "at": AT,
    "total": 1,
    "passed": 0,
    "failed": 1,
    "errors": 0,
    "cancelled": 0,
    "over": True,
    "pass_rate": 0.0,
}
STATUS: Mapping[str, Any] = {
    "run_id": "r1",
    "test_id": "t1",
    "batch_id": "b1",
    "suite": "desk",
    "status": "running",
    "step": 5,
    "fault": None,
    "reason": None,
    "attempts": 1,
    "updated_at": AT,
}
ERROR: Mapping[str, Any] = {
    "error": {
        "status": 422,
        "message": "The request has the wrong shape.",
        "places": [{"at": "/body/suite", "message": "It is missing."}],
    }
}


def answer(body: Any, status: int = 200, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, content=json.dumps(body).encode(), headers=headers)


def event(name: str, data: Mapping[str, Any], id_: str) -> str:
    return f"id: {id_}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def stream(*events: str, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, content="".join(events).encode(), headers={"content-type": "text/event-stream"})


Step = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


@dataclass
class Listed:
    """Answers with the next of a list, and remembers what was asked; an exception stands for a broken connection."""

    steps: list[Step]
    asked: list[httpx2.Request] = field(default_factory=list[httpx2.Request])
    paused: list[float] = field(default_factory=list[float])

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx2.Response) else step(request)

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self)

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    async def apause(self, seconds: float) -> None:
        self.paused.append(seconds)
