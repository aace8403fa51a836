"""Where in a document an error is, and what it says: the words of a validator, made ready for people."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel

Step = str | int
Loc = tuple[Step, ...]

_MOST_KEYS = 12


def follow(value: Any, loc: Sequence[Any]) -> Loc:
    """The steps of ``loc`` that lead through the value. What a validator puts in between (which form of a union it
    tried) leads nowhere, and is left out; so is what is missing."""
    found: list[Step] = []
    for step in loc:
        if isinstance(value, Mapping) and step in value:
            value = cast("Mapping[str, Any]", value)[step]
        elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[step]
        else:
            continue
        found.append(step)
    return tuple(found)


def sifted(value: Any, errors: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The errors without those of forms of a union that were not meant: where a thing says its ``kind``, those of the
    other kinds."""
    others = {tuple(one["loc"][:-1]) for one in errors if one["type"] == "literal_error" and one["loc"][-1] == "kind"}
    told: set[Loc] = set()
    for one in errors:
        loc = tuple(one["loc"])
        meant = not any(loc[: len(other)] == other for other in others)
        # Where no form is meant, the kind is no kind, and one error says so.
        if not meant and loc[:-1] in others and loc[-1] == "kind":
            place = follow(value, loc)
            kinds = [other for other in others if follow(value, other) == place[:-1]]
            tried = {tuple(each["loc"][: len(kinds[0])]) for each in errors if _beside(each["loc"], kinds[0])}
            if tried <= others and place not in told:
                told.add(place)
                yield one
        elif meant:
            yield one


def _beside(loc: Sequence[Any], form: Loc) -> bool:
    return len(loc) >= len(form) and tuple(loc[: len(form) - 1]) == form[:-1]


def said(model: Any, error: Mapping[str, Any]) -> str:
    """What the error says, to somebody who writes a document of this shape."""
    loc, kind, given = error["loc"], error["type"], error.get("input")
    match kind:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return _unknown(str(loc[-1]), sorted(_keys(model, loc[:-1])))
        case "missing" | "missing_argument" | "union_tag_not_found":
            name = "kind" if kind == "union_tag_not_found" else loc[-1]
            return f"{name!r} is missing"
        case "string_type" if isinstance(given, bool | int | float) or given is None:
            return "this should be text: put it in quotation marks"
        case "literal_error" if loc[-1] == "kind":
            return f"there is no kind {given!r} here"
        case "union_tag_invalid":
            kinds = str(error["ctx"]["expected_tags"])
            return f"there is no kind {error['ctx']['tag']!r} here; there are {kinds}"
        case _:
            message = str(error["msg"]).removeprefix("Value error, ")
            return re.sub(r"^(Input|List|String|Dictionary) should", "this should", message)


def _unknown(key: str, known: Sequence[str]) -> str:
    close = get_close_matches(key, known, 1)
    if close:
        return f"there is no key {key!r} here; did you mean {close[0]!r}?"
    more = ", …" if len(known) > _MOST_KEYS else ""
    return f"there is no key {key!r} here; there are {', '.join(known[:_MOST_KEYS])}{more}"


def _keys(model: Any, loc: Sequence[Any]) -> set[str]:
    """The keys that a document may have at that place."""
    here = list(_shapes(model))
    for step in loc:
        fields = [hints[step] for shape in here if isinstance(step, str) and step in (hints := _hints(shape))]
        if fields:
            here = [shape for field in fields for shape in _shapes(field)]
        else:
            here = [shape for shape in here if step in (shape.__name__, _kind(shape))] or here
    return {name for shape in here for name in _hints(shape)}


def _shapes(hint: Any) -> Iterator[type[Any]]:
    """The models and dataclasses in a type, unions, lists and maps looked through."""
    if isinstance(hint, type) and _names(hint):
        yield hint
    elif get_origin(hint) is Annotated:
        yield from _shapes(get_args(hint)[0])
    else:
        for one in get_args(hint):
            yield from _shapes(one)


def _names(shape: type[Any]) -> Mapping[str, Any]:
    """Its fields, if it has any, with their defaults."""
    if issubclass(shape, BaseModel):
        return {name: one.default for name, one in shape.model_fields.items()}
    return {one.name: one.default for one in dataclasses.fields(shape)} if dataclasses.is_dataclass(shape) else {}


def _hints(shape: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(shape, include_extras=True)
    return {name: hints[name] for name in _names(shape) if name in hints}


def _kind(shape: type[Any]) -> object:
    return _names(shape).get("kind")
