"""Both clients: what they send, what they make of the answers, and what they try again."""

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from tests.support.answers import AT, BATCH, ERROR, RUN, STANDING, STATUS, TURN, Listed, answer, event, stream

from vivavoce.client import (
    ApiError,
    AsyncClient,
    BatchEnded,
    Client,
    Counted,
    Decided,
    Deleted,
    Missed,
    News,
    RunEnded,
    StatusChanged,
    TurnRecorded,
    Unreachable,
)

URL = "http://viva.example:8080"
APPLIED = {
    "suite": "desk",
    "assistants": [{"id": "a1", "name": "Desk", "version_id": "v1", "change": "created"}],
    "tests": [{"id": "t1", "name": "Order", "change": "unchanged", "repeats": 3}],
}
COMPARED = {
    "left": {"id": "1"},
    "right": {"id": "2"},
    "changes": [{"test": "Order", "criterion": "asks", "left": "met", "right": "unmet", "kind": "broke"}],
    "same": 4,
    "pass_rate": [1, 0.5],
    "fields": [{"path": "instructions", "left": "a", "right": "b"}],
}
LISTED = {"data": [dict(RUN)], "page": 1, "size": 20, "total": 41}
Ask = Callable[[Any], Any]


def made(given: Listed) -> Client:
    return Client(URL, "key", pause=given.pause, transport=given.transport)


def async_made(given: Listed) -> AsyncClient:
    return AsyncClient(URL, "key", pause=given.apause, transport=given.transport)


CALLS: list[tuple[Ask, Any, str, Any]] = [
    (lambda c: c.put_suite({"suite": "a/b ü"}, prune=True), APPLIED, "PUT /suites/a%2Fb%20%C3%BC?prune=true", {}),
    (lambda c: c.get_suite("desk"), {"suite": "desk"}, "GET /suites/desk", None),
    (lambda c: c.get_suites(page=2), {"data": [], "total": 0}, "GET /suites?page=2&size=20", None),
    (lambda c: c.get_history("d", limit=5), {"data": []}, "GET /suites/d/history?limit=5", None),
    (lambda c: c.get_tests(suite="d"), {"data": []}, "GET /tests?suite=d&page=1&size=20", None),
    (lambda c: c.get_test("t"), {"id": "t"}, "GET /tests/t", None),
    (lambda c: c.create_test({"name": "n"}), {"id": "t"}, "POST /tests", {"name": "n"}),
    (lambda c: c.put_test("t", {"name": "n"}), {"id": "t"}, "PUT /tests/t", {"name": "n"}),
    (lambda c: c.delete_test("t"), None, "DELETE /tests/t", None),
    (lambda c: c.get_assistants(), {"data": []}, "GET /assistants?page=1&size=20", None),
    (lambda c: c.get_assistant("a"), {"id": "a"}, "GET /assistants/a", None),
    (lambda c: c.put_assistant("a", {"name": "a"}), {"id": "a"}, "PUT /assistants/a", {"name": "a"}),
    (lambda c: c.start_batch(suite="d", repeats=2), BATCH, "POST /batches", {"suite": "d", "repeats": 2}),
    (
        lambda c: c.start_batch(tests={"t": 3}, version_id="v", tokens=9, money=0.5),
        BATCH,
        "POST /batches",
        {"tests": [{"id": "t", "repeats": 3}], "version_id": "v", "budget": {"tokens": 9, "money": 0.5}},
    ),
    (lambda c: c.start_batch(test_ids=["t"]), BATCH, "POST /batches", {"test_ids": ["t"]}),
    (lambda c: c.get_batch("b"), BATCH, "GET /batches/b", None),
    (lambda c: c.get_batch_runs("b"), LISTED, "GET /batches/b/runs?page=1&size=100", None),
    (lambda c: c.get_runs(status="failed"), LISTED, "GET /runs?status=failed&page=1&size=20", None),
    (lambda c: c.get_run("r"), RUN, "GET /runs/r", None),
    (
        lambda c: c.get_transcript("r"),
        {"run_id": "r", "conversation_id": "c", "events": [dict(TURN)]},
        "GET /runs/r/transcript",
        None,
    ),
    (lambda c: c.cancel_run("r", reason="why"), RUN, "POST /runs/r/cancel", {"reason": "why"}),
    (lambda c: c.cancel_batch("b"), {"batch_id": "b", "cancelled": 3}, "POST /batches/b/cancel", {}),
    (lambda c: c.cancel_suite("s"), {"suite": "s", "cancelled": 3}, "POST /suites/s/cancel", {}),
    (lambda c: c.compare("runs", "1", "2"), COMPARED, "GET /comparisons/runs?left=1&right=2", None),
    (lambda c: c.get_models(), {"data": []}, "GET /models", None),
    (lambda c: c.get_models(probe=True), {"data": []}, "POST /models/probe", None),
    (
        lambda c: c.start_chat("a", variables={"x": 1}),
        {"id": "c", "events": [], "over": False},
        "POST /conversations",
        {"assistant_id": "a", "variables": {"x": 1}},
    ),
    (lambda c: c.say("c", "Hi"), {"events": [], "over": True}, "POST /conversations/c/messages", {"text": "Hi"}),
    (lambda c: c.end_chat("c"), None, "DELETE /conversations/c", None),
]


