"""Every vendor that does not speak chat completions, through pydantic-ai, which is imported when first needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from vivavoce.core.depth import shallow
from vivavoce.core.event import ToolCall
from vivavoce.core.model import Answer, ModelFailure, Prompt, PromptLine, Reply, Trouble
from vivavoce.models.limiter import Limiter, Rates
from vivavoce.models.messages import encode, mend
from vivavoce.models.pace import (
    LONGEST_WAIT_S,
    TOO_MANY,
    Pace,
    Setback,
    Tally,
    patiently,
    settled,
    streamed,
)
from vivavoce.models.schema import Mismatch, Shape, shape_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelRequestPart, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.providers import Provider
    from pydantic_ai.settings import ModelSettings

R = TypeVar("R")
T = TypeVar("T")

_MAX_ERROR_CHARS = 300
_MAX_ECHO_CHARS = 4000
_NOBODY_SPOKE = "(The conversation begins.)"
_NOBODY_ANSWERED = "(Nobody has answered yet. Go on.)"


class Vendor:
    """One vendor with its key: the connections that all its models share, and its limits."""

    def __init__(self, name: str, key_variable: str, key: str, rates: Rates | None = None) -> None:
        self.name = name
        self.limiter = Limiter(rates or Rates())
        self._key_variable = key_variable
        self._key = key.strip()
        self._provider: Provider[Any] | None = None

    def model(self, model: str) -> Model:
        """The pydantic-ai model of that name. Raises ``ModelFailure`` when its package is not installed."""
        try:
            from pydantic_ai.exceptions import UserError
            from pydantic_ai.models import infer_model
            from pydantic_ai.providers import infer_provider_class
        except ImportError:
            raise _missing_package(f"{self.name}/{model}", self.name) from None
        try:
            if self._provider is None:
                # The key is handed over: what the settings say wins over what the process happens to inherit.
                make = cast("Callable[..., Provider[Any]]", infer_provider_class(self.name))
                self._provider = make(api_key=self._key)
            provider = self._provider
            return infer_model(f"{self.name}:{model}", provider_factory=lambda _: provider)
        except ImportError:
            raise _missing_package(f"{self.name}/{model}", self.name) from None
        except (UserError, ValueError) as error:
            why = self.scrub(str(error))
            raise ModelFailure(
                Trouble.UNRESOLVED, f"model {self.name}/{model} cannot be used ({self._key_variable} is set): {why}"
            ) from None

    def scrub(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, "[key]") if self._key else text

    async def close(self) -> None:
        """Close the connections."""
        if self._provider is not None:
            # Leaving a provider closes the client it made.
            async with self._provider:
                pass
            self._provider = None


class OtherModel:
    """A model behind pydantic-ai; implements ``vivavoce.core.model.Model``.

    ``model`` is a pydantic-ai model, or its string name (``anthropic:claude-sonnet-4-5``). ``timeout_s`` are the
    seconds one attempt may take as a whole.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        name: str | None = None,
        vendor: Vendor | None = None,
        timeout_s: float = 60.0,
        max_attempts: int = 4,
        pace: Pace | None = None,
    ) -> None:
        self._model = model
        given = model.replace(":", "/", 1) if isinstance(model, str) else f"{model.system}/{model.model_name}"
        self._name = name or given
        self._vendor = vendor or Vendor(self._name.partition("/")[0], "", "")
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts
        self._pace = pace or Pace()

    @property
    def name(self) -> str:
        """``vendor/model``."""
        return self._name

    async def reply(self, prompt: Prompt) -> Reply:
        """The next thing an assistant says or calls. Raises ``ModelFailure``."""
        return await settled(lambda tally: self._patiently(lambda: self._reply_once(prompt, tally), tally))

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        """One answer of the given dataclass, asked for twice if need be. Raises ``ModelFailure``."""
        return await settled(lambda tally: self._decide(prompt, shape_of(shape), tally))

    def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        """Pieces of text, then the whole ``Reply``. Raises ``ModelFailure``."""
        return streamed(lambda tally: self._stream_once(prompt, tally), self._pace, self._max_attempts)

    async def _reply_once(self, prompt: Prompt, tally: Tally) -> Reply:
        response = await self._request(_to_messages(prompt.lines), _offering(prompt), tally, _wishes(prompt))
        return self._read(response, tally)

    async def _decide(self, prompt: Prompt, shape: Shape[T], tally: Tally) -> Answer[T]:
        from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

        parameters = _asking_for(shape)
        messages = _to_messages(prompt.lines)
        words = await self._patiently(lambda: self._answer_once(messages, parameters, shape, tally), tally)
        try:
            return Answer(shape.read(words), tally.usage(self._name))
        except Mismatch as mismatch:
            again = (
                f"Your answer cannot be used: {mismatch}. Answer again. It must match this JSON Schema: {shape.text}"
            )
        messages += [
            ModelResponse(parts=[TextPart(words[:_MAX_ECHO_CHARS] or "(nothing)")]),
            ModelRequest(parts=[UserPromptPart(again)]),
        ]
        words = await self._patiently(lambda: self._answer_once(messages, parameters, shape, tally), tally)
        try:
            return Answer(shape.read(words), tally.usage(self._name))
        except Mismatch as mismatch:
            raise self._garbled(f"not a {shape.name}, asked twice: {mismatch}", again=False) from None

    async def _answer_once(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters, shape: Shape[Any], tally: Tally
    ) -> str:
        from pydantic_ai.messages import TextPart, ToolCallPart

        response = await self._request(messages, parameters, tally)
        for part in response.parts:
            if isinstance(part, ToolCallPart) and part.tool_name == shape.name:
                return part.args if isinstance(part.args, str) else encode(part.args or {}).decode()
        return "".join(part.content for part in response.parts if isinstance(part, TextPart))

    async def _request(
        self,
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        tally: Tally,
        wishes: ModelSettings | None = None,
    ) -> ModelResponse:
        from pydantic_ai.direct import model_request

        model = self._ready()
        async with self._admitted(messages) as used:
            response = await model_request(
                model, messages, model_settings=self._settings(model, wishes), model_request_parameters=parameters
            )
            used(response)
        _count(response, tally)
        return response

    @asynccontextmanager
    async def _admitted(self, messages: list[ModelMessage]) -> AsyncGenerator[Callable[[ModelResponse], None]]:
        """One attempt, when the vendor's limits allow it; the block tells what came back. Raises ``Setback`` for what
        the block raises."""
        limiter = self._vendor.limiter
        given = taken = 0

        def used(response: ModelResponse) -> None:
            nonlocal given, taken
            given, taken = response.usage.input_tokens, response.usage.output_tokens

        reserved, refused = await limiter.enter(_size(messages) if limiter.counts_tokens else 0), False
        try:
            yield used
        except (RuntimeError, TimeoutError, OSError) as error:
            setback = self._setback(error)
            refused = setback.status > 0
            if setback.status == TOO_MANY and setback.wait_s:
                limiter.pause(min(setback.wait_s, LONGEST_WAIT_S))
            raise setback from None
        finally:
            limiter.leave(reserved, given, taken, refused=refused)

    async def _stream_once(self, prompt: Prompt, tally: Tally) -> AsyncGenerator[str | Reply]:
        from pydantic_ai.direct import model_request_stream
        from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

        model = self._ready()
        messages = _to_messages(prompt.lines)
        opened = model_request_stream(
            model,
            messages,
            model_settings=self._settings(model, _wishes(prompt)),
            model_request_parameters=_offering(prompt),
        )
        async with self._admitted(messages) as used, opened as events:
            async for event in events:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    text = event.part.content
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    text = event.delta.content_delta
                else:
                    continue
                if text:
                    yield mend(text)
            response = events.get()
            used(response)
        _count(response, tally)
        yield self._read(response, tally)

    def _read(self, response: ModelResponse, tally: Tally) -> Reply:
        from pydantic_ai.messages import TextPart, ToolCallPart

        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        calls: list[ToolCall] = []
        for part in response.parts:
            if isinstance(part, ToolCallPart):
                try:
                    arguments = part.args_as_dict(raise_if_invalid=True)
                except (ValueError, AssertionError):
                    raise self._garbled(
                        f"the arguments of its call of {part.tool_name!r} are not a JSON object"
                    ) from None
                if not shallow(arguments):
                    raise self._garbled(f"the arguments of its call of {part.tool_name!r} are nested too deeply")
                calls.append(ToolCall(part.tool_call_id, part.tool_name, arguments))
        return Reply(mend(text), tuple(calls), tally.usage(self._name))

    def _ready(self) -> Model:
        """The model; one that came as a name is made the first time."""
        if isinstance(self._model, str):
            try:
                from pydantic_ai.exceptions import UserError
                from pydantic_ai.models import infer_model
            except ImportError:
                raise _missing_package(self._name, self._vendor.name) from None
            try:
                self._model = infer_model(self._model)
            except ImportError:
                raise _missing_package(self._name, self._vendor.name) from None
            except UserError as error:
                raise ModelFailure(Trouble.UNRESOLVED, f"model {self._name} cannot be used: {error}") from None
        return self._model

    def _settings(self, model: Model, wishes: ModelSettings | None) -> ModelSettings:
        settings: ModelSettings = {"request_timeout": self._timeout_s, **(wishes or {})}
        if "max_retries" not in model.unsupported_settings:
            settings["max_retries"] = 0  # attempts are counted here, and must not be multiplied there
        return settings

    async def _patiently(self, attempt: Callable[[], Awaitable[R]], tally: Tally) -> R:
        return await patiently(attempt, tally, self._pace, self._max_attempts)

    def _garbled(self, message: str, *, again: bool = True) -> Setback:
        return Setback(Trouble.GARBLED, f"{self._name} gave an answer that cannot be read: {message}", again=again)

    def _setback(self, error: Exception) -> Setback:
        """What pydantic-ai's exceptions mean. Anything it does not own is a fault of ours and is raised as it is."""
        from pydantic_ai import exceptions as raised

        why = f"{self._name}: {self._vendor.scrub(' '.join(str(error).split()))[:_MAX_ERROR_CHARS]}"
        refused = (raised.ModelRequestRejectedError, raised.ContentFilterError, raised.UserError)
        if isinstance(error, refused):
            return Setback(Trouble.REFUSED, why, again=False)
        if isinstance(error, raised.UnexpectedModelBehavior):
            return Setback(Trouble.GARBLED, why, again=True)
        if isinstance(error, raised.ModelQuotaExceededError):
            return Setback(Trouble.UNAVAILABLE, why, again=False)
        if isinstance(error, raised.ModelHTTPError) and error.status_code < 500 and error.status_code not in (408, 429):
            return Setback(Trouble.REFUSED, why, again=False, status=error.status_code)
        if isinstance(error, raised.ModelAPIError):
            status = error.status_code if isinstance(error, raised.ModelHTTPError) else 0
            return Setback(Trouble.UNAVAILABLE, why, again=True, wait_s=error.retry_after, status=status)
        if isinstance(error, (TimeoutError, OSError)):
            return Setback(Trouble.UNAVAILABLE, why, again=True)
        raise error


