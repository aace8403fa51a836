"""An assistant behind an OpenAI-compatible chat endpoint: docs/reference/http-destination.md describes the exchange."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from vivavoce.assistant.ports import Tools
from vivavoce.assistant.prompt import history
from vivavoce.assistant.step import MAX_ROUNDS, rounds
from vivavoce.assistant.templating import Filling
from vivavoce.channels.ask import Sleep, ask, garbled
from vivavoce.core.clock import Clock
from vivavoce.core.event import Event, Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage
from vivavoce.core.model import PromptLine
from vivavoce.core.tool import FunctionTool
from vivavoce.core.transcript import Transcript
from vivavoce.examination.channel import Heard
from vivavoce.outbound.answer import parsed
from vivavoce.outbound.fetch import Session, shown


def names_completions(target: str) -> bool:
    """Whether a target is the URL of a chat endpoint: http or https, and a path that ends in /chat/completions."""
    try:
        parsed = urlsplit(target)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and parsed.path.rstrip("/").endswith("/chat/completions")


@dataclass(frozen=True)
class CompletionsChannel:
    """Reaches a chat endpoint. The URL's fragment, if there is one, is the name of the model.

    ``tools`` answers the functions it asks for (mocks, in an examination); ``key`` begins the idempotency
    keys; ``timeout_s`` holds for each attempt.
    """

    session: Session
    clock: Clock
    tools: Tools
    url: str
    key: str
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 60.0
    sleep: Sleep = asyncio.sleep

    @property
    def resumable(self) -> bool:
        """Yes: the whole conversation goes along with every request."""
        return True

    @property
    def shows_tools(self) -> bool:
        """No: what the endpoint calls by itself is not seen."""
        return False

    @property
    def notes(self) -> Sequence[str]:
        """Where the messages went."""
        return (f"messages were carried to the chat endpoint {shown(self.url)}",)

    @asynccontextmanager
    async def open(self, transcript: Transcript) -> AsyncGenerator["CompletionsLine"]:
        """A line that goes on from the transcript; nothing is sent before somebody speaks."""
        yield CompletionsLine(self, transcript)


class CompletionsLine:
    """An open conversation. The caller speaks first."""

    def __init__(self, channel: CompletionsChannel, transcript: Transcript) -> None:
        self._channel = channel
        self._transcript = transcript

    async def say(self, message: Message) -> None:
        """Kept until the answer to it is asked for."""
        self._transcript = self._transcript.plus((message,))

    async def listen(self) -> Heard:
        """The next thing it does: one request, or the answers to the functions that the last one asked for."""
        transcript = self._transcript
        last = transcript.events[-1] if transcript.events else None
        asked = isinstance(last, Message) and last.speaker is Speaker.CALLER
        if transcript.ending is not None or not (asked or isinstance(last, ToolCalled | ToolReturned)):
            return Heard((), rests=True)
        if transcript.pending_calls():
            events = await _run(self._channel, transcript)
        elif rounds(transcript) >= MAX_ROUNDS:
            events = (Message(Speaker.ASSISTANT, "", self._channel.clock.now()),)
        else:
            events = await _request(self._channel, transcript)
        self._transcript = transcript.plus(events)
        return Heard(events, rests=isinstance(events[-1], Message))


async def _request(channel: CompletionsChannel, transcript: Transcript) -> tuple[Event, ...]:
    url, _, fragment = channel.url.partition("#")
    question: dict[str, Any] = {"messages": [_as_message(line) for line in history(transcript)], "stream": False}
    if fragment:
        question["model"] = unquote(fragment)
    clock, turn = channel.clock, len(transcript.events)
    started = clock.ticks()
    answer = await ask(
        channel.session,
        url,
        question,
        key=f"{channel.key}:{turn}",
        headers=channel.headers,
        timeout_s=channel.timeout_s,
        sleep=channel.sleep,
    )
    took_ms = round((clock.ticks() - started) * 1000)
    said = _said(answer)
    if said is None:
        raise garbled(url, "a chat completion")
    text, calls = said
    at, usage = clock.now(), _usage(answer)
    events: list[Event] = []
    if text or not calls:
        events.append(Message(Speaker.ASSISTANT, text, at, took_ms, usage))
    for name, arguments in calls:
        call = ToolCall(f"call_{turn + len(events)}", name, arguments)
        first = not events
        events.append(ToolCalled(call, at, took_ms if first else 0, usage if first else None))
    return tuple(events)


async def _run(channel: CompletionsChannel, transcript: Transcript) -> tuple[Event, ...]:
    events: list[Event] = []
    filling = Filling(channel.variables).as_texts()
    for call in transcript.pending_calls():
        started = channel.clock.ticks()
        output = await channel.tools.call(
            FunctionTool(call.name), call.arguments, key=f"{channel.key}:{call.id}", filling=filling
        )
        took_ms = round((channel.clock.ticks() - started) * 1000)
        at = channel.clock.now()
        events.append(
            ToolReturned(
                call.id,
                call.name,
                output.text,
                output.ok,
                at,
                took_ms,
                output.status_code,
                output.mocked,
                output.variables,
            )
        )
    return tuple(events)


def _as_message(line: PromptLine) -> dict[str, Any]:
    message: dict[str, Any] = {"role": line.role, "content": line.text}
    if line.role == "tool":
        message["tool_call_id"] = line.call_id
    if line.calls:
        message["content"] = line.text or None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)},
            }
            for call in line.calls
        ]
    return message


def _said(answer: Any) -> tuple[str, list[tuple[str, Mapping[str, Any]]]] | None:
    """The words and the functions of the first choice, or None for something else than a chat completion."""
    message = _get(next(iter(_list(_get(answer, "choices")) or []), None), "message")
    calls, text = _list(_get(message, "tool_calls")), _words(_get(message, "content"))
    if not isinstance(message, Mapping) or text is None or calls is None:
        return None
    found: list[tuple[str, Mapping[str, Any]]] = []
    for item in calls:
        function = _get(item, "function")
        name = _get(function, "name")
        if not isinstance(name, str) or not name:
            return None
        found.append((name, _arguments(_get(function, "arguments"))))
    refusal = _get(message, "refusal")
    return (text or (refusal if isinstance(refusal, str) else ""), found)


def _words(content: Any) -> str | None:
    if content is None or isinstance(content, str):
        return content or ""
    parts = _list(content)
    if parts is None:
        return None
    texts = [_get(part, "text") for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def _arguments(written: Any) -> Mapping[str, Any]:
    """The arguments as an object; what a model wrote that is none is kept, so that the judge can see it."""
    value: Any = written
    if isinstance(written, str):
        try:
            value = parsed(written or "{}")
        except ValueError:
            value = written
    if value is None:
        return {}
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {"unreadable": written}


def _usage(answer: Any) -> Usage:
    counted, model = _get(answer, "usage"), _get(answer, "model")
    tokens = [_get(counted, name) for name in ("prompt_tokens", "completion_tokens")]
    spent = [number if isinstance(number, int) else 0 for number in tokens]
    return Usage(model if isinstance(model, str) else "", spent[0], spent[1])


def _list(value: Any) -> list[Any] | None:
    """A list as it is, nothing as an empty one, and None for anything else."""
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else None


def _get(value: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
