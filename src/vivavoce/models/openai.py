"""Models of OpenAI-compatible endpoints, over a bare HTTP client: this is the hot path of every examination."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

from vivavoce.core.model import Answer, Prompt, Reply, Trouble
from vivavoce.models.messages import (
    Completion,
    Garbage,
    Pieces,
    calls_in,
    encode,
    mend,
    read_completion,
    to_wire,
    tokens,
    with_instruction,
)
from vivavoce.models.pace import Setback, Tally, patiently, settled, streamed
from vivavoce.models.schema import Mismatch, Shape, shape_of
from vivavoce.models.transport import Mode, Transport, events

T = TypeVar("T")

_MODES: tuple[Mode, ...] = ("json_schema", "json_object", "plain")
_FORMAT_REFUSED = frozenset({400, 404, 422, 501})
_NOT_THE_FORMAT = frozenset({"model_not_found", "context_length_exceeded", "content_filter", "invalid_api_key"})
_WISHES = ("temperature", "tool_choice")
"""What some models refuse, and what they can be asked without."""
_MAX_REMEMBERED = 1000
_MAX_ECHO_CHARS = 4000


class OpenAIModel:
    """A model of an OpenAI-compatible endpoint; implements ``vivavoce.core.model.Model``.

    ``model`` is its name there, ``extra`` goes into every request. Attempts, waits, sizes and times are limited as its
    ``Provider`` says; ``max_attempts`` may be fewer.
    """

    def __init__(
        self,
        transport: Transport,
        model: str,
        *,
        extra: Mapping[str, Any] | None = None,
        max_attempts: int | None = None,
    ) -> None:
        self._transport = transport
        self._model = model
        self._name = f"{transport.provider.name}/{model}"
        self._fixed = {**(extra or {}), "model": model}
        self._max_attempts = min(max_attempts or transport.provider.max_attempts, transport.provider.max_attempts)

    @property
    def name(self) -> str:
        """``provider/model``."""
        return self._name

    async def reply(self, prompt: Prompt) -> Reply:
        """The next thing an assistant says or calls. Raises ``ModelFailure``."""
        return await settled(lambda tally: self._reply_to(prompt, tally))

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        """One answer of the given dataclass, asked for twice if need be. Raises ``ModelFailure``."""
        return await settled(lambda tally: self._decide(prompt, shape_of(shape), tally))

    def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        """Pieces of text, then the whole ``Reply``. Raises ``ModelFailure``."""
        body = to_wire(prompt)
        return streamed(
            lambda tally: self._stream_once(prompt, body, tally),
            self._transport.pace,
            self._max_attempts,
            lambda setback: self._mended(setback, body),
        )

    def _mended(self, setback: Setback, body: Mapping[str, Any]) -> bool:
        """Whether the server refused something that can be left out from now on."""
        told = self._transport.tells_stream_usage and "stream_options" in setback.message
        if told:
            self._transport.tells_stream_usage = False
        return told or self._left_out(setback, body)

    def _left_out(self, setback: Setback, body: Mapping[str, Any]) -> bool:
        refused = self._transport.refused
        wishes = {(self._model, wish) for wish in _WISHES if wish in body and wish in setback.message} - refused
        if setback.status not in _FORMAT_REFUSED or not wishes or len(refused) >= _MAX_REMEMBERED:
            return False
        refused.update(wishes)
        return True

    def _sent(self, body: Mapping[str, Any]) -> dict[str, Any]:
        refused = self._transport.refused
        wished = {name: value for name, value in body.items() if (self._model, name) not in refused}
        return self._fixed | wished

    async def _reply_to(self, prompt: Prompt, tally: Tally) -> Reply:
        return self._reply(await self._complete(lambda: to_wire(prompt), calls_in(prompt), tally), tally)

    async def _decide(self, prompt: Prompt, shape: Shape[T], tally: Tally) -> Answer[T]:
        mode, completion = await self._ask_for(shape, prompt, (), tally)
        try:
            return Answer(shape.read(completion.text), tally.usage(self._name))
        except Mismatch as mismatch:
            first = mismatch
        again = {
            "role": "user",
            "content": f"Your answer cannot be used: {first}. Answer again, with nothing but one JSON object that "
            f"matches this JSON Schema: {shape.text}",
        }
        echo = {"role": "assistant", "content": completion.text[:_MAX_ECHO_CHARS] or "(nothing)"}
        _, second = await self._ask_for(shape, prompt, (echo, again), tally)
        try:
            value = shape.read(second.text)
        except Mismatch as mismatch:
            why = "it was cut off at its length limit" if second.cut else str(mismatch)
            raise self._transport.garbled(f"not a {shape.name}, asked twice: {why}", again=False) from None
        if first.jsonless and mode == "json_schema" and not completion.cut:
            # The server takes the schema and ignores it: from now on the prompt says it too.
            self._remember("json_object")
        return Answer(value, tally.usage(self._name))

    async def _ask_for(
        self, shape: Shape[Any], prompt: Prompt, more: Sequence[dict[str, Any]], tally: Tally
    ) -> tuple[Mode, Completion]:
        """Ask in the strictest mode that the server is known to take, and below where it refuses; ``more`` messages
        follow the prompt's."""
        start = self._transport.modes.get(self._model, "json_schema")
        first: Setback | None = None
        for mode in _MODES[_MODES.index(start) :]:
            try:
                completion = await self._complete(partial(_asking, mode, shape, prompt, more), 0, tally)
            except Setback as setback:
                refused = setback.status in _FORMAT_REFUSED and setback.code not in _NOT_THE_FORMAT
                if not refused:
                    raise
                first = first or setback
                continue
            if mode != start:
                self._remember(mode)  # only now: a request that is refused in every mode says nothing about modes
            if completion.refusal and not completion.text:
                raise Setback(Trouble.REFUSED, f"{self._name} refused: {completion.refusal[:300]}", again=False)
            return mode, completion
        assert first is not None
        raise first

    async def _complete(self, body: Callable[[], dict[str, Any]], earlier_calls: int, tally: Tally) -> Completion:
        # Made for its bytes, and made again where it is looked into once more: while an answer is waited for, it would
        # be the largest thing that the conversation holds.
        raw = encode(self._sent(body()))
        transport = self._transport

        async def attempt() -> Completion:
            answer = await transport.fetch(raw)
            given, taken = tokens(answer)
            tally.input_tokens += given
            tally.output_tokens += taken
            try:
                return read_completion(answer, earlier_calls)
            except Garbage as garbage:
                raise transport.garbled(str(garbage)) from None

        try:
            return await patiently(attempt, tally, transport.pace, self._max_attempts)
        except Setback as setback:
            if not self._left_out(setback, body()):
                raise
        return await self._complete(body, earlier_calls, tally)

    async def _stream_once(
        self, prompt: Prompt, wished: Mapping[str, Any], tally: Tally
    ) -> AsyncGenerator[str | Reply]:
        transport = self._transport
        body = {**self._sent(wished), "stream": True}
        if transport.tells_stream_usage:
            body["stream_options"] = {"include_usage": True}
        pieces = Pieces(calls_in(prompt))
        used = (0, 0)
        try:
            async with (
                transport.open(encode(body), lambda: used) as response,
                aclosing(events(response)) as pieces_sent,
            ):
                async for sent in pieces_sent:
                    if sent is None:
                        pieces.finished = True
                        continue
                    piece = transport.checked(sent)
                    if text := mend(pieces.add(piece)):
                        yield text
                    used = tokens(piece) if piece.get("usage") else used
                if not pieces.finished:
                    raise transport.broken()
            completion = pieces.completion()
        except Garbage as garbage:
            raise transport.garbled(str(garbage)) from None
        tally.input_tokens += used[0]
        tally.output_tokens += used[1]
        yield self._reply(completion, tally)

    def _reply(self, completion: Completion, tally: Tally) -> Reply:
        return Reply(completion.text or completion.refusal, completion.calls, tally.usage(self._name))

    def _remember(self, mode: Mode) -> None:
        if len(self._transport.modes) < _MAX_REMEMBERED:
            self._transport.modes[self._model] = mode


def _asking(mode: Mode, shape: Shape[Any], prompt: Prompt, more: Sequence[dict[str, Any]]) -> dict[str, Any]:
    messages = [*to_wire(prompt)["messages"], *more]
    if mode == "json_schema":
        schema = {"name": shape.name, "schema": shape.schema, "strict": shape.strict}
        return {"messages": messages, "response_format": {"type": "json_schema", "json_schema": schema}}
    told = with_instruction(
        messages,
        f"Answer with nothing but one JSON object, a {shape.name}, that matches this JSON Schema: {shape.text}",
    )
    return {"messages": told} if mode == "plain" else {"messages": told, "response_format": {"type": "json_object"}}
