"""Suites are handed over, run, followed and collected, on a server that is made up."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from tests.support.answers import AT, BATCH, RUN, TURN, answer, event, stream

from vivavoce.client import AsyncClient
from vivavoce.clock import SystemClock
from vivavoce.reports.results import Code, Problem, Report, State, code
from vivavoce.running import suites
from vivavoce.running.suites import Began, Moved, Plan, Told, Wanted, matching, run_suites

DOCUMENT = {"suite": "desk", "tests": [{"name": "Order"}, {"name": "Refund"}]}
EVERYTHING = Wanted()
PLAN = Plan(DOCUMENT, "desk.viva.yaml", {"Order": 3, "Refund": 9})


@dataclass
class Server:
    """Tests end as ``ends`` says, by their names; those that it does not name wait until they are cancelled."""

    ends: Mapping[str, str]
    refuse: Mapping[str, httpx2.Response] = field(default_factory=dict[str, httpx2.Response])
    batches: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    cancelled: dict[str, str] = field(default_factory=dict[str, str])
    started: list[Any] = field(default_factory=list[Any])
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/viva/v1")
        body: Any = json.loads(request.content) if request.content else None
        for prefix, response in self.refuse.items():
            if f"{request.method} {path}".startswith(prefix):
                return response
        match [request.method, *path.strip("/").split("/")]:
            case ["PUT", "suites", name]:
                tests = [
                    {"id": f"{name}:{test['name']}", "name": test["name"], "change": test.get("change", "unchanged")}
                    for test in body["tests"]
                ]
                return answer({"suite": name, "assistants": [], "tests": tests})
            case ["POST", "batches"]:
                return self._start(body)
            case ["GET", "batches", id_, "events"]:
                return await self._events(id_)
            case ["GET", "batches", id_, "runs"]:
                return self._runs(id_, int(request.url.params["page"]), int(request.url.params["size"]))
            case ["POST", "batches", id_, "cancel"]:
                self._cancel(id_, body["reason"])
                return answer({"cancelled": 1})
            case ["GET", "runs", id_, "transcript"]:
                return answer({"run_id": id_, "conversation_id": "c", "events": [dict(TURN)]})
            case _:
                return answer({}, 404)

    def _start(self, body: Any) -> httpx2.Response:
        self.started.append(body)
        id_ = f"b{len(self.batches) + 1}"
        wanted = [test["id"] for test in body["tests"] for _ in range(test["repeats"])]
        self.batches[id_] = [
            dict(RUN, id=f"{id_}-{place}", test_id=test_id, status=self.ends.get(test_id.partition(":")[2], "running"))
            for place, test_id in enumerate(wanted)
        ]
        return answer(dict(BATCH, id=id_, runs=self.batches[id_]), 201)

    def _cancel(self, id_: str, reason: str) -> None:
        self.cancelled.setdefault(id_, reason)
        for run in self.batches[id_]:
            if run["status"] == "running":
                run |= {"status": "cancelled", "reason": f"cancelled: {reason}", "fault": "nobody", "started_at": None}
        self.told.set()

    async def _events(self, id_: str) -> httpx2.Response:
        async def told() -> AsyncGenerator[bytes]:
            for step, run in enumerate(self.batches[id_]):
                if run["status"] != "running":
                    yield self._status(run, step).encode()
            while any(run["status"] == "running" for run in self.batches[id_]):
                await self.told.wait()
                self.told.clear()
            counts: dict[str, Any] = {"batch_id": id_, "total": len(self.batches[id_]), "counts": {}, "over": True}
            yield event("end", counts, "end").encode()

        return httpx2.Response(200, content=told(), headers={"content-type": "text/event-stream"})

    def _status(self, run: Mapping[str, Any], step: int) -> str:
        data = {"run_id": run["id"], "test_id": run["test_id"], "status": run["status"], "step": step}
        return event("status", {**data, "reason": run["reason"], "fault": run["fault"], "updated_at": AT}, f"{step}")

    def _runs(self, id_: str, page: int, size: int) -> httpx2.Response:
        runs = list(reversed(self.batches[id_]))
        found = runs[(page - 1) * size : page * size]
        return answer({"data": found, "page": page, "size": size, "total": len(runs)})


async def ran(
    server: "Server | Silent",
    *plans: Plan,
    wanted: Wanted = EVERYTHING,
    heard: list[Told] | None = None,
) -> Report:
    def tell(told: Told) -> None:
        if heard is not None:
            heard.append(told)

    async def no_pause(_seconds: float) -> None:
        pass

    transport = httpx2.MockTransport(server)
    async with AsyncClient("http://viva.example", "key", transport=transport, pause=no_pause) as client:
        return await run_suites(client, plans or [PLAN], wanted, SystemClock(), tell)


def states(report: Report) -> Sequence[tuple[str, State]]:
    return [(test.name, test.state) for test in report.tests]


async def test_a_suite_is_run_and_told() -> None:
    server, heard = Server({"Order": "passed", "Refund": "failed"}), list[Told]()
    report = await ran(server, heard=heard)
    assert states(report) == [("Order", State.PASSED), ("Refund", State.FAILED)]
    assert [(test.file, test.line) for test in report.tests] == [("desk.viva.yaml", 3), ("desk.viva.yaml", 9)]
    assert report.suites[0].batch_id == "b1"
    # The conversation is asked for where somebody will want to read it.
    assert [[len(run.turns) for run in test.runs] for test in report.tests] == [[0], [1]]
    assert heard == [
        Began("desk", "b1", {"Order": 1, "Refund": 1}),
        Moved("desk", "Order", "b1-0", "passed", RUN["fault"], RUN["reason"]),
        Moved("desk", "Refund", "b1-1", "failed", RUN["fault"], RUN["reason"]),
    ]
    assert code(report) is Code.FAILED


async def test_transcripts_of_what_passed_on_request() -> None:
    report = await ran(Server({"Order": "passed", "Refund": "passed"}), wanted=Wanted(transcripts=True))
    assert [len(test.runs[0].turns) for test in report.tests] == [1, 1]


async def test_repeats_stand_over_the_document() -> None:
    server = Server({"Order": "passed", "Refund": "passed"})
    report = await ran(server, wanted=Wanted(repeats=120))
    assert [test["repeats"] for test in server.started[0]["tests"]] == [120, 120]
    assert [len(test.runs) for test in report.tests] == [120, 120]
    first = [one.run.id for one in report.tests[0].runs]
    assert first == sorted(first)


async def test_only_what_was_chosen_is_run() -> None:
    server = Server({"Order": "passed"})
    report = await ran(server, wanted=Wanted(matching("ord")))
    assert states(report) == [("Order", State.PASSED)]
    assert [test["id"] for test in server.started[0]["tests"]] == ["desk:Order"]
    nothing = await ran(server, wanted=Wanted(matching("zebra")))
    assert (nothing.tests, len(server.started)) == ((), 1)


async def test_what_the_document_no_longer_names_is_not_run() -> None:
    plan = Plan({"suite": "desk", "tests": [{"name": "Order"}, {"name": "Old", "change": "retired"}]})
    assert states(await ran(Server({"Order": "passed"}), plan)) == [("Order", State.PASSED)]


@pytest.mark.parametrize("fails", ["failed", "error"])
async def test_fail_fast_cancels_the_rest(fails: str) -> None:
    other = Plan({"suite": "other", "tests": [{"name": "Long"}]})
    server = Server({"Order": fails})
    report = await ran(server, PLAN, other, wanted=Wanted(fail_fast=True))
    assert dict(states(report))["Order"] in (State.FAILED, State.UNDECIDED)
    assert dict(states(report))["Refund"] is State.SKIPPED
    assert server.cancelled["b1"] == "stopped at the first that did not pass"
    # The other suite was either cancelled or never begun.
    assert all(test.state is State.SKIPPED for test in report.suites[1].tests)


async def test_what_takes_too_long_is_cancelled() -> None:
    server = Server({"Order": "passed"})
    report = await ran(server, wanted=Wanted(timeout_s=0.05))
    assert states(report) == [("Order", State.PASSED), ("Refund", State.SKIPPED)]
    assert report.problems == (Problem("it was not over within 0.05 s"),)
    assert code(report) is Code.BROKEN
    assert server.cancelled == {"b1": "it was not over within 0.05 s"}


@dataclass
class Silent:
    """Answers as the server does, but no longer when it is asked this."""

    server: Server
    asked: str
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/viva/v1")
        if self.asked in f"{request.method} {path}":
            self.silent.set()
            await asyncio.Event().wait()
        return await self.server(request)


@pytest.mark.parametrize("asked", ["PUT /suites/desk", "POST /batches", "/events", "/runs", "/cancel"])
async def test_a_silent_server_is_not_waited_for(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "GRACE_S", 0.02)
    monkeypatch.setattr(suites, "LAST_WORDS_S", 0.02)
    server = Server({"Hello": "passed"})
    other = Plan({"suite": "other", "tests": [{"name": "Hello"}]})
    # What is heard of one suite is told, whatever becomes of the other.
    answering = Silent(server, asked)
    async with asyncio.timeout(10):
        report = await ran(answering, PLAN, other, wanted=Wanted(timeout_s=0.05))
    assert answering.silent.is_set()
    assert report.problems == (Problem("it was not over within 0.05 s"),)
    late = Problem("the server did not answer in time", "desk.viva.yaml")
    assert report.suites[0].problem == late
    assert code(report) is Code.BROKEN
    if asked == "PUT /suites/desk":
        assert report.suites[1].tests[0].state is State.PASSED


async def test_what_a_listener_raises_ends_all_of_it() -> None:
    server = Server({"Order": "passed"})
    other = Plan({"suite": "other", "tests": [{"name": "Long"}]})

    def tell(told: Told) -> None:
        if isinstance(told, Moved):
            raise OSError("full")

    transport = httpx2.MockTransport(server)
    async with AsyncClient("http://viva.example", "key", transport=transport) as client:
        with pytest.raises(OSError, match="full"):
            await run_suites(client, [PLAN, other], EVERYTHING, SystemClock(), tell)
    assert server.cancelled == dict.fromkeys(server.batches, "whoever ran it stopped")
    assert "b1" in server.cancelled


async def test_whoever_is_cancelled_cancels_what_was_begun() -> None:
    server, heard = Server({}), list[Told]()
    running = asyncio.create_task(ran(server, heard=heard))
    while not heard:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert server.cancelled == {"b1": "whoever ran it stopped"}


async def test_an_interruption_that_a_library_loses_is_heard_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server({"Order": "passed"})
    lost = 0
    events = server._events

    async def deaf(batch_id: str) -> httpx2.Response:
        nonlocal lost
        try:
            server.told.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost += 1
        return await events(batch_id)

    monkeypatch.setattr(server, "_events", deaf)
    monkeypatch.setattr(suites, "LAST_WORDS_S", 0.05)
    async with AsyncClient("http://viva.test", "k", transport=httpx2.MockTransport(server)) as client:
        running = asyncio.create_task(run_suites(client, [PLAN], EVERYTHING, SystemClock()))
        await server.told.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert lost == 1
    assert list(server.cancelled.values()) == ["whoever ran it stopped"]


async def test_nothing_to_run_is_over_at_once() -> None:
    async with AsyncClient("http://viva.test", "k", transport=httpx2.MockTransport(Server({}))) as client:
        assert (await run_suites(client, [], EVERYTHING, SystemClock())).suites == ()


async def test_a_refusal_is_a_problem_of_the_suite() -> None:
    place = {"error": {"message": "no", "places": [{"at": "/body/tests/1/name", "message": "Too long."}]}}
    plan = Plan(DOCUMENT, "desk.viva.yaml", {}, lambda message, pointer: Problem(f"{message} {pointer}", "f", 9))
    refused = Server({}, {"PUT /suites/desk": answer(place, 422)})
    (suite,) = (await ran(refused, plan)).suites
    assert suite.problem == Problem("Too long. /body/tests/1/name", "f", 9)
    (suite,) = (await ran(refused, PLAN)).suites
    assert suite.problem == Problem("Too long. (at /body/tests/1/name)", "desk.viva.yaml")
    old = await ran(Server({}, {"PUT /suites/": answer({"error": {"message": "Not Found"}}, 404)}))
    assert str(old.suites[0].problem) == "desk.viva.yaml: Not Found: the server is older than this command"
    assert code(old) is Code.BROKEN


@pytest.mark.parametrize("what", ["POST /batches", "GET /batches/b1/events", "GET /batches/b1/runs"])
async def test_what_goes_wrong_on_the_way_is_a_problem(what: str) -> None:
    report = await ran(Server({"Order": "passed", "Refund": "passed"}, {what: answer({}, 500)}))
    assert report.suites[0].problem == Problem("The server answered 500.", "desk.viva.yaml")
    assert code(report) is Code.BROKEN


async def test_verdicts_are_there_without_the_transcript() -> None:
    report = await ran(Server({"Order": "failed", "Refund": "passed"}, {"GET /runs/": answer({}, 404)}))
    assert report.tests[0].runs[0].run.verdicts[0].decision == "unmet"
    assert report.tests[0].runs[0].turns == ()


async def test_a_batch_that_was_deleted_is_a_problem() -> None:
    gone = stream(event("deleted", {"id": "b1"}, "1"))
    report = await ran(Server({"Order": "passed"}, {"GET /batches/b1/events": gone}))
    assert report.suites[0].problem == Problem("1 runs are not over", "desk.viva.yaml")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("order", "Late ORDER", True),
        ("desk/late", "Late order", True),
        ("late*", "Late order", True),
        ("order*", "Late order", False),
        ("desk/*", "Late order", True),
        ("[lx]ate order", "Late order", True),
        ("", "Late order", True),
    ],
)
def test_names_are_matched(pattern: str, name: str, fits: bool) -> None:
    assert matching(pattern)("Desk", name) is fits
