"""Functions under examination: what they are given, and what is made of their answer."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_origin, get_type_hints

from vivavoce.running.desk import Answer, Heard

Target = Callable[..., Any]
_CONVERSATIONS = frozenset({"messages", "history", "conversation"})
_EXTRAS = ("conversation_id", "turn", "variables")


def arguments(target: Target) -> Callable[[Heard], tuple[tuple[Any, ...], dict[str, Any]]]:
    """How this function is called: with what the caller said last as text, or with all messages of the conversation,
    if its first parameter is named ``messages`` or is a list; and with those of ``conversation_id``, ``turn`` and
    ``variables`` by name that it has."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # some built-in callables tell nothing of themselves
        return lambda heard: ((heard.message,), {})
    whole = bool(parameters) and _whole(target, parameters[0])
    extras = [one.name for one in parameters[1:] if one.name in _EXTRAS]

    def made(heard: Heard) -> tuple[tuple[Any, ...], dict[str, Any]]:
        first = messages(heard) if whole else heard.message
        return (first,), {name: getattr(heard, name) for name in extras}

    return made


def messages(heard: Heard) -> list[dict[str, str]]:
    """The conversation as chat endpoints have it: ``[{"role": "user", "content": "…"}, …]``."""
    said = [{"role": role, "content": text} for role, text in heard.history]
    return [*said, {"role": "user", "content": heard.message}]


def answer(value: object) -> Answer:
    """What a function answered: text, None for silence, or a mapping as the page about HTTP destinations has it.
    Raises ``TypeError``."""
    if value is None or isinstance(value, str):
        return {"message": value}
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    raise TypeError(
        f"a function under examination should return text, None or a mapping with 'message', not {type(value).__name__}"
    )


def _whole(target: Target, first: inspect.Parameter) -> bool:
    if first.name in _CONVERSATIONS:
        return True
    try:
        hint = get_type_hints(target).get(first.name)
    except (NameError, TypeError):  # an annotation that cannot be looked up says nothing
        return False
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, Sequence) and origin is not str
