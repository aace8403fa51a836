"""The live events' part of the server's own API."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import Message
from tests.services.conftest import ctx, hand
from tests.support.store import NOW, ORG, PATIENCE_S, leased_run, only_sqlite, pending_run, said, set_row

from vivavoce.api.viva import events, sse
from vivavoce.api.viva.application import application
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Moved,
    Recalled,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
    Usage,
)
from vivavoce.core.event import (
    Message as Said,
)
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.times import iso
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Outcome, Verdict
from vivavoce.services import cancelling, watching
from vivavoce.services.context import Context
from vivavoce.services.news import Deleted, Item, Missed
from vivavoce.storage.journal import Entry, Lease, decided, running, settled

__all__ = ["ctx", "hand"]
pytestmark = only_sqlite

LEFT = Left(Ending.GOODBYE, NOW, Speaker.CALLER)


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    monkeypatch.setattr(watching, "PAUSE_S", 0.0)


@dataclass
class Client:
    """Somebody who listens: the head of the answer, and what has come of its body. ``gone`` is set when it hangs up."""

    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    text: str = ""
    over: bool = False
    asked: bool = False

    async def receive(self) -> Message:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        async with self.arrived:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                self.text += message.get("body", b"").decode()
                self.over = not message.get("more_body", False)
            self.arrived.notify_all()

    async def until(self, words: str) -> None:
        """Return when these words have come."""
        async with asyncio.timeout(PATIENCE_S), self.arrived:
            await self.arrived.wait_for(lambda: words in self.text)

    @property
    def told(self) -> list[tuple[str, Any]]:
        """The events: name and data of each."""
        found: list[tuple[str, Any]] = []
        for block in self.text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
        return found

    @property
    def ids(self) -> list[str]:
        return [line.removeprefix("id: ") for line in self.text.splitlines() if line.startswith("id: ")]


_served: list[tuple[Context, Any]] = []
"""The application of the last context: it takes longer to make than to ask."""


def served(ctx: Context) -> Any:
    if not _served or _served[0][0] is not ctx:
        _served[:] = [(ctx, application(ctx))]
    return _served[0][1]


@asynccontextmanager
async def asking(
    ctx: Context, path: str, after: str | None = None, *, method: str = "GET", org: str = ORG, **query: Any
) -> AsyncGenerator[Client]:
    """A client behind the gate, while its request is answered."""
    client = Client()
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query, doseq=True).encode(),
        "headers": [(b"last-event-id", after.encode())] if after is not None else [],
        "state": {"org": org, "key_id": "k-1", "request_id": "r-1"},
    }
    task = asyncio.create_task(served(ctx)(scope, client.receive, client.send))
    try:
        yield client
    finally:
        client.gone.set()
        async with asyncio.timeout(PATIENCE_S):
            await task


async def asked(ctx: Context, path: str, after: str | None = None, **given: Any) -> Client:
    """The whole answer."""
    async with asking(ctx, path, after, **given) as client, asyncio.timeout(PATIENCE_S), client.arrived:
        await client.arrived.wait_for(lambda: client.over)
    return client


async def settle(ctx: Context, run: Run, lease: Lease) -> None:
    """Two words, a verdict, and the end."""
    words = (said("Hello"), LEFT)
    await ctx.journal.write(running(lease, NOW))
    await ctx.journal.write(Entry(lease, NOW, run.conversation_id, 0, words))
    verdicts = (Verdict("kind", Decision.MET, "is kind", "scripted"),)
    await ctx.journal.write(decided(lease, NOW, verdicts, Usage()))
    outcome = Outcome(Status.PASSED, None, "every criterion is met")
    await ctx.journal.write(settled(lease, NOW, outcome, Transcript(words), Usage(), "the story"))


async def test_a_run_is_told_to_its_end(ctx: Context) -> None:
    run, lease = await leased_run(ctx.database)
    async with asking(ctx, f"/runs/{run.id}/events") as client:
        await client.until("event: status")
        await settle(ctx, run, lease)
        await client.until(": end")
        assert client.over
    assert client.status == 200
    assert client.headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }
    names = [name for name, _ in client.told]
    assert [name for name in names if name != "status"] == ["turn", "turn", "verdicts", "end"]
    assert client.told[0] == (
        "status",
        {
            "run_id": run.id,
            "test_id": run.scenario_id,
            "batch_id": None,
            "suite": None,
            "status": "starting",
            "step": 5,
            "fault": None,
            "reason": None,
            "attempts": 1,
            "created_at": iso(NOW),
            "updated_at": iso(NOW),
            "started_at": None,
            "completed_at": None,
        },
    )
    data = dict(client.told)
    assert data["turn"] == {
        "run_id": run.id,
        "turn": 1,
        "kind": "left",
        "at": iso(NOW),
        "took_ms": 0,
        "ending": "goodbye",
        "speaker": "caller",
        "reason": None,
    }
    quoted = {"criterion": "kind", "decision": "met", "reason": "is kind", "decided_by": "scripted", "quote": None}
    assert data["verdicts"] == {"run_id": run.id, "verdicts": [quoted]}
    assert (data["end"]["id"], data["end"]["status"], data["end"]["verdicts"]) == (run.id, "passed", [quoted])
    assert client.ids[-1] == "end"
    assert ctx.watcher._streams == set()
    # Each goes on exactly behind what it has.
    again = await asked(ctx, f"/runs/{run.id}/events", client.ids[-3])
    assert again.told == client.told[-2:]
    done = await asked(ctx, f"/runs/{run.id}/events", "end")
    assert (done.status, done.text) == (204, "")


async def test_a_batch_is_told_to_its_end(ctx: Context) -> None:
    run = await pending_run(ctx.database)
    await ctx.database.write(lambda tx: set_row(tx, run.id, batch_id="b-1"))
    counts = {"pending": 1, "starting": 0, "running": 0, "passed": 0, "failed": 0, "error": 0, "cancelled": 0}
    standing = {"batch_id": "b-1", "total": 1, "counts": counts, "over": False}
    async with asking(ctx, "/batches/b-1/events") as client:
        await client.until("event: counts")
        assert client.told == [("counts", standing)]
        await ctx.database.write(lambda tx: cancelling.cancel(ctx, tx, ORG, run.id))
        await client.until(": end")
    assert [name for name, _ in client.told] == ["counts", "status", "end"]
    assert (client.told[1][1]["status"], client.told[1][1]["reason"]) == ("cancelled", "cancelled: by request")
    ended = standing | {"counts": counts | {"pending": 0, "cancelled": 1}, "over": True}
    assert client.told[2][1] == ended
    assert (await asked(ctx, "/batches/b-1/events", "end")).status == 204
    assert (await asked(ctx, "/batches/b-1/events")).told[-1] == ("end", ended)


async def test_an_organisation_is_told_of_what_it_asks_for(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.05)
    async with (
        asking(ctx, "/events", status=["pending", "passed"]) as client,
        asking(ctx, "/events", org="b") as theirs,
    ):
        # A client is told where it is although nothing happens.
        await client.until(": keep-alive\nid: ")
        run, lease = await leased_run(ctx.database)
        await settle(ctx, run, lease)
        await client.until("passed")
        await theirs.until(": keep-alive\nid: ")
    assert {data["status"] for _, data in client.told} <= {"pending", "passed"}
    assert theirs.told == []
    again = await asked(ctx, "/events", client.ids[-1], follow=False, test_id=run.scenario_id)
    assert [data["status"] for _, data in again.told] == ["passed"]
    assert (await asked(ctx, "/events", client.ids[-1], follow=False, suite="other")).told == []


async def test_a_client_that_hangs_up_is_forgotten(ctx: Context) -> None:
    run = await pending_run(ctx.database)
    async with asking(ctx, f"/runs/{run.id}/events") as client:
        await client.until("event: status")
        assert len(ctx.watcher._streams) == 1
    assert not client.over
    assert ctx.watcher._streams == set()
    assert ctx.watcher._task is None


async def test_a_client_that_takes_nothing_is_let_go(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STUCK_S", 0.05)
    run = await pending_run(ctx.database)
    client = Client()

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    client.send = stuck  # type: ignore[method-assign]
    stream = watching.Stream(ORG, "k-1", run_id=run.id)
    answer = sse.EventStream(ctx, stream, events.dump)
    with pytest.raises(TimeoutError):
        await answer({"type": "http"}, client.receive, client.send)
    assert ctx.watcher._streams == set()


async def test_a_server_that_stops_says_so(ctx: Context) -> None:
    run = await pending_run(ctx.database)
    async with asking(ctx, f"/runs/{run.id}/events") as client:
        await client.until("event: status")
        await ctx.watcher.stop()
        await client.until(": the server stops")
    assert client.over
    full = await asked(ctx, f"/runs/{run.id}/events")
    assert (full.status, full.headers["retry-after"]) == (503, "5")


async def test_there_is_an_end_of_streams(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PER_KEY", 1)
    async with asking(ctx, "/events") as client:
        async with asyncio.timeout(PATIENCE_S), client.arrived:
            await client.arrived.wait_for(lambda: client.status)
        full = await asked(ctx, "/events")
    assert (full.status, full.headers["retry-after"]) == (429, "5")
    assert json.loads(full.text)["error"]["status"] == 429


@pytest.mark.parametrize("path", ["/runs/{}/events", "/batches/{}/events"])
async def test_what_is_not_there_or_is_others(ctx: Context, path: str) -> None:
    run = await pending_run(ctx.database)
    await ctx.database.write(lambda tx: set_row(tx, run.id, batch_id=run.id))
    assert (await asked(ctx, path.format("nothing"))).status == 404
    assert (await asked(ctx, path.format(run.id), org="b")).status == 404
    for after in (None, "", "0.0.0" if "runs" in path else "0"):
        assert (await asked(ctx, path.format(run.id), after, follow=False)).status == 200
    for method in ("HEAD", "POST", "DELETE"):
        assert (await asked(ctx, path.format(run.id), method=method)).status == 405


@pytest.mark.parametrize(
    ("path", "after"),
    [("/events", "x"), ("/events", "end"), ("/runs/{}/events", "17"), ("/batches/{}/events", "1.2.0")],
)
async def test_an_id_of_another_stream_is_refused(ctx: Context, path: str, after: str) -> None:
    run = await pending_run(ctx.database)
    await ctx.database.write(lambda tx: set_row(tx, run.id, batch_id=run.id))
    answer = await asked(ctx, path.format(run.id), after)
    assert answer.status == 400
    assert json.loads(answer.text)["error"]["places"][0]["at"] == "/header/last-event-id"


@pytest.mark.parametrize(
    "query", [{"status": "odd"}, {"follow": "perhaps"}, {"suite": "a\x00b"}, {"test_id": "x" * 300}]
)
async def test_bad_queries(ctx: Context, query: dict[str, str]) -> None:
    assert (await asked(ctx, "/events", **query)).status == 422


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Said(Speaker.CALLER, "Hi\n\ud800", NOW, 3), {"speaker": "caller", "text": "Hi\n\ud800", "fills": False}),
        (
            ToolCalled(ToolCall("c", "find", {"a": 1}), NOW, 3),
            {"call_id": "c", "name": "find", "arguments": {"a": 1}},
        ),
        (
            ToolReturned("c", "find", "{}", True, NOW, 3, 200, False, {"secret": "x"}),
            {"call_id": "c", "name": "find", "ok": True, "output": "{}", "status_code": 200, "mocked": False},
        ),
        (Moved("n", NOW, "e", "node", 3), {"node": "n", "name": "node", "edge": "e"}),
        (
            HandedOver("a", "v", "desk", NOW, took_ms=3),
            {"assistant_id": "a", "version_id": "v", "name": "desk", "edge": None},
        ),
        (Recalled(("p",), NOW, 3), {"passages": ["p"]}),
        (Left(Ending.CANCELLED, NOW, None, "enough", 3), {"ending": "cancelled", "speaker": None, "reason": "enough"}),
    ],
)
def test_every_happening_is_shown_in_one_line(event: Event, shown: dict[str, Any]) -> None:
    expected = {"kind": event.kind, "at": iso(NOW), "took_ms": 3, **shown}
    assert events.dump_event(event) == expected
    assert "\n" not in json.dumps(expected)


def test_what_was_lost_is_told() -> None:
    assert events.dump(Item("1", Missed(NOW))) == ("missed", {"since": iso(NOW)})
    assert events.dump(Item("1", Deleted("r"))) == ("deleted", {"id": "r"})
