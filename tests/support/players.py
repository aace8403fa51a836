"""Small stand-ins for time, models, lines and tools: each plays what it is given and keeps what it was asked."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.event import Event, Message, Millis
from vivavoce.core.mind import Mind
from vivavoce.core.model import Answer, Model, Prompt, Reply, T, Usage
from vivavoce.core.passage import Recall
from vivavoce.core.tool import Tool
from vivavoce.core.transcript import Transcript
from vivavoce.examination.channel import Heard

START = 1_700_000_000_000
"""When the hand clock starts: 14 November 2023, 22:13:20 UTC."""

COST = Usage("list/model", 10, 1)


@dataclass
class HandClock:
    """Time that passes only when it is advanced."""

    at: Millis = START
    elapsed_s: float = 5000.0

    def now(self) -> Millis:
        return self.at

    def ticks(self) -> float:
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        self.at += round(seconds * 1000)
        self.elapsed_s += seconds


@dataclass
class ListModel:
    """Answers from a list: a ``Reply``, an answer of the shape that is asked for, or an exception to raise."""

    answers: list[object]
    clock: HandClock = field(default_factory=HandClock)
    takes_s: float = 0.0
    name: str = "list/model"
    usage: Usage = COST
    prompts: list[Prompt] = field(default_factory=list[Prompt])

    def _next(self, prompt: Prompt) -> object:
        self.prompts.append(prompt)
        self.clock.advance(self.takes_s)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def reply(self, prompt: Prompt) -> Reply:
        answer = self._next(prompt)
        assert isinstance(answer, Reply)
        return answer

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        answer = self._next(prompt)
        assert isinstance(answer, shape)
        return Answer(answer, self.usage)

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        answer = await self.reply(prompt)
        for word in answer.text.split(" "):
            yield word
        yield answer


@dataclass
class FunctionModel:
    """Answers what the function makes of the prompt, so that the same prompt always has the same answer."""

    answer: Callable[[Prompt], Any]
    name: str = "function/model"
    prompts: list[Prompt] = field(default_factory=list[Prompt])

    async def reply(self, prompt: Prompt) -> Reply:
        self.prompts.append(prompt)
        return self.answer(prompt)

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        self.prompts.append(prompt)
        return Answer(self.answer(prompt))

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        yield await self.reply(prompt)


@dataclass
class OneModel:
    """Everybody's model, and what was asked for."""

    model: Model
    chosen_for: list[tuple[Mind, Mind | None]] = field(default_factory=list[tuple[Mind, Mind | None]])
    variables: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])

    async def chosen(self, mind: Mind, fallback: Mind | None, variables: Mapping[str, Any]) -> Model:
        self.chosen_for.append((mind, fallback))
        self.variables.append(variables)
        return self.model


@dataclass
class ListLine:
    """Plays a list of what is heard, or raises it. At the end of the list it never answers.

    ``deaf`` is raised when something is said to it; with ``stuck`` what is said is never delivered.
    """

    plays: list[Heard | Exception]
    deaf: Exception | None = None
    stuck: bool = False
    said: list[Message] = field(default_factory=list[Message])
    listened: int = 0

    async def listen(self) -> Heard:
        self.listened += 1
        if not self.plays:
            await asyncio.Event().wait()
        play = self.plays.pop(0)
        if isinstance(play, Exception):
            raise play
        return play

    async def say(self, message: Message) -> None:
        if self.deaf:
            raise self.deaf
        if self.stuck:
            await asyncio.Event().wait()
        self.said.append(message)


@dataclass
class LineChannel:
    """Opens one line, or raises on the way in (``refuses``) or out (``breaks``), and keeps what it was opened with."""

    line: ListLine
    refuses: Exception | None = None
    breaks: Exception | None = None
    opened: list[Transcript] = field(default_factory=list[Transcript])
    resumable: bool = True
    shows_tools: bool = True
    notes: Sequence[str] = ()

    @asynccontextmanager
    async def open(self, transcript: Transcript) -> AsyncGenerator[ListLine]:
        self.opened.append(transcript)
        if self.refuses:
            raise self.refuses
        yield self.line
        if self.breaks:
            raise self.breaks


@dataclass(frozen=True)
class ToolUse:
    """One call as the tools saw it."""

    tool: Tool
    arguments: Mapping[str, Any]
    key: str
    variables: Mapping[str, str]


@dataclass
class TableTools:
    """Answers by the tool's name; each call takes the seconds given for its tool."""

    table: Mapping[str, ToolOutput] = field(default_factory=dict[str, ToolOutput])
    clock: HandClock = field(default_factory=HandClock)
    takes_s: Mapping[str, float] = field(default_factory=dict[str, float])
    uses: list[ToolUse] = field(default_factory=list[ToolUse])

    async def call(self, tool: Tool, arguments: Mapping[str, Any], *, key: str, filling: Filling) -> ToolOutput:
        self.uses.append(ToolUse(tool, arguments, key, filling.variables))
        self.clock.advance(self.takes_s.get(tool.name, 0.0))
        return self.table[tool.name]

    async def recalled(self, recall: Recall, about: str) -> tuple[str, ...]:
        return tuple(f"{bucket}: {about}" for bucket in recall.buckets)


@dataclass
class Diary:
    """Keeps entries as ``Record`` does; after ``lasts`` entries it raises, before or after writing the last down."""

    lasts: int | None = None
    durable: bool = True
    entries: list[tuple[Event, ...]] = field(default_factory=list[tuple[Event, ...]])

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(event for entry in self.entries for event in entry)

    async def write(self, events: Sequence[Event]) -> None:
        breaks = self.lasts is not None and len(self.entries) + 1 >= self.lasts
        if not breaks or self.durable:
            self.entries.append(tuple(events))
        if breaks:
            raise Crash


class Crash(Exception):
    """The process died here."""
