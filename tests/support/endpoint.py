"""A real HTTP server that speaks OpenAI chat completions and plays the tester, the assistant and the judge.

Everything it says follows from the request alone, so a conversation that goes on after a crash goes on as it would
have. It tells the roles apart by the shape that is asked for: ``TesterMove``, ``Sheet``, or none.

    python tests/support/endpoint.py --port 0 --latency 0.1      prints ``listening on PORT``
    async with serve(latency=0) as endpoint: ...                 in the same process

``POST /_control`` takes a JSON object with any of: ``latency`` (seconds); ``recording`` (bool); ``behaviours``;
``faults``; ``reset`` (true forgets requests, faults and behaviours). ``GET /_control`` gives ``{count, roles, most,
requests}``: every request with number, time, role and body, and the most that were under way at once.

A behaviour: ``{"when": substring of the messages, "role": …, "say": [one per turn], "call": {"name", "arguments"},
"hang_up_after": N, "verdicts": {criterion: {decision, reason, quote, turn}}}``; any key may be left out, and the first
that fits is taken.

A fault: ``{"kind": …, "times": 1, "role": …, "when": …}`` with a kind of ``status`` (``status``, ``headers``,
``body``), ``hang``, ``garbage`` (``body``, ``content_type``, ``headers``), ``half`` (breaks off half way), ``reset``
(of the connection), ``trickle`` (one byte at a time), ``linger`` (says all, and ends a little later),
``no_json_schema`` and ``no_json_object`` (400 to requests that ask for it; ``status`` changes that). The first that
fits is played and used up; ``times`` below zero never is.
"""

import argparse
import asyncio
import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pydantic_core
from aiohttp import web

Json = dict[str, Any]

_CALLER_LINE = re.compile(r"^\[\d+\] caller: ", re.MULTILINE)
_ASSISTANT_LINE = re.compile(r"^\[(\d+)\] assistant: (.*?)(?: \(\d+\.\d+ s\))?$", re.MULTILINE)
_CRITERION = re.compile(r"^(\d+)\. (.+?): ", re.MULTILINE)
_HANG_UP_AFTER = 10
_FOREVER_S = 3600.0