def _missing_package(name: str, vendor: str) -> ModelFailure:
    return ModelFailure(
        Trouble.UNRESOLVED,
        f"model {name} needs a package that is not installed: install vivavoce[providers]"
        f" (or, for this vendor alone, pydantic-ai-slim[{vendor}])",
    )


def _count(response: ModelResponse, tally: Tally) -> None:
    tally.input_tokens += response.usage.input_tokens
    tally.output_tokens += response.usage.output_tokens


def _size(messages: list[ModelMessage]) -> int:
    """About how many bytes the request has."""
    return sum(len(str(getattr(part, "content", part))) for message in messages for part in message.parts)


def _offering(prompt: Prompt) -> ModelRequestParameters:
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    tools = [
        ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=dict(tool.parameters) or {"type": "object", "properties": {}},
        )
        for tool in prompt.tools
    ]
    return ModelRequestParameters(function_tools=tools)


def _wishes(prompt: Prompt) -> ModelSettings:
    wishes: ModelSettings = {}
    if prompt.temperature is not None:
        wishes["temperature"] = prompt.temperature
    if prompt.must_call and prompt.tools:
        wishes["tool_choice"] = "required"
    return wishes


def _asking_for(shape: Shape[Any]) -> ModelRequestParameters:
    """Ask for the shape in whichever way the model's profile prefers: native schema, output tool or words."""
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition
    from pydantic_ai.tools import ToolDefinition

    strict = shape.strict or None
    return ModelRequestParameters(
        output_mode="auto",
        output_object=OutputObjectDefinition(json_schema=shape.schema, name=shape.name, strict=strict),
        output_tools=[
            ToolDefinition(name=shape.name, parameters_json_schema=shape.schema, kind="output", strict=strict)
        ],
        allow_text_output=False,
    )


