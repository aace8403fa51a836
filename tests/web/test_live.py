"""Pages that go on while somebody looks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message
from structlog.testing import capture_logs
from tests.support.outages import AWAY
from tests.support.outcomes import RUNNING, a_test, passed, ran, ran_suite
from tests.support.pages import Element, Person, check, dashboard, logged_in, read
from tests.support.store import NOW, ORG, PATIENCE_S, leased_run, said, set_row

from vivavoce.core.event import Ending, Left, Speaker, Usage
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Outcome, Quote, Verdict
from vivavoce.services import scenarios, sessions, watching
from vivavoce.services.context import Context
from vivavoce.services.news import END
from vivavoce.storage.journal import Entry, Lease, decided, running, settled
from vivavoce.web import batches, home, live, runs
from vivavoce.web.visitor import COOKIE


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    monkeypatch.setattr(watching, "PAUSE_S", 0.0)
    for module in (runs, batches, home):
        monkeypatch.setattr(module, "PAUSE_S", 0.0)


@dataclass
class Looker:
    """A browser with JavaScript that shows a part of a page anew."""

    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: str = ""
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
                self.body += message.get("body", b"").decode()
                self.over = not message.get("more_body", False)
            self.arrived.notify_all()

    @property
    def parts(self) -> list[str]:
        """What came to be shown, one after the other."""
        found: list[str] = []
        for block in self.body.split("\n\n"):
            lines = block.split("\n")
            if lines[0].startswith("data:"):
                found.append("\n".join(line.removeprefix("data: ") for line in lines))
        return found

    @property
    def now(self) -> Element:
        """What is shown now."""
        root = read(self.parts[-1])
        check(root)
        return root

    async def until(self, words: str) -> None:
        """Return when these words are shown."""
        async with asyncio.timeout(PATIENCE_S), self.arrived:
            await self.arrived.wait_for(lambda: bool(self.parts) and words in read(self.parts[-1]).text)

    async def end(self) -> None:
        """Return when nothing more comes."""
        async with asyncio.timeout(PATIENCE_S), self.arrived:
            await self.arrived.wait_for(lambda: self.over)


@asynccontextmanager
async def looking(ctx: Context, person: Person, path: str) -> AsyncGenerator[Looker]:
    """Somebody who watches while the block lasts."""
    looker = Looker()
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "server": ("viva.test", 80),
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"cookie", f"{COOKIE}={person.http.cookies[COOKIE]}".encode()), (b"hx-request", b"true")],
    }
    task = asyncio.create_task(dashboard(ctx)(scope, looker.receive, looker.send))
    try:
        yield looker
    finally:
        looker.gone.set()
        async with asyncio.timeout(PATIENCE_S):
            await task


async def say(ctx: Context, run: Run, lease: Lease, turn: int, words: str, speaker: Speaker) -> None:
    await ctx.journal.write(Entry(lease, NOW, run.conversation_id, turn, (said(words, speaker, NOW + turn),)))


async def test_a_run_is_shown_as_it_goes_on_and_ends_by_itself(ctx: Context, person: Person) -> None:
    run, lease = await leased_run(ctx.database)
    async with looking(ctx, person, f"/ui/runs/{run.id}/live") as looker:
        await looker.until("Begins.")
        await ctx.journal.write(running(lease, NOW))
        await say(ctx, run, lease, 0, "Hello\rthere", Speaker.CALLER)
        await looker.until("Hello there")
        assert [one.text for one in looker.now.all("div", class_="bubble")] == ["Hello there"]
        await say(ctx, run, lease, 1, "Good day", Speaker.ASSISTANT)
        await looker.until("Good day")
        left = Left(Ending.GOODBYE, NOW, Speaker.CALLER)
        await ctx.journal.write(Entry(lease, NOW, run.conversation_id, 2, (left,)))
        await looker.until("the judge reads it")
        verdict = Verdict("kind", Decision.MET, "is kind", "a judge", Quote(1, "Good"))
        await ctx.journal.write(decided(lease, NOW, (verdict,), Usage()))
        await looker.until("is kind")
        outcome = Outcome(Status.PASSED, None, "every criterion is met")
        await ctx.journal.write(settled(lease, NOW, outcome, Transcript((left,)), Usage(), "the story"))
        await looker.end()
    shown = looker.now
    assert shown.one("h1").text.endswith(" passed")
    assert not shown.all("p", class_="live")
    assert [mark.text for mark in shown.all("mark")] == ["Good"]
    assert shown.one("form").attributes["action"] == f"/ui/runs/{run.id}/again"
    assert looker.body.endswith("event: over\ndata: \n\n")
    assert looker.headers["content-type"].startswith("text/event-stream")
    assert looker.headers["cache-control"] == "no-store"
    # Each part is one event, whatever line breaks are in it.
    assert "\r" not in looker.body


async def test_a_run_that_is_over_is_shown_once(ctx: Context, person: Person) -> None:
    run = await ran(ctx, await a_test(ctx), passed())
    async with looking(ctx, person, f"/ui/runs/{run.id}/live") as looker:
        await looker.end()
    assert len(looker.parts) == 1
    assert looker.body.endswith("event: over\ndata: \n\n")


async def test_who_has_logged_out_is_shown_nothing_more(ctx: Context, person: Person) -> None:
    run = await ran(ctx, await a_test(ctx), RUNNING, ())
    async with looking(ctx, person, f"/ui/runs/{run.id}/live") as looker:
        await looker.until("Nothing was said yet")
        many = len(looker.parts)
        assert (await person.post("/ui/logout")).there == "/login"
        await ctx.database.write(
            lambda tx: set_row(tx, run.id, **{**passed(), "reason": "a secret", "updated_at": NOW + 1, "dispatch": 2})
        )
        ctx.watcher.wake()
        await looker.end()
    assert len(looker.parts) == many
    assert looker.body.endswith("event: over\ndata: \n\n")


async def test_where_the_database_goes_away_the_browser_is_left_to_come_back(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_given: Any) -> bool:
        raise AWAY

    run, lease = await leased_run(ctx.database)
    with capture_logs() as logs:
        async with looking(ctx, person, f"/ui/runs/{run.id}/live") as looker:
            await looker.until("Begins.")
            monkeypatch.setattr(sessions, "is_open", away)
            await say(ctx, run, lease, 0, "Hello", Speaker.CALLER)
            await looker.end()
    assert looker.body.endswith(": The database does not answer. Try again in a moment.\n\n")
    assert [(one["log_level"], one["event"]) for one in logs] == [("warning", "the database is away")]


async def test_a_run_that_is_deleted_meanwhile_ends_the_stream(ctx: Context, person: Person) -> None:
    test = await a_test(ctx)
    run = await ran(ctx, test, RUNNING, ())
    async with looking(ctx, person, f"/ui/runs/{run.id}/live") as looker:
        await looker.until("Nothing was said yet")
        await scenarios.delete(ctx, ORG, test.id)
        await looker.end()
    assert looker.body.endswith("event: over\ndata: \n\n")


async def test_a_batch_is_counted_as_it_goes_on(ctx: Context, person: Person) -> None:
    for name in ("a", "b"):
        await a_test(ctx, suite="s", name=name)
    first, second = await ran_suite(ctx, "s", RUNNING)
    async with looking(ctx, person, f"/ui/batches/{first.batch_id}/live") as looker:
        await looker.until("0 of 2 are over")
        for run, words in ((first, "1 of 2 are over"), (second, "2 of 2 passed")):
            change = {**passed(), "updated_at": NOW + 1, "dispatch": 2}
            await ctx.database.write(lambda tx, id_=run.id, change=change: set_row(tx, id_, **change))
            ctx.watcher.wake()
            await looker.until(words)
        await looker.end()
    assert looker.body.endswith("event: over\ndata: \n\n")
    assert [row.all("td")[0].text for row in looker.now.one("tbody").all("tr")] == ["a", "b"]


async def test_the_first_page_is_shown_at_once_and_when_something_happens(ctx: Context, person: Person) -> None:
    test = await a_test(ctx, suite="s", name="Order")
    async with looking(ctx, person, "/ui/home/live") as looker:
        await looker.until("0 running, 0 waiting")
        await ran(ctx, test, RUNNING)
        ctx.watcher.wake()
        await looker.until("Running now")
        assert "Order running" in looker.now.text
        # The server stops: the browser comes back, and so it is not told that it is over.
        await ctx.watcher.stop()
        await looker.end()
    assert looker.body.endswith(": the server stops\n\n")


async def test_nobody_watches_what_is_not_theirs(ctx: Context) -> None:
    run = await ran(ctx, await a_test(ctx), RUNNING)
    async with logged_in(ctx, org="org-b") as other:
        assert (await other.get(f"/ui/runs/{run.id}/live")).status == 404
        assert (await other.get("/ui/batches/nothing/live")).status == 404
        other.http.cookies.clear()
        assert (await other.get(f"/ui/runs/{run.id}/live", headers={"hx-request": "true"})).status == 401


async def test_where_there_is_no_room_the_page_stays_as_it_is(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await ran(ctx, await a_test(ctx), passed())
    monkeypatch.setattr(watching, "PER_KEY", 0)
    answer = await person.get(f"/ui/runs/{run.id}/live")
    assert (answer.status, answer.body) == (204, "")


async def test_a_reader_who_leaves_is_let_go_and_one_who_waits_is_kept(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.01)
    run = await ran(ctx, await a_test(ctx), RUNNING)
    async with (
        looking(ctx, person, f"/ui/runs/{run.id}/live") as looker,
        asyncio.timeout(PATIENCE_S),
        looker.arrived,
    ):
        await looker.arrived.wait_for(lambda: ": keep-alive\n\n" in looker.body)
    assert ": gone" not in looker.body
    assert not looker.over
    assert not ctx.watcher._streams  # whoever is gone costs nothing


async def test_a_browser_that_takes_nothing_is_let_go(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STUCK_S", 0.01)
    run = await ran(ctx, await a_test(ctx), RUNNING)

    class Stuck(Looker):
        async def send(self, message: Message) -> None:
            await super().send(message)
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

    looker = Stuck()
    session = await sessions.find(ctx, person.http.cookies[COOKIE])
    assert session is not None

    async def shown() -> str:
        return "part"

    stuck = live.answer(ctx, session, shown, 0.0, run_id=run.id)
    await stuck({"type": "http"}, looker.receive, looker.send)
    assert looker.parts == ["part"]
    assert not ctx.watcher._streams
    assert END not in looker.body