@dataclass(slots=True)
class Endpoint:
    """The state of one server. Tests in the same process may set it directly; ``gate`` (role, body) is awaited before
    each answer, so that a request can be held at an exact place; ``chosen`` (role, body) sees each request when it
    arrives and may choose the fault that is played; ``behaves`` (role, body) is asked before the behaviours are."""

    latency: float = 0.0
    recording: bool = True
    total: int = 0
    behaviours: list[Json] = field(default_factory=list[Json])
    faults: list[Json] = field(default_factory=list[Json])
    records: list[tuple[float, str, bytes, str]] = field(default_factory=list[tuple[float, str, bytes, str]])
    under_way: int = 0
    most: int = 0
    port: int = 0
    gate: Callable[[str, Json], Awaitable[None]] | None = None
    chosen: Callable[[str, Json], Json | None] | None = None
    behaves: Callable[[str, Json], Json] | None = None

    @property
    def base_url(self) -> str:
        """What a provider's ``base_url`` should be."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[Json]:
        """Every recorded request: number, time in seconds since the epoch, role, body and Authorization header."""
        return [
            {"number": number, "at": at, "role": role, "body": json.loads(raw), "authorization": authorization}
            for number, (at, role, raw, authorization) in enumerate(self.records, start=1)
        ]

    def bodies(self, role: str | None = None) -> list[Json]:
        """The bodies of the recorded requests, of one role if given."""
        return [record["body"] for record in self.requests if role in (None, record["role"])]

    def control(self, wishes: Json) -> None:
        """Do what a ``POST /_control`` asks for."""
        if wishes.get("reset"):
            self.records, self.faults, self.behaviours, self.most = [], [], [], 0
            self.total = 0
        self.latency = float(wishes.get("latency", self.latency))
        self.recording = bool(wishes.get("recording", self.recording))
        self.behaviours = list(wishes.get("behaviours", self.behaviours))
        self.faults = [dict(fault) for fault in wishes.get("faults", self.faults)]

    def report(self) -> Json:
        """What ``GET /_control`` gives."""
        roles: dict[str, int] = {}
        for _, role, _, _ in self.records:
            roles[role] = roles.get(role, 0) + 1
        return {"count": self.total, "roles": roles, "most": self.most, "requests": self.requests}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.path == "/_control":
            if request.method == "POST":
                self.control(await request.json())
            return web.json_response(self.report() if request.method == "GET" else {"ok": True})
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            return web.json_response({"error": {"message": f"nothing at {request.path}"}}, status=404)
        raw = await request.content.read()  # request.read() takes no more than a megabyte
        body: Json = pydantic_core.from_json(raw)
        role = role_of(body)
        self.total += 1
        if self.recording:
            self.records.append((time.time(), role, raw, request.headers.get("Authorization", "")))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            fault = self.chosen(role, body) if self.chosen is not None else None
            if self.gate is not None:
                await self.gate(role, body)
            if self.latency:
                await asyncio.sleep(self.latency)
            if fault is None and self.faults:
                fault = self._fault_for(body, role)
            if fault is not None:
                return await self._play(fault, request, body, role)
            message = self.answer(body, role)
            return await _stream(request, body, message) if body.get("stream") else _whole(body, message)
        finally:
            self.under_way -= 1

    def answer(self, body: Json, role: str) -> Json:
        """The message that this role says next."""
        nothing: Json = {}
        if self.behaves is not None:
            behaviour = self.behaves(role, body)
        else:
            behaviour = next((each for each in self.behaviours if _fits(each, body, role)), nothing)
        if role == "tester":
            return {"role": "assistant", "content": json.dumps(tester_move(body, behaviour))}
        if role == "judge":
            return {"role": "assistant", "content": json.dumps({"answers": sheet(body, behaviour)})}
        return assistant_turn(body, behaviour)

    def _fault_for(self, body: Json, role: str) -> Json | None:
        wanted = _object(body, "response_format").get("type")
        for fault in self.faults:
            kind = fault["kind"]
            if kind.startswith("no_json") and wanted != kind.removeprefix("no_"):
                continue
            if not _fits(fault, body, role):
                continue
            left = fault.get("times", 1)
            if left == 1:
                self.faults.remove(fault)
            else:
                fault["times"] = left - 1
            return fault
        return None

    async def _play(self, fault: Json, request: web.BaseRequest, body: Json, role: str) -> web.StreamResponse:
        kind = fault["kind"]
        headers: dict[str, str] = fault.get("headers", {})
        if kind == "hang":
            await asyncio.sleep(_FOREVER_S)
        if kind == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if kind == "garbage":
            kept = {"Content-Type": fault.get("content_type", "text/html"), **headers}
            return web.Response(body=fault.get("body", "<html>no</html>").encode(), headers=kept)
        if kind in ("half", "trickle", "linger"):
            return await _in_parts(kind, request, body, self.answer(body, role))
        refusal = {"error": {"message": f"playing {kind}", "type": kind}}
        answer = fault.get("body", refusal)
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        status = fault.get("status", 400)
        return web.Response(status=status, body=data, headers={"Content-Type": "application/json", **headers})


def role_of(body: Json) -> str:
    """Who is asked: by the schema's name, or by its mention in the first message where a server refused schemas."""
    asked = _object(body, "response_format")
    if asked.get("type") == "json_schema":
        name: str = asked["json_schema"]["name"]
    else:
        messages = cast("list[Json]", body["messages"])
        first = messages[0]["content"] if messages and messages[0]["role"] == "system" else ""
        name = next((each for each in ("TesterMove", "Sheet") if f"JSON object, a {each}," in (first or "")), "")
    return {"TesterMove": "tester", "Sheet": "judge"}.get(name, "assistant")


def tester_move(body: Json, behaviour: Json) -> Json:
    """``line K``, or the behaviour's words; hangs up after so many messages of its own."""
    messages = cast("list[Json]", body["messages"])
    spoken = sum(message["role"] == "assistant" for message in messages) + len(_CALLER_LINE.findall(_words(messages)))
    say = behaviour.get("say")
    if spoken >= behaviour.get("hang_up_after", len(say) if say else _HANG_UP_AFTER):
        return {"action": "hang_up", "message": "", "reason": "done"}
    text = say[min(spoken, len(say) - 1)] if say else f"line {spoken + 1}"
    return {"action": "say", "message": text, "reason": ""}


def assistant_turn(body: Json, behaviour: Json) -> Json:
    """``answer K to: <last words>``, or the behaviour's words, after the behaviour's one tool call."""
    messages = cast("list[Json]", body["messages"])
    call = behaviour.get("call")
    if call and not any(message["role"] == "tool" for message in messages):
        function = {"name": call["name"], "arguments": json.dumps(call.get("arguments", {}))}
        calls = [{"id": f"call_{call['name']}", "type": "function", "function": function}]
        return {"role": "assistant", "content": None, "tool_calls": calls}
    turn = sum(message["role"] == "assistant" and bool(message.get("content")) for message in messages)
    if say := behaviour.get("say"):
        return {"role": "assistant", "content": say[min(turn, len(say) - 1)]}
    heard = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
    return {"role": "assistant", "content": f"answer {turn + 1} to: {heard}"}


