from typing import Any

import pytest
from tests.outbound.local_server import StepClock, always, serving

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.step import MAX_ROUNDS
from vivavoce.channels.completions import CompletionsChannel, CompletionsLine, names_completions
from vivavoce.core.event import Ending, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage
from vivavoce.core.tool import ToolMock
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault
from vivavoce.examination.channel import Channel, Heard, LineBroken
from vivavoce.outbound.fetch import Session
from vivavoce.tools.toolbox import Toolbox

AT = StepClock().at
PATH = "/v1/chat/completions"
HELLO = Message(Speaker.CALLER, "Hello", 1)
SPENT = Usage("m-2", 12, 3)


def completion(content: Any, *functions: tuple[str, Any], **more: Any) -> dict[str, Any]:
    calls = [{"id": "same", "type": "function", "function": {"name": n, "arguments": a}} for n, a in functions]
    message = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {}), **more}
    usage = {"prompt_tokens": 12, "completion_tokens": 3}
    return {"object": "chat.completion", "model": "m-2", "choices": [{"index": 0, "message": message}], "usage": usage}


def channel(session: Session, url: str, mocks: tuple[ToolMock, ...] = (), **fields: Any) -> CompletionsChannel:
    async def sleep(_: float) -> None:
        return

    return CompletionsChannel(session, StepClock(), Toolbox(session, mocks), url, "run-1:1", sleep=sleep, **fields)


async def rest_of(line: CompletionsLine) -> list[Heard]:
    heard = [await line.listen()]
    while not heard[-1].rests:
        heard.append(await line.listen())
    return heard


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("https://example.com/v1/chat/completions", True),
        ("http://example.com/chat/completions?x=1#gpt", True),
        ("https://example.com/hook", False),
        ("https://example.com/#/chat/completions", False),
        ("ftp://example.com/chat/completions", False),
        ("assistant-1", False),
        ("http://[::1/chat/completions", False),
    ],
)
def test_which_targets_are_chat_endpoints(target: str, *, expected: bool) -> None:
    assert names_completions(target) is expected


async def test_the_caller_speaks_first(session: Session) -> None:
    async with serving(always(completion("Hi"))) as server:
        reached: Channel = channel(session, server.url + PATH + "#model")
        async with reached.open(Transcript()) as line:
            assert await line.listen() == Heard((), rests=True)
    assert server.seen == []
    assert reached.resumable
    assert reached.notes == (f"messages were carried to the chat endpoint {server.url}{PATH}",)


async def test_a_conversation(session: Session) -> None:
    async with serving(always(completion("Hi"))) as server:
        reached = channel(session, server.url + PATH + "#maker%2Fm", headers={"Authorization": "Bearer k"})
        async with reached.open(Transcript()) as line:
            await line.say(HELLO)
            assert await line.listen() == Heard((Message(Speaker.ASSISTANT, "Hi", AT, 250, SPENT),), rests=True)
            assert await line.listen() == Heard((), rests=True)
            await line.say(Message(Speaker.CALLER, "More", 2))
            await line.listen()
    first, second = server.seen
    assert first.target == PATH
    assert first.json == {"messages": [{"role": "user", "content": "Hello"}], "model": "maker/m", "stream": False}
    assert second.json["messages"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "More"},
    ]
    assert [seen.headers["Idempotency-Key"] for seen in server.seen] == ["run-1:1:1", "run-1:1:3"]
    assert first.headers["Authorization"] == "Bearer k"


async def test_without_a_fragment_no_model_is_named(session: Session) -> None:
    async with (
        serving(always(completion("Hi"))) as server,
        channel(session, server.url + PATH).open(Transcript()) as line,
    ):
        await line.say(HELLO)
        await line.listen()
    assert "model" not in server.seen[0].json


async def test_a_function_is_answered_by_a_mock_or_by_nobody_and_it_is_asked_again(session: Session) -> None:
    asks = completion("One moment.", ("find", '{"id": 7}'), ("pay", "{"))
    async with serving(always(asks)) as server:
        mocks = (ToolMock("find", "found"),)
        async with channel(session, server.url + PATH, mocks).open(Transcript()) as line:
            await line.say(HELLO)
            first, second = await line.listen(), await line.listen()
            server.reply = always(completion("Done."))
            third = await line.listen()
    assert first == Heard(
        (
            Message(Speaker.ASSISTANT, "One moment.", AT, 250, SPENT),
            ToolCalled(ToolCall("call_2", "find", {"id": 7}), AT),
            ToolCalled(ToolCall("call_3", "pay", {"unreadable": "{"}), AT),
        ),
        rests=False,
    )
    assert second == Heard(
        (
            ToolReturned("call_2", "find", "found", True, AT, 250, mocked=True),
            ToolReturned("call_3", "pay", "Nobody runs 'pay' here.", False, AT, 250),
        ),
        rests=False,
    )
    assert third == Heard((Message(Speaker.ASSISTANT, "Done.", AT, 250, SPENT),), rests=True)
    assert server.seen[1].json["messages"] == [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": "One moment.",
            "tool_calls": [
                {"id": "call_2", "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}},
                {"id": "call_3", "type": "function", "function": {"name": "pay", "arguments": '{"unreadable": "{"}'}},
            ],
        },
        {"role": "tool", "content": "found", "tool_call_id": "call_2"},
        {"role": "tool", "content": "Nobody runs 'pay' here.", "tool_call_id": "call_3"},
    ]