def _to_messages(lines: Sequence[PromptLine]) -> list[ModelMessage]:
    from pydantic_ai.messages import (
        ModelRequest,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )

    names = {call.id: call.name for line in lines for call in line.calls}
    messages: list[ModelMessage] = []
    asked: list[ModelRequestPart] = []
    begun = False
    for line in lines:
        if line.role == "system":
            asked.append(SystemPromptPart(line.text))
            continue
        if not begun and line.role != "user":
            # Several vendors take no conversation that the assistant opens.
            asked.append(UserPromptPart(_NOBODY_SPOKE))
        begun = True
        if line.role == "user":
            asked.append(UserPromptPart(line.text))
        elif line.role == "tool":
            asked.append(ToolReturnPart(names.get(line.call_id, "tool"), line.text, tool_call_id=line.call_id))
        else:
            if asked:
                messages.append(ModelRequest(parts=asked))
                asked = []
            said = [TextPart(line.text)] if line.text or not line.calls else []
            called = [ToolCallPart(call.name, dict(call.arguments), tool_call_id=call.id) for call in line.calls]
            messages.append(ModelResponse(parts=[*said, *called]))
    talk = [line for line in lines if line.role != "system"]
    if not begun:
        asked.append(UserPromptPart(_NOBODY_SPOKE))
    elif talk[-1].role == "assistant":
        # Nor one that ends with its own words: they take these for the beginning of the answer.
        asked.append(UserPromptPart(_NOBODY_ANSWERED))
    if asked:
        messages.append(ModelRequest(parts=asked))
    return messages