@pytest.mark.parametrize(("ask", "body", "expected", "sent"), CALLS)
async def test_what_is_asked(ask: Ask, body: Any, expected: str, sent: Any) -> None:
    first, second = Listed([answer(body)]), Listed([answer(body)])
    with made(first) as client:
        found = ask(client)
    async with async_made(second) as client:
        assert await ask(client) == found
    for given in (first, second):
        (request,) = given.asked
        assert f"{request.method} {request.url.raw_path.decode().removeprefix('/viva/v1')}" == expected
        assert request.headers["authorization"] == "Bearer key"
        if sent is None:
            assert not request.content
        elif sent:
            assert json.loads(request.content) == sent


def test_both_clients_offer_the_same() -> None:
    def methods(kind: type[Any]) -> dict[str, str]:
        found = {name: value for name, value in vars(kind).items() if not name.startswith("_") and callable(value)}
        return {name: str(inspect.signature(value)) for name, value in found.items() if "close" not in name}

    both = (methods(Client), methods(AsyncClient))
    assert both[0].keys() == both[1].keys()
    for name, signature in both[0].items():
        assert signature.replace("Generator", "AsyncGenerator") == both[1][name].replace(
            "AsyncAsyncGenerator", "AsyncGenerator"
        )
    called = {ask.__code__.co_names[0] for ask, *_ in CALLS if hasattr(ask, "__code__")}
    assert both[0].keys() - called == {"send", "follow_run", "follow_batch", "follow_all"}


def test_what_is_told_becomes_dataclasses() -> None:
    given = Listed([answer(dict(RUN)), answer(APPLIED), answer(COMPARED), answer(dict(BATCH, runs=[dict(RUN)]))])
    with made(given) as client:
        run = client.get_run("r1")
        assert (run.over, run.seconds, run.talked_seconds, run.story) == (True, 2.5, 1.5, "once")
        assert run.test is not None
        assert run.test.name == "Order"
        assert run.created_at == datetime(2026, 11, 22, 7, tzinfo=UTC)
        assert run.verdicts[0].quote is not None
        assert run.verdicts[0].quote.text == "Hello"
        assert client.put_suite({"suite": "desk"}).tests[0].repeats == 3
        compared = client.compare("batches", "1", "2")
        assert (compared.changes[0].kind, compared.same, compared.fields[0].path) == ("broke", 4, "instructions")
        batch = client.get_batch("b1")
        assert batch.runs == (run,)
        assert batch.budget is not None
        assert batch.budget.spent_tokens == 5


def test_lists_and_overviews() -> None:
    point = {**STANDING, "response_ms": {"p50": 1}, "talked_ms": None, "input_tokens": 3, "output_tokens": 1}
    given = Listed(
        [
            answer({"data": [{"name": "desk", "tests": 2, "last": dict(STANDING)}, {"name": "new", "tests": 0}]}),
            answer({"suite": "desk", "data": [point]}),
            answer({"data": [{"role": "judge", "model": None, "ok": False, "reason": "no key"}]}),
            answer(LISTED),
            answer({"id": "c", "events": [{"kind": "message", "speaker": "assistant", "text": "Hi"}], "over": False}),
        ]
    )
    with made(given) as client:
        suites = client.get_suites()
        assert [(one.name, one.last and one.last.failed) for one in suites.items] == [("desk", 1), ("new", None)]
        (first,) = client.get_history("desk")
        assert (first.standing.batch_id, first.response_ms, first.money) == ("b1", {"p50": 1}, None)
        assert client.get_models()[0].reason == "no key"
        assert client.get_runs().total == 41
        assert client.start_chat("a").turns[0].text == "Hi"


UNKNOWN = "The server answered in a shape that is not known here"


