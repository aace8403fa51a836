import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import Seen, Server, StepClock, always, raw_serving, serving
from tests.support.players import TableTools

from vivavoce.channels.completions import CompletionsChannel
from vivavoce.channels.http import HttpChannel, unanswered
from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault
from vivavoce.examination.channel import Channel, Heard, LineBroken
from vivavoce.outbound.fetch import Session

AT = StepClock().at
HELLO = Message(Speaker.CALLER, "Hello", 1)


class Waits:
    """A sleep that is only written down."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def channel(session: Session, url: str, **fields: Any) -> HttpChannel:
    settings: dict[str, Any] = {"variables": {"plan": "gold"}, "sleep": Waits()}
    return HttpChannel(session, StepClock(), url, "conversation-1", "run-1:1", **(settings | fields))


async def answer_to(session: Session, url: str, *, to: Message = HELLO, **fields: Any) -> Heard:
    async with channel(session, url, **fields).open(Transcript()) as line:
        await line.say(to)
        return await line.listen()


def says(text: str, took_ms: int = 0) -> Message:
    return Message(Speaker.ASSISTANT, text, AT, took_ms)


def statuses(*codes: int) -> Callable[[Seen], web.Response]:
    left = list(codes)
    return lambda _: web.json_response({"message": "Hi"}, status=left.pop(0))


async def test_the_caller_speaks_first(session: Session) -> None:
    async with serving(always({"message": "Hi"})) as server:
        reached: Channel = channel(session, server.url)
        async with reached.open(Transcript()) as line:
            assert await line.listen() == Heard((), rests=True)
    assert server.seen == []
    assert reached.resumable
    assert reached.notes == (f"messages were carried over HTTP to {server.url}",)


async def test_a_conversation(session: Session) -> None:
    async with (
        serving(always({"message": "Hi"})) as server,
        channel(session, server.url, headers={"X-Key": "k"}).open(Transcript()) as line,
    ):
        await line.say(HELLO)
        assert await line.listen() == Heard((says("Hi", 250),), rests=True)
        assert await line.listen() == Heard((), rests=True)
        server.reply = always({"messages": ["One", "", "Two"], "message": None})
        await line.say(Message(Speaker.CALLER, "More", 2))
        assert await line.listen() == Heard((says("One", 250), says("Two")), rests=True)
        server.reply = always({"message": "Bye", "end": True})
        await line.say(Message(Speaker.CALLER, "Bye", 3))
        left = Left(Ending.HANGUP, AT, Speaker.ASSISTANT, "the assistant ended the conversation")
        assert await line.listen() == Heard((says("Bye", 250), left), rests=True)
        assert await line.listen() == Heard((), rests=True)
    assert [seen.json for seen in server.seen] == [
        {
            "conversation_id": "conversation-1",
            "turn": 1,
            "message": "Hello",
            "history": [],
            "variables": {"plan": "gold"},
        },
        {
            "conversation_id": "conversation-1",
            "turn": 2,
            "message": "More",
            "history": [{"role": "user", "text": "Hello"}, {"role": "assistant", "text": "Hi"}],
            "variables": {"plan": "gold"},
        },
        {
            "conversation_id": "conversation-1",
            "turn": 3,
            "message": "Bye",
            "history": [
                {"role": "user", "text": "Hello"},
                {"role": "assistant", "text": "Hi"},
                {"role": "user", "text": "More"},
                {"role": "assistant", "text": "One"},
                {"role": "assistant", "text": "Two"},
            ],
            "variables": {"plan": "gold"},
        },
    ]
    assert [seen.headers["Idempotency-Key"] for seen in server.seen] == ["run-1:1:0", "run-1:1:2", "run-1:1:5"]
    assert {(seen.method, seen.headers["X-Key"]) for seen in server.seen} == {("POST", "k")}


async def test_tool_calls_are_part_of_what_happened(session: Session) -> None:
    calls = [{"name": "find", "arguments": {"id": 7}, "result": {"ok": True}}, {"name": "note", "result": "kept"}]
    async with serving(always({"message": "Found.", "tool_calls": [*calls, {"name": "quiet"}]})) as server:
        heard = await answer_to(session, server.url)
    assert heard == Heard(
        (
            ToolCalled(ToolCall("call_0_0", "find", {"id": 7}), AT, 250),
            ToolReturned("call_0_0", "find", '{"ok": true}', ok=True, at=AT),
            ToolCalled(ToolCall("call_0_1", "note", {}), AT),
            ToolReturned("call_0_1", "note", "kept", ok=True, at=AT),
            ToolCalled(ToolCall("call_0_2", "quiet", {}), AT),
            ToolReturned("call_0_2", "quiet", "", ok=True, at=AT),
            says("Found."),
        ),
        rests=True,
    )


@pytest.mark.parametrize("answer", [{"message": ""}, {"message": None}, {"messages": []}, {"messages": [""]}])
async def test_silence_is_the_empty_string(session: Session, answer: dict[str, Any]) -> None:
    async with serving(always(answer)) as server:
        assert await answer_to(session, server.url) == Heard((says("", 250),), rests=True)


async def test_tool_calls_without_words_are_followed_by_silence(session: Session) -> None:
    async with serving(always({"tool_calls": [{"name": "find"}]})) as server:
        heard = await answer_to(session, server.url)
    assert heard.events[-1] == says("")


async def test_leaving_needs_no_words(session: Session) -> None:
    async with serving(always({"end": True})) as server:
        heard = await answer_to(session, server.url)
    left = Left(Ending.HANGUP, AT, Speaker.ASSISTANT, "the assistant ended the conversation", took_ms=250)
    assert heard == Heard((left,), rests=True)


async def test_a_recorded_conversation_goes_on_where_it_stopped(session: Session) -> None:
    recorded = Transcript((HELLO, says("Hi"), Message(Speaker.CALLER, "More", 2)))
    async with serving(always({"message": "Yes?"})) as server, channel(session, server.url).open(recorded) as line:
        assert await line.listen() == Heard((says("Yes?", 250),), rests=True)
    (seen,) = server.seen
    assert (seen.json["turn"], seen.json["message"], len(seen.json["history"])) == (2, "More", 2)
    assert seen.headers["Idempotency-Key"] == "run-1:1:2"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), None),
        ((HELLO,), 0),
        ((HELLO, says("")), None),
        ((HELLO, says("Hi"), HELLO), 2),
        ((HELLO, Left(Ending.HANGUP, AT)), None),
        ((HELLO, ToolReturned("c", "f", "", ok=True, at=AT)), 0),
        ((ToolReturned("c", "f", "", ok=True, at=AT),), None),
    ],
)
def test_what_is_still_unanswered(events: tuple[Event, ...], expected: int | None) -> None:
    assert unanswered(Transcript(events)) == expected


async def test_a_failure_that_passes_is_asked_again_with_the_same_key(session: Session) -> None:
    waits = Waits()
    async with serving(statuses(503, 502, 200)) as server:
        heard = await answer_to(session, server.url, sleep=waits)
    assert heard.events == (says("Hi", 250),)
    assert waits.seconds == [0.5, 1.0]
    assert {seen.headers["Idempotency-Key"] for seen in server.seen} == {"run-1:1:0"}
    assert len({seen.body for seen in server.seen}) == 1


@pytest.mark.parametrize(
    ("codes", "asked"), [((504, 504, 504), 3), ((500,), 1), ((404,), 1), ((302,), 1), ((503, 400), 2)]
)
async def test_a_failure_that_stays_is_the_assistants(session: Session, codes: tuple[int, ...], asked: int) -> None:
    async with serving(statuses(*codes)) as server:
        with pytest.raises(LineBroken, match=f"status {codes[-1]}") as broken:
            await answer_to(session, server.url + "/hook?token=secret")
    assert broken.value.fault is Fault.ASSISTANT
    assert "secret" not in str(broken.value)
    assert len(server.seen) == asked


async def test_an_assistant_that_is_not_there_is_tried_three_times(session: Session) -> None:
    waits = Waits()
    asked = 0

    async def hang_up(_: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1

    async with raw_serving(hang_up) as url:
        with pytest.raises(LineBroken) as broken:
            await answer_to(session, url, sleep=waits)
    assert (broken.value.fault, broken.value.passing) == (Fault.ASSISTANT, True)
    assert (asked, waits.seconds) == (3, [0.5, 1.0])


async def silence(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def half_a_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"message": ')
    await asyncio.Event().wait()


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Every byte comes well within the timeout; the whole never would."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("path", ["", "/v1/chat/completions"])
@pytest.mark.parametrize("talk", [silence, half_a_body, trickle])
async def test_an_assistant_that_takes_too_long_is_not_asked_again(
    session: Session, talk: Callable[[asyncio.StreamWriter], Awaitable[None]], path: str
) -> None:
    waits = Waits()
    async with raw_serving(talk) as url:
        reached: Channel = channel(session, url, timeout_s=0.05, sleep=waits)
        if path:
            tools = TableTools()
            reached = CompletionsChannel(
                session, StepClock(), tools, url + path, "run-1:1", timeout_s=0.05, sleep=waits
            )
        async with reached.open(Transcript()) as line:
            await line.say(HELLO)
            with pytest.raises(LineBroken, match=r"0\.05 seconds") as broken:
                await line.listen()
    assert (broken.value.fault, broken.value.passing) == (Fault.ASSISTANT, False)
    assert waits.seconds == []


ODD: list[Any] = [
    "text",
    [],
    {},
    {"text": "Hi"},
    {"message": 5},
    {"messages": "Hi"},
    {"messages": ["Hi", 5]},
    {"message": "Hi", "messages": ["Hi"]},
    {"message": "Hi", "end": "yes"},
    {"message": "Hi", "tool_calls": {}},
    {"message": "Hi", "tool_calls": ["find"]},
    {"message": "Hi", "tool_calls": [{"arguments": {}}]},
    {"message": "Hi", "tool_calls": [{"name": ""}]},
    {"message": "Hi", "tool_calls": [{"name": "find", "arguments": "{}"}]},
]


@pytest.mark.parametrize("answer", ODD)
async def test_an_answer_in_another_shape_is_the_assistants_fault(session: Session, answer: Any) -> None:
    async with serving(always(answer)) as server:
        with pytest.raises(LineBroken, match="as they are documented") as broken:
            await answer_to(session, server.url)
    assert broken.value.fault is Fault.ASSISTANT


async def test_an_answer_that_is_not_json_is_the_assistants_fault(session: Session) -> None:
    async with serving(lambda _: web.Response(text="<html>")) as server:
        with pytest.raises(LineBroken, match="did not answer with JSON") as broken:
            await answer_to(session, server.url)
    assert broken.value.fault is Fault.ASSISTANT


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://[::1]/"])
async def test_an_address_that_may_not_be_called_is_a_matter_of_settings(session: Session, url: str) -> None:
    with pytest.raises(LineBroken, match="VIVA_ALLOW_NETWORKS") as broken:
        await answer_to(session, url)
    assert broken.value.fault is Fault.INFRASTRUCTURE


def _documented(server: Server) -> set[str]:
    return set(server.seen[0].json)


async def test_the_documentation_names_every_field(session: Session, pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs/reference/http-destination.md").read_text(encoding="utf-8")
    async with serving(always({"message": "Hi"})) as server:
        await answer_to(session, server.url)
    for name in _documented(server) | {"message", "messages", "tool_calls", "end", "Idempotency-Key"}:
        assert f"`{name}`" in page
