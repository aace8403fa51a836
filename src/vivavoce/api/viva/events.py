"""Live events of runs, as server-sent events (docs/reference/events.md)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.viva.runs import dump_run, dump_verdict
from vivavoce.api.viva.sse import EventStream
from vivavoce.core.event import Event, HandedOver, Left, Message, Moved, Recalled, ToolCalled, ToolReturned
from vivavoce.core.times import iso, maybe_iso
from vivavoce.services.context import Context
from vivavoce.services.errors import Rejected
from vivavoce.services.looks import Wish
from vivavoce.services.news import (
    END,
    Changed,
    Counted,
    Decided,
    Deleted,
    Item,
    Missed,
    Over,
    Recorded,
    RunPlace,
    run_place,
    time_place,
)
from vivavoce.services.watching import PER_KEY, Stream, TooMany, find_batch, find_run
from vivavoce.storage.watching import RunState

router = APIRouter(
    tags=["events"],
    default_response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, 204: {"description": "Everything was told."}},
)

Id = Annotated[str, Path(max_length=256)]
After = Annotated[
    str | None, Header(alias="last-event-id", max_length=64, description="Go on behind the event with this id.")
]
Follow = Annotated[bool, Query(description="Whether to wait for what happens, or to end with what has happened.")]
State = Literal["pending", "starting", "running", "passed", "failed", "error", "cancelled"]
_RETRY_S = "5"
_FULL = {
    "key": (429, f"There are {PER_KEY} streams with this key already. Close one."),
    "process": (503, "This server has no room for another stream, or is about to stop. Try again in a moment."),
}
T = TypeVar("T")


@router.get("/runs/{run_id}/events")
async def of_run(
    request: Request, ctx: Ctx, org: Org, run_id: Id, after: After = None, follow: Follow = True
) -> Response:
    """What happens in a run, from its beginning on; ends with it."""
    await find_run(ctx.database, org, run_id)
    at = RunPlace() if not after or after == END else _known(run_place(after), after)
    return _answer(ctx, Stream(org, _key(request), run_id=run_id, at=at, follow=follow), after)


@router.get("/batches/{batch_id}/events")
async def of_batch(
    request: Request, ctx: Ctx, org: Org, batch_id: Id, after: After = None, follow: Follow = True
) -> Response:
    """How the runs of a batch change, and how many stand how; ends with the last of them."""
    await find_batch(ctx.database, org, batch_id)
    since = None if not after or after == END else _known(time_place(after), after)
    return _answer(ctx, Stream(org, _key(request), batch_id=batch_id, since=since, follow=follow), after)


@router.get("/events")
async def of_all(
    request: Request,
    ctx: Ctx,
    org: Org,
    after: After = None,
    follow: Follow = True,
    test_id: Annotated[str | None, Query(max_length=256, pattern=r"^[^\x00]*$")] = None,
    suite: Annotated[str | None, Query(max_length=1024, pattern=r"^[^\x00]*$")] = None,
    status: Annotated[list[State] | None, Query()] = None,
) -> Response:
    """How runs change from now on, of all tests or of some; has no end."""
    since = _known(time_place(after), after) if after else None
    wish = Wish(test_id, suite, frozenset(status) if status else None)
    return _answer(ctx, Stream(org, _key(request), wish=wish, since=since, follow=follow), None)


def _known(place: T | None, after: str) -> T:
    if place is None:
        raise Rejected(f"{after!r} is no id of this stream.", "header/last-event-id")
    return place


def _key(request: Request) -> str:
    return request.state.key_id


def _answer(ctx: Context, stream: Stream, after: str | None) -> Response:
    if after == END:
        # Browsers come back when a stream is over, unless they are told this.
        return Response(status_code=204)
    try:
        ctx.watcher.admit(stream.key_id)
    except TooMany as failure:
        status, detail = _FULL[failure.of]
        raise HTTPException(status, detail, {"retry-after": _RETRY_S}) from failure
    return EventStream(ctx, stream, dump)


def dump(item: Item) -> tuple[str, Mapping[str, Any]]:
    """The name and the data of an event."""
    match item.news:
        case Changed(state):
            return "status", dump_state(state)
        case Recorded(run_id, turn, event):
            return "turn", {"run_id": run_id, "turn": turn, **dump_event(event)}
        case Decided(run_id, verdicts):
            return "verdicts", {"run_id": run_id, "verdicts": [dump_verdict(one) for one in verdicts]}
        case Over(run):
            return "end", dump_run(run)
        case Counted(batch_id, counts, over):
            told = {"batch_id": batch_id, "total": sum(counts.values()), "counts": dict(counts), "over": over}
            return "end" if item.place == END else "counts", told
        case Deleted(id_):
            return "deleted", {"id": id_}
        case Missed(since):
            return "missed", {"since": iso(since)}


def dump_state(state: RunState) -> dict[str, Any]:
    """A change of a run's status as it is shown."""
    mark = state.mark
    return {
        "run_id": mark.id,
        "test_id": state.scenario_id,
        "batch_id": mark.batch_id,
        "suite": state.suite,
        "status": mark.state,
        "step": mark.step,
        "fault": state.fault,
        "reason": state.reason or None,
        "attempts": state.attempts,
        "created_at": iso(state.created_at),
        "updated_at": iso(mark.updated_at),
        "started_at": maybe_iso(state.started_at),
        "completed_at": maybe_iso(state.completed_at),
    }


def dump_event(event: Event) -> dict[str, Any]:
    """A happening of a conversation as it is shown."""
    shown: dict[str, Any] = {"kind": event.kind, "at": iso(event.at), "took_ms": event.took_ms}
    match event:
        case Message():
            return {**shown, "speaker": event.speaker.value, "text": event.text, "fills": event.fills}
        case ToolCalled():
            call = event.call
            return {**shown, "call_id": call.id, "name": call.name, "arguments": dict(call.arguments)}
        case ToolReturned():
            shown |= {"call_id": event.call_id, "name": event.name, "ok": event.ok, "output": event.output}
            return {**shown, "status_code": event.status_code, "mocked": event.mocked}
        case Moved():
            return {**shown, "node": event.node, "name": event.name, "edge": event.edge or None}
        case HandedOver():
            return {
                **shown,
                "assistant_id": event.assistant_id,
                "version_id": event.version_id,
                "name": event.name,
                "edge": event.edge or None,
            }
        case Recalled():
            return {**shown, "passages": list(event.passages)}
        case Left():
            speaker = event.speaker.value if event.speaker else None
            return {**shown, "ending": event.ending.value, "speaker": speaker, "reason": event.reason or None}