@pytest.mark.parametrize(
    ("response", "status", "message", "pointer"),
    [
        (answer(ERROR, 422), 422, "It is missing.", "/body/suite"),
        (answer({"error": {"status": 404, "message": "No run."}}, 404), 404, "No run.", None),
        (httpx2.Response(502, content=b"<html>"), 502, "The server answered 502.", None),
        (answer([1], 500), 500, "The server answered 500.", None),
        (answer({"id": "r1"}), 200, UNKNOWN, None),
        (httpx2.Response(200, content=b"{"), 200, UNKNOWN, None),
        (answer([]), 200, UNKNOWN, None),
    ],
)
def test_refusals_are_errors(response: httpx2.Response, status: int, message: str, pointer: str | None) -> None:
    with made(Listed([response])) as client, pytest.raises(ApiError) as caught:
        client.get_run("r1")
    assert (caught.value.status, caught.value.pointer) == (status, pointer)
    assert caught.value.message.startswith(message)
    assert str(caught.value) == caught.value.message + (f" (at {pointer})" if pointer else "")


async def test_what_does_no_harm_is_tried_again() -> None:
    broken = httpx2.ConnectError("refused")
    given = Listed([broken, answer(ERROR, 503), answer({}, 429, **{"retry-after": "3"}), answer(dict(RUN))])
    with made(given) as client:
        assert client.get_run("r1").id == "r1"
    assert given.paused == [0.5, 1.0, 3.0]
    again = Listed([httpx2.ConnectError("refused") for _ in range(4)])
    async with async_made(again) as client:
        with pytest.raises(Unreachable, match=r"^no answer from http://viva\.example:8080: refused$"):
            await client.get_run("r1")
    assert again.paused == [0.5, 1.0, 2.0]


def test_a_batch_is_not_started_twice() -> None:
    given = Listed([httpx2.ReadTimeout("late")])
    with made(given) as client, pytest.raises(Unreachable, match="late"):
        client.start_batch(suite="desk")
    assert given.paused == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "viva.example",
        "ftp://viva.example",
        "http://",
        "http://viva.example:abc",
        "http://viva.example:99999",
        "http://[viva",
        "http://viva..example",
        "http://viva.example?x=1",
        "http://\udcff",
        "http://a:secret@viva.example:abc",
        "a:secret@viva.example",
        "http://a:se/cret@viva.example",
        "http://a:se?cret@viva.example",
    ],
)
def test_an_address_must_be_one(address: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="no address") as caught:
            kind(address, "key")
        assert "cret" not in str(caught.value)


def test_a_password_in_the_address_is_neither_sent_nor_shown() -> None:
    given = Listed([httpx2.ReadTimeout("late")])
    with (
        Client("http://a:secret@viva.example", "key", transport=given.transport) as client,
        pytest.raises(Unreachable, match=r"^no answer from http://viva\.example: late$"),
    ):
        client.start_batch(suite="desk")
    assert given.asked[0].headers["authorization"] == "Bearer key"


def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated() -> None:
    given = Listed([answer(dict(RUN))])
    with Client(URL, "key\r\n", transport=given.transport) as client:
        client.get_run("r1")
    assert given.asked[0].headers["authorization"] == "Bearer key"
    for key in ("topsecret\r\nX: y", "topsecret\x00", "topsecret\udcff", "topsecr\u00e9t"):
        with pytest.raises(ValueError, match="the key cannot be sent") as caught:
            Client(URL, key)
        assert "topsec" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SSL_CERT_FILE", "/nowhere.pem", "certificates cannot be read: No such file"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "SOCKS"),
        ("ALL_PROXY", "http://a:secret@127.0.0.1:abc", "proxy of the environment has no address"),
    ],
)
def test_an_environment_that_cannot_be_used_is_said(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=said) as caught:
            kind("https://viva.example", "key")
        assert "secret" not in str(caught.value)


def test_an_answer_that_cannot_be_decoded_is_none() -> None:
    def broken(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=b"this is not compressed", headers={"content-encoding": "gzip"})

    with made(Listed([broken])) as client, pytest.raises(Unreachable, match="no answer"):
        client.say("c", "Hi")


@pytest.mark.parametrize("address", [URL, URL + "/", URL + "/viva/v1", URL + "/viva/v1/"])
def test_the_root_of_the_api_may_be_there_already(address: str) -> None:
    given = Listed([answer(dict(RUN))])
    with Client(address, "key", transport=given.transport) as client:
        client.get_run("r1")
    assert str(given.asked[0].url) == f"{URL}/viva/v1/runs/r1"


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 70_000])
def test_a_name_cannot_lead_elsewhere(name: str) -> None:
    with made(Listed([])) as client:
        asks: list[Ask] = [client.get_suite, client.follow_run, lambda name: client.put_suite({"suite": name})]
        for ask in asks:
            with pytest.raises(ApiError, match="cannot be a name") as caught:
                ask(name)
            assert caught.value.status == 422


