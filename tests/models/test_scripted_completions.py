"""The scripted model in the shape of chat completions, read back by the same reader that reads providers."""

import json
import time
from typing import Any

import pytest

from vivavoce.core.event import ToolCall
from vivavoce.core.model import Reply
from vivavoce.models.messages import Garbage, Pieces, decode, read_completion
from vivavoce.models.scripted import Rewriting, Scripted
from vivavoce.models.scripted.completions import read_request, streamed, whole
from vivavoce.models.scripted.model import NO_SCRIPT, REWRITES_NOTHING

SCRIPT = 'on hear "order": say "One moment."; call find {"number": "A-1"}\non result find: say "It is ${status}."'
FIND = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": {"type": "object"}}}
REPLY = Reply("One moment.", (ToolCall("c1", "find", {"a": 1}), ToolCall("c2", "find", {})))


def asked(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": SCRIPT}, *messages], **more}


async def test_a_conversation_with_a_tool() -> None:
    first = {"role": "user", "content": [{"type": "text", "text": "My order"}, {"type": "image_url", "image_url": "x"}]}
    reply = await Scripted().reply(read_request(asked(first, tools=[FIND])))
    assert (reply.text, [(call.name, call.arguments) for call in reply.calls]) == (
        "One moment.",
        [("find", {"number": "A-1"})],
    )
    message = decode(whole(reply, "1", 2))["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": '{"status": "shipped"}'}
    prompt = read_request(asked(first, message, result, tools=[FIND]))
    assert [(tool.name, tool.description, tool.parameters) for tool in prompt.tools] == [
        ("find", "Finds.", {"type": "object"})
    ]
    assert (await Scripted().reply(prompt)).text == "It is shipped."


@pytest.mark.parametrize(("choice", "offered"), [("none", 0), ("auto", 1), ("required", 1)])
def test_tools_may_be_offered_and_forbidden(choice: str, offered: int) -> None:
    assert len(read_request(asked(tools=[FIND], tool_choice=choice)).tools) == offered


def test_a_long_conversation_is_read_in_one_go() -> None:
    called = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    began = time.monotonic()
    prompt = read_request({"messages": [called, {"role": "user", "content": "hi"}] * 10_000})
    assert time.monotonic() - began < 10
    assert len({call.id for line in prompt.lines for call in line.calls}) == 10_000


def test_calls_that_make_no_sense_are_told() -> None:
    odd = {"role": "assistant", "tool_calls": [{"function": {"name": "find", "arguments": "[]"}}]}
    with pytest.raises(Garbage, match="not a JSON object"):
        read_request(asked(odd))


def test_a_whole_answer_reads_back() -> None:
    body = decode(whole(REPLY, "7", 1_700_000_000))
    assert (body["id"], body["object"], body["created"], body["model"]) == (
        "chatcmpl-7",
        "chat.completion",
        1_700_000_000,
        "scripted",
    )
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    read = read_completion(body, 0)
    assert (read.text, read.calls) == (REPLY.text, REPLY.calls)


@pytest.mark.parametrize("with_usage", [False, True])
def test_a_streamed_answer_reads_back(with_usage: bool) -> None:
    *events, done = streamed(REPLY, "7", 1, with_usage=with_usage)
    assert done == b"data: [DONE]\n\n"
    pieces = Pieces(0)
    usages = 0
    for event in events:
        assert event.startswith(b"data: ")
        assert event.endswith(b"\n\n")
        body = json.loads(event[6:])
        assert (body["id"], body["object"]) == ("chatcmpl-7", "chat.completion.chunk")
        usages += "usage" in body
        pieces.add(body)
    assert pieces.finished
    assert usages == with_usage
    read = pieces.completion()
    assert (read.text, read.calls) == (REPLY.text, REPLY.calls)
    assert len(pieces.texts) > 1


def test_silence_is_an_answer_too() -> None:
    assert decode(whole(Reply(""), "1", 1))["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": ""},
        "finish_reason": "stop",
        "logprobs": None,
    }


async def test_instructions_are_given_back_with_a_word_about_it() -> None:
    prompt = read_request(asked({"role": "user", "content": "x"}))
    rewriting = type(prompt)(prompt.lines, subject=Rewriting("Be kind."))
    assert (await Scripted().reply(rewriting)).text == REWRITES_NOTHING + "Be kind."
    assert (await Scripted().reply(read_request({"messages": []}))).text == NO_SCRIPT