async def test_an_assistant_that_only_asks_for_functions_is_silent_in_the_end(session: Session) -> None:
    async with (
        serving(always(completion(None, ("find", None)))) as server,
        channel(session, server.url + PATH).open(Transcript()) as line,
    ):
        await line.say(HELLO)
        heard = await rest_of(line)
    assert heard[-1] == Heard((Message(Speaker.ASSISTANT, "", AT),), rests=True)
    assert heard[0].events == (ToolCalled(ToolCall("call_1", "find", {}), AT, 250, SPENT),)
    assert len(server.seen) == MAX_ROUNDS
    assert server.seen[1].json["messages"][1]["content"] is None


async def test_a_recorded_conversation_goes_on_where_it_stopped(session: Session) -> None:
    asked = ToolCalled(ToolCall("call_1", "find", {}), AT)
    returned = ToolReturned("call_1", "find", "found", ok=True, at=AT)
    said = Message(Speaker.ASSISTANT, "Hi", AT)
    async with serving(always(completion("Done."))) as server:
        reached = channel(session, server.url + PATH, (ToolMock("find", "found"),))
        for recorded, pieces in [
            ((HELLO,), 1),
            ((HELLO, asked), 2),
            ((HELLO, asked, returned), 1),
            ((HELLO, asked, returned, said), 1),
            ((HELLO, said), 1),
            ((HELLO, Left(Ending.HANGUP, AT)), 1),
        ]:
            async with reached.open(Transcript(recorded)) as line:
                assert len(await rest_of(line)) == pieces
    assert [len(seen.json["messages"]) for seen in server.seen] == [1, 3, 3]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (completion(None), ""),
        (completion([{"type": "text", "text": "Hi "}, {"type": "image"}, {"type": "text", "text": "you"}]), "Hi you"),
        (completion(None, refusal="I will not."), "I will not."),
        (completion("Hi", refusal=None, tool_calls=None), "Hi"),
    ],
)
async def test_words_in_all_their_shapes(session: Session, answer: dict[str, Any], text: str) -> None:
    async with serving(always(answer)) as server, channel(session, server.url + PATH).open(Transcript()) as line:
        await line.say(HELLO)
        assert await line.listen() == Heard((Message(Speaker.ASSISTANT, text, AT, 250, SPENT),), rests=True)


async def test_usage_is_what_the_endpoint_says_if_it_says_so(session: Session) -> None:
    answer = {"choices": [{"message": {"content": "Hi"}}], "usage": {"prompt_tokens": "many"}, "model": 5}
    async with serving(always(answer)) as server, channel(session, server.url + PATH).open(Transcript()) as line:
        await line.say(HELLO)
        (event,) = (await line.listen()).events
    assert isinstance(event, Message)
    assert event.usage == Usage()


@pytest.mark.parametrize(
    ("written", "arguments"),
    [("", {}), (None, {}), ({"a": 1}, {"a": 1}), ("[1]", {"unreadable": "[1]"}), (r'{"a": "\u0000"}', {"a": "\ufffd"})],
)
async def test_arguments_in_all_their_shapes(session: Session, written: Any, arguments: dict[str, Any]) -> None:
    answer = completion(None, ("find", written))
    async with serving(always(answer)) as server, channel(session, server.url + PATH).open(Transcript()) as line:
        await line.say(HELLO)
        (event,) = (await line.listen()).events
    assert isinstance(event, ToolCalled)
    assert event.call.arguments == arguments


ODD: list[Any] = [
    [],
    {},
    {"choices": []},
    {"choices": {}},
    {"choices": [{}]},
    {"choices": [{"message": "Hi"}]},
    {"choices": [{"message": {"content": 5}}]},
    {"choices": [{"message": {"content": "Hi", "tool_calls": {}}}]},
    {"choices": [{"message": {"tool_calls": [{"function": {}}]}}]},
    {"choices": [{"message": {"tool_calls": ["find"]}}]},
]


@pytest.mark.parametrize("answer", ODD)
async def test_an_answer_in_another_shape_is_the_assistants_fault(session: Session, answer: Any) -> None:
    async with serving(always(answer)) as server, channel(session, server.url + PATH).open(Transcript()) as line:
        await line.say(HELLO)
        with pytest.raises(LineBroken, match="did not answer with a chat completion") as broken:
            await line.listen()
    assert broken.value.fault is Fault.ASSISTANT


async def test_variables_reach_the_tools_as_text(session: Session) -> None:
    seen: list[dict[str, str]] = []

    class Spy:
        async def call(self, tool: Any, arguments: Any, *, key: str, filling: Any) -> ToolOutput:
            seen.append({"key": key, **filling.variables})
            return ToolOutput("ok", ok=True)

        async def recalled(self, recall: Any, about: str) -> tuple[str, ...]:
            return ()

    async with serving(always(completion(None, ("find", "{}")))) as server:
        url = server.url + PATH
        reached = CompletionsChannel(session, StepClock(), Spy(), url, "run-1:1", {"yes": True, "none": None})
        async with reached.open(Transcript()) as line:
            await line.say(HELLO)
            await line.listen()
            await line.listen()
    assert seen == [{"key": "run-1:1:call_1", "yes": "true", "none": ""}]