def test_half_a_character_is_sent_nowhere() -> None:
    with made(Listed([])) as client:
        asks: list[Ask] = [
            client.get_run,
            lambda suite: client.get_runs(suite=suite),
            lambda suite: client.follow_all(suite=suite),
        ]
        for ask in asks:
            with pytest.raises(ApiError, match="is not UTF-8"):
                ask("a\udcff")


# --- live events ----------------------------------------------------------------------------------------------------

COUNTS = {"batch_id": "b1", "total": 2, "counts": {"passed": 2}, "over": False}


def status(step: int, name: str = "running") -> str:
    return event("status", {**STATUS, "step": step, "status": name}, f"{step}")


async def both(steps: Callable[[], list[Any]], ask: Callable[[Any], Any]) -> tuple[list[News], Listed]:
    """What both clients tell, which is the same."""
    first, second = Listed(steps()), Listed(steps())
    with made(first) as client:
        told = list(ask(client))
    async with async_made(second) as client:
        assert [one async for one in ask(client)] == told
    assert first.paused == second.paused
    return told, first


async def test_a_run_is_told_to_its_end() -> None:
    def steps() -> list[Any]:
        turn = event("turn", {"run_id": "r1", **TURN}, "1.0.0")
        verdicts = event("verdicts", {"run_id": "r1", "verdicts": RUN["verdicts"]}, "1.1.0")
        odd = event("of the future", {}, "1.1.0")
        return [stream(": keep-alive\n\n", status(5), turn, verdicts, odd, event("end", RUN, "end"))]

    told, given = await both(steps, lambda c: c.follow_run("r1"))
    assert [type(one) for one in told] == [StatusChanged, TurnRecorded, Decided, RunEnded]
    assert given.asked[0].url.path == "/viva/v1/runs/r1/events"
    assert given.paused == []


async def test_a_stream_goes_on_where_it_broke_off() -> None:
    def steps() -> list[Any]:
        return [
            stream(status(5), ": keep-alive\nid: 77\n\n"),
            httpx2.ConnectError("refused"),
            answer({}, 503, **{"retry-after": "2"}),
            stream(status(5), status(6, "passed"), event("counts", COUNTS, "80"), event("end", COUNTS, "end")),
        ]

    told, given = await both(steps, lambda c: c.follow_batch("b1"))
    assert [type(one) for one in told] == [StatusChanged, StatusChanged, Counted, BatchEnded]
    assert [one.step for one in told if isinstance(one, StatusChanged)] == [5, 6]
    assert [request.headers.get("last-event-id") for request in given.asked] == [None, "77", "77", "77"]
    assert given.paused == [0.25, 0.5, 2.0]


async def test_what_is_gone_ends_the_stream() -> None:
    told, _ = await both(
        lambda: [stream(event("deleted", {"id": "r9"}, "1"), event("deleted", {"id": "b1"}, "2"))],
        lambda c: c.follow_batch("b1"),
    )
    assert told == [Deleted("r9"), Deleted("b1")]
    nothing, _ = await both(lambda: [httpx2.Response(204)], lambda c: c.follow_batch("b1"))
    assert nothing == []


async def test_what_was_missed_is_said() -> None:
    def steps() -> list[Any]:
        return [stream(event("missed", {"since": AT}, "5")), answer(ERROR, 404)]

    given = Listed(steps())
    with made(given) as client:
        following = client.follow_all(suite="desk")
        assert next(following) == Missed(datetime(2026, 11, 22, 7, tzinfo=UTC))
        with pytest.raises(ApiError):
            next(following)
    assert given.asked[0].url.query == b"suite=desk"


async def test_a_stream_that_never_tells_anything_is_given_up() -> None:
    given = Listed([stream() for _ in range(8)])
    async with async_made(given) as client:
        with pytest.raises(Unreachable, match="the stream broke off"):
            await anext(client.follow_batch("b1"))
    assert given.paused == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_an_event_that_cannot_be_read_is_an_error() -> None:
    given = Listed([stream(event("status", {}, "1"))])
    async with async_made(given) as client:
        with pytest.raises(ApiError, match="shape"):
            await anext(client.follow_batch("b1"))
