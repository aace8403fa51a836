"""Chat completions on the wire: from a prompt to a request's body, and from an answer, whole or in pieces, to a reply.

Servers that call themselves compatible differ in many small ways; what can only mean one thing is accepted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pydantic_core

from vivavoce.core.depth import shallow
from vivavoce.core.event import ToolCall
from vivavoce.core.model import Prompt, PromptLine

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


class Garbage(Exception):
    """The provider's answer cannot be read. The message is for a person."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer as it came. ``refusal`` is the model's own no; ``cut`` is true when it hit its length limit."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    refusal: str = ""
    cut: bool = False


def to_wire(prompt: Prompt) -> dict[str, Any]:
    """The ``messages``, ``tools`` and wishes of a request."""
    body: dict[str, Any] = {"messages": [_line(line) for line in prompt.lines]}
    if prompt.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters) or _NO_PARAMETERS,
                },
            }
            for tool in prompt.tools
        ]
        if prompt.must_call:
            body["tool_choice"] = "required"
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    return body


def with_instruction(messages: Sequence[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The messages with one more instruction, put where every chat template takes it: in the first system message."""
    if messages and messages[0]["role"] == "system":
        first = {"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def encode(body: Mapping[str, Any]) -> bytes:
    """The body as JSON. pydantic's encoder takes a third of the time of ``json.dumps`` for an 8 KB prompt."""
    try:
        return pydantic_core.to_json(body, inf_nan_mode="null")
    except pydantic_core.PydanticSerializationError:
        # Half a surrogate pair, or a type that only the standard encoder knows; both are rare.
        return json.dumps(body, ensure_ascii=False, default=_plain).encode("utf-8", "replace")


def decode(raw: bytes | str) -> dict[str, Any]:
    """A JSON object. Raises ``Garbage``."""
    value: Any
    try:
        value = pydantic_core.from_json(raw)
    except ValueError:
        try:
            value = json.loads(raw)  # takes half a surrogate pair, which is mended later
        except (ValueError, RecursionError):
            raise Garbage("it is not JSON") from None
    if not isinstance(value, dict):
        raise Garbage("it is not a JSON object")
    return cast("dict[str, Any]", value)


def tokens(body: Mapping[str, Any]) -> tuple[int, int]:
    """Input and output tokens that an answer or a piece of one tells of; zero where it is silent."""
    usage = _object(body.get("usage"))
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def read_completion(body: Mapping[str, Any], earlier_calls: int) -> Completion:
    """The first choice of a whole answer.

    ``earlier_calls`` is how many calls the prompt already holds: calls that come without an id are numbered from
    there. Raises ``Garbage``.
    """
    choice = _first_choice(body)
    if choice is None:
        raise Garbage("it holds no choices")
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Garbage("its first choice holds no message")
    fields = cast("dict[str, Any]", message)
    raw_calls = _list(fields.get("tool_calls"))
    calls = tuple(_call(_object(call), earlier_calls + place) for place, call in enumerate(raw_calls))
    return Completion(
        text=mend(_text(fields.get("content"))),
        calls=calls,
        refusal=mend(_text(fields.get("refusal"))),
        cut=choice.get("finish_reason") == "length",
    )


@dataclass(slots=True)
class Pieces:
    """Puts a streamed answer together. ``finished`` turns true when the server said that it was complete."""

    earlier_calls: int
    finished: bool = False
    texts: list[str] = field(default_factory=list[str])
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _places: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, body: Mapping[str, Any]) -> str:
        """Take in one piece; gives back the text in it, perhaps empty."""
        choice = _first_choice(body)
        if choice is None:
            return ""  # the piece that only tells the usage
        # A server that does not stream sends one whole message, which is complete however it ended.
        if choice.get("finish_reason") or "message" in choice:
            self.finished = True
        delta = _object(choice.get("delta") or choice.get("message"))
        for fragment in _list(delta.get("tool_calls")):
            self._add_fragment(_object(fragment))
        text = _text(delta.get("content"))
        if text:
            self.texts.append(text)
        return text

    def completion(self) -> Completion:
        """Everything so far as one answer. Raises ``Garbage``."""
        calls = tuple(_call(call, self.earlier_calls + place) for place, call in enumerate(self.calls))
        return Completion(text=mend("".join(self.texts)), calls=calls)

    def _add_fragment(self, fragment: Mapping[str, Any]) -> None:
        function = _object(fragment.get("function"))
        call = self._call_for(fragment, function)
        if isinstance(fragment.get("id"), str) and fragment["id"]:
            call["id"] = fragment["id"]
        if function.get("name"):
            call["function"]["name"] = function["name"]
        arguments = function.get("arguments")
        if isinstance(arguments, str) and isinstance(call["function"]["arguments"], str):
            call["function"]["arguments"] += arguments
        elif arguments is not None:
            call["function"]["arguments"] = arguments

    def _call_for(self, fragment: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
        index, name_given = fragment.get("index"), bool(function.get("name"))
        if isinstance(index, int):
            place = self._places.get(index)
            # Some servers number every call 0 and tell them apart by id alone.
            if place is not None and _differs(self.calls[place]["id"], fragment.get("id")) and name_given:
                place = None
            if place is None:
                place = self._places[index] = self._new_call()
            return self.calls[place]
        # Without places and ids, a name can only start another call.
        last = self.calls[-1] if self.calls else None
        another = name_given and last is not None and (_differs(last["id"], fragment.get("id")) or not last["id"])
        if last is None or another:
            self._new_call()
        return self.calls[-1]

    def _new_call(self) -> int:
        self.calls.append({"id": "", "function": {"name": "", "arguments": ""}})
        return len(self.calls) - 1


def mend(text: str) -> str:
    """The text with joined surrogate pairs, and without halves and NULs, which no database or terminal takes."""
    if text.isascii():
        return text.replace("\x00", "") if "\x00" in text else text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "")


def calls_in(prompt: Prompt) -> int:
    """How many tool calls the prompt tells of."""
    return sum(len(line.calls) for line in prompt.lines)


def _line(line: PromptLine) -> dict[str, Any]:
    if line.role == "tool":
        return {"role": "tool", "tool_call_id": line.call_id, "content": line.text}
    if not line.calls:
        return {"role": line.role, "content": line.text}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": encode(call.arguments).decode()},
        }
        for call in line.calls
    ]
    return {"role": line.role, "content": line.text or None, "tool_calls": calls}


