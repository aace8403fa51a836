"""The scripted model's answer to a request for chat completions, in the shape that a provider would give it."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vivavoce.core.model import Prompt, PromptLine, Reply, ToolSpec
from vivavoce.models.messages import encode, read_completion, to_wire
from vivavoce.models.scripted.model import NAME, pieces_of

OTHER_WORDINGS: Mapping[str, Any] = MappingProxyType(
    {
        "n": 1,
        "response_format": {"type": "text"},
        "logprobs": False,
        "guided_json": None,
        "guided_choice": None,
        "guided_regex": None,
    }
)
"""What cannot be asked of a script, since it has only its own words; with the value that asks for nothing."""


def read_request(body: Mapping[str, Any]) -> Prompt:
    """The messages and functions of a request. Raises ``messages.Garbage`` where a tool call in them makes no sense."""
    lines: list[PromptLine] = []
    calls = 0
    for message in body["messages"]:
        # A message of the assistant is what an answer would hold, and other roles have less.
        read = read_completion({"choices": [{"message": message}]}, calls)
        calls += len(read.calls)
        called = message.get("tool_call_id")
        lines.append(PromptLine(message["role"], read.text, read.calls, called if isinstance(called, str) else ""))
    functions = [tool["function"] for tool in body.get("tools", ())] if body.get("tool_choice") != "none" else []
    tools = tuple(ToolSpec(one["name"], one.get("description", ""), one.get("parameters", {})) for one in functions)
    return Prompt(tuple(lines), tools)


def whole(reply: Reply, id_: str, created_s: int) -> bytes:
    """The answer in one piece."""
    [message] = to_wire(Prompt((PromptLine("assistant", reply.text, reply.calls),)))["messages"]
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply), "logprobs": None}
    head = _head("chat.completion", id_, created_s)
    return encode({**head, "choices": [choice], "usage": _usage(reply)})


def streamed(reply: Reply, id_: str, created_s: int, *, with_usage: bool) -> Iterator[bytes]:
    """The answer as server-sent events."""
    [message] = to_wire(Prompt((PromptLine("assistant", reply.text, reply.calls),)))["messages"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in pieces_of(reply.text)]
    calls = message.get("tool_calls", ())
    deltas += [{"tool_calls": [{"index": place, **call}]} for place, call in enumerate(calls)]
    choices: list[Sequence[dict[str, Any]]] = [
        [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
        for delta, finish in [*((delta, None) for delta in deltas), ({}, _finish(reply))]
    ]
    head = _head("chat.completion.chunk", id_, created_s)
    chunks: list[dict[str, Any]] = [{**head, "choices": each} for each in choices]
    if with_usage:
        chunks.append({**head, "choices": [], "usage": _usage(reply)})
    yield from (b"data: " + encode(chunk) + b"\n\n" for chunk in chunks)
    yield b"data: [DONE]\n\n"


def _head(kind: str, id_: str, created_s: int) -> dict[str, Any]:
    return {"id": f"chatcmpl-{id_}", "object": kind, "created": created_s, "model": NAME}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _usage(reply: Reply) -> dict[str, int]:
    given, taken = reply.usage.input_tokens, reply.usage.output_tokens
    return {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}
