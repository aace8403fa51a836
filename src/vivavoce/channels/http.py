"""An assistant behind an HTTP webhook of its own: docs/reference/http-destination.md describes the exchange."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from vivavoce.assistant.variables import as_text
from vivavoce.channels.ask import Sleep, ask, garbled
from vivavoce.core.clock import Clock
from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.transcript import Transcript
from vivavoce.examination.channel import Heard
from vivavoce.outbound.fetch import Session, shown

_ROLES = {Speaker.CALLER: "user", Speaker.ASSISTANT: "assistant"}


@dataclass(frozen=True)
class HttpChannel:
    """Reaches an assistant at a URL. ``key`` begins the idempotency keys; ``timeout_s`` holds for each attempt."""

    session: Session
    clock: Clock
    url: str
    conversation_id: str
    key: str
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 60.0
    sleep: Sleep = asyncio.sleep

    @property
    def resumable(self) -> bool:
        """Yes: the history goes along with every message."""
        return True

    @property
    def shows_tools(self) -> bool:
        """No: the answer may report tool calls, and need not."""
        return False

    @property
    def notes(self) -> Sequence[str]:
        """Where the messages went."""
        return (f"messages were carried over HTTP to {shown(self.url)}",)

    @asynccontextmanager
    async def open(self, transcript: Transcript) -> AsyncGenerator["HttpLine"]:
        """A line that goes on from the transcript; nothing is sent before somebody speaks."""
        yield HttpLine(self, transcript)


class HttpLine:
    """An open conversation. The caller speaks first."""

    def __init__(self, channel: HttpChannel, transcript: Transcript) -> None:
        self._channel = channel
        self._transcript = transcript

    async def say(self, message: Message) -> None:
        """Kept until the answer to it is asked for."""
        self._transcript = self._transcript.plus((message,))

    async def listen(self) -> Heard:
        """What it answers to the caller's last message: one request, everything in one piece."""
        turn = unanswered(self._transcript)
        if turn is None:
            return Heard((), rests=True)
        channel, clock = self._channel, self._channel.clock
        started = clock.ticks()
        answer = await ask(
            channel.session,
            channel.url,
            _question(channel, self._transcript, turn),
            key=f"{channel.key}:{turn}",
            headers=channel.headers,
            timeout_s=channel.timeout_s,
            sleep=channel.sleep,
        )
        took_ms = round((clock.ticks() - started) * 1000)
        events = _events(answer, channel.url, turn=turn, at=clock.now(), took_ms=took_ms)
        self._transcript = self._transcript.plus(events)
        return Heard(events, rests=True)


def unanswered(transcript: Transcript) -> int | None:
    """The turn of the caller's last message if the assistant has said nothing since, not even nothing."""
    if transcript.ending is not None:
        return None
    for turn in reversed(range(len(transcript.events))):
        event = transcript.events[turn]
        if isinstance(event, Message):
            return turn if event.speaker is Speaker.CALLER else None
    return None


def _question(channel: HttpChannel, transcript: Transcript, turn: int) -> dict[str, Any]:
    said = [message for place, message in transcript.messages() if place < turn]
    message = transcript.events[turn]
    return {
        "conversation_id": channel.conversation_id,
        "turn": sum(each.speaker is Speaker.CALLER for each in said) + 1,
        "message": message.text if isinstance(message, Message) else "",
        "history": [{"role": _ROLES[each.speaker], "text": each.text} for each in said if each.text],
        "variables": dict(channel.variables),
    }


def _events(answer: Any, url: str, *, turn: int, at: int, took_ms: int) -> tuple[Event, ...]:
    wanted = "an object of message, messages, tool_calls and end as they are documented"
    if not isinstance(answer, Mapping):
        raise garbled(url, wanted)
    given = cast("Mapping[str, Any]", answer)
    texts, calls, end = _texts(given), _list(given.get("tool_calls")), given.get("end") or False
    if texts is None or calls is None or not isinstance(end, bool):
        raise garbled(url, wanted)
    events: list[Event] = []
    for number, item in enumerate(calls):
        pair = _tool_use(item, f"call_{turn}_{number}", at)
        if pair is None:
            raise garbled(url, wanted)
        events += pair
    events += [Message(Speaker.ASSISTANT, text, at) for text in texts]
    if end:
        events.append(Left(Ending.HANGUP, at, Speaker.ASSISTANT, "the assistant ended the conversation"))
    elif not texts:
        if not given.keys() & {"message", "messages", "tool_calls"}:
            raise garbled(url, wanted)
        events.append(Message(Speaker.ASSISTANT, "", at))
    # One request, one time: the first event carries it, so that the sum is what the caller waited.
    return (replace(events[0], took_ms=took_ms), *events[1:])


def _texts(given: Mapping[str, Any]) -> list[str] | None:
    """What it said, or None where that is not written as documented. Empty texts are silences and left out."""
    one, many = given.get("message"), _list(given.get("messages"))
    if many is None or (many and one is not None):
        return None
    items = many if one is None else [one]
    texts = [each for each in items if isinstance(each, str)]
    return [text for text in texts if text] if len(texts) == len(items) else None


def _list(value: Any) -> list[Any] | None:
    """A list as it is, nothing as an empty one, and None for anything else."""
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else None


def _tool_use(item: Any, call_id: str, at: int) -> tuple[Event, ...] | None:
    if not isinstance(item, Mapping):
        return None
    given = cast("Mapping[str, Any]", item)
    name, arguments, result = given.get("name"), given.get("arguments", {}), given.get("result")
    if not isinstance(name, str) or not name or not isinstance(arguments, Mapping):
        return None
    call = ToolCall(call_id, name, cast("Mapping[str, Any]", arguments))
    return ToolCalled(call, at), ToolReturned(call_id, name, as_text(result), ok=True, at=at)