def _call(call: Mapping[str, Any], number: int) -> ToolCall:
    function = _object(call.get("function"))
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str) or not name:
        raise Garbage("it calls a tool without a name")
    identifier = call.get("id")
    return ToolCall(
        id=mend(identifier) if isinstance(identifier, str) and identifier else f"call_{number}",
        name=mend(name),
        arguments=_mended(_arguments(name, arguments)),
    )


def _arguments(name: str, arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, dict):
        return checked(name, cast("dict[str, Any]", arguments))
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}  # how some servers call a tool that takes nothing
    value: Any = None
    if isinstance(arguments, str):
        try:
            value = pydantic_core.from_json(arguments, allow_inf_nan=False)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise Garbage(f"the arguments of its call of {name!r} are not a JSON object")
    return checked(name, cast("dict[str, Any]", value))


def checked(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments that can be kept. Raises ``Garbage`` where they are nested too deeply."""
    if not shallow(arguments):
        raise Garbage(f"the arguments of its call of {name!r} are nested too deeply")
    return arguments


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, list):
        return [_mended(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {mend(key): _mended(each) for key, each in cast("dict[str, Any]", value).items()}
    return value


def _first_choice(body: Mapping[str, Any]) -> dict[str, Any] | None:
    choices = _list(body.get("choices"))
    return _object(choices[0]) if choices else None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [_object(part).get("text") if isinstance(part, dict) else part for part in _list(content)]
    return "".join(part for part in parts if isinstance(part, str))


def _differs(known: str, given: Any) -> bool:
    return isinstance(given, str) and bool(known) and bool(given) and given != known


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _plain(value: Any) -> Any:
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else str(value)