def sheet(body: Json, behaviour: Json) -> list[Json]:
    """Met for every criterion, quoting the assistant's last words; the behaviour's verdicts win."""
    text = _words(cast("list[Json]", body["messages"]))
    said = [(int(turn), words) for turn, words in _ASSISTANT_LINE.findall(text) if words not in ("", "(silence)")]
    turn, quote = said[-1] if said else (None, None)
    names: dict[int, str] = {}
    for number, name in _CRITERION.findall(text):
        names.setdefault(int(number), name)
    default = {"decision": "met", "reason": "it is there", "quote": quote, "turn": turn}
    given: Json = behaviour.get("verdicts", {})
    return [{"criterion": number, **default, **given.get(name, {})} for number, name in sorted(names.items())]


def _fits(rule: Json, body: Json, role: str) -> bool:
    if rule.get("role") not in (None, role):
        return False
    when = rule.get("when")
    return not when or when in _words(cast("list[Json]", body["messages"]))


def _object(body: Json, name: str) -> Json:
    return cast("Json", body.get(name) or {})


def _words(messages: list[Json]) -> str:
    return "\n".join(message["content"] for message in messages if isinstance(message.get("content"), str))


def _usage(body: Json) -> Json:
    given = sum(len(message.get("content") or "") for message in body["messages"]) // 4 + 1
    return {"prompt_tokens": given, "completion_tokens": 5, "total_tokens": given + 5}


def _completion(body: Json, message: Json) -> bytes:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body.get("model")}
    return pydantic_core.to_json({**answer, "choices": [choice], "usage": _usage(body)})


def _whole(body: Json, message: Json) -> web.Response:
    return web.Response(body=_completion(body, message), headers={"Content-Type": "application/json"})


def _pieces(body: Json, message: Json) -> list[bytes]:
    """The answer as server-sent events: words one by one, calls with their arguments cut in two."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in re.findall(r"\S+\s*|\s+", message["content"] or "")]
    for index, call in enumerate(cast("list[Json]", message.get("tool_calls", []))):
        arguments = call["function"]["arguments"]
        head = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        cut = len(arguments) // 2
        rest = [{"index": index, "function": {"arguments": part}} for part in (arguments[:cut], arguments[cut:])]
        deltas += [{"tool_calls": [each]} for each in (head, *rest)]
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    sent: list[Json] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    sent.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if _object(body, "stream_options").get("include_usage"):
        sent.append({"choices": [], "usage": _usage(body)})
    return [b"data: " + pydantic_core.to_json(each) + b"\n\n" for each in sent] + [b"data: [DONE]\n\n"]


async def _open(request: web.BaseRequest, content_type: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    return response


async def _stream(request: web.BaseRequest, body: Json, message: Json) -> web.StreamResponse:
    response = await _open(request, "text/event-stream")
    for piece in _pieces(body, message):
        await response.write(piece)
    return response


async def _in_parts(kind: str, request: web.BaseRequest, body: Json, message: Json) -> web.StreamResponse:
    """Half of the answer and then the end of the connection, or all of it in a slow way."""
    if body.get("stream"):
        response = await _open(request, "text/event-stream")
        pieces = _pieces(body, message)
    else:
        response = await _open(request, "application/json")
        pieces = [_completion(body, message)]
    data = b"".join(pieces)
    if kind == "half":
        await response.write(data[: len(data) // 2])
        await asyncio.sleep(0)
        if request.transport is not None:
            request.transport.close()
        return response
    if kind == "linger":
        await response.write(data)
        await asyncio.sleep(0.02)
        return response
    for place in range(len(data)):
        await response.write(data[place : place + 1])
        await asyncio.sleep(0.02)
    return response


@asynccontextmanager
async def serve(port: int = 0, latency: float = 0.0) -> AsyncGenerator[Endpoint]:
    """A server on 127.0.0.1 while the block lasts; port 0 takes a free one."""
    endpoint = Endpoint(latency=latency)
    server = web.Server(endpoint.handle, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=4096)
        await site.start()
        endpoint.port = runner.addresses[0][1]
        yield endpoint
    finally:
        await runner.cleanup()


async def _main(port: int, latency: float) -> None:
    stopped = asyncio.Event()
    for sent in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(sent, stopped.set)
    async with serve(port, latency) as endpoint:
        print(f"listening on {endpoint.port}", flush=True)
        await stopped.wait()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner_:
        runner_.run(_main(arguments.port, arguments.latency))
    sys.exit(0)
