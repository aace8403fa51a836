"""What a tool's schema says of arguments: JSON Schema by its library, held within bounds."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from jsonschema.exceptions import UnknownType
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

_TOLD = 500  # characters: a mismatch quotes what does not fit, however long that is
_MOST_STEPS = 25_000
_UNTRIED = ("pattern", "patternProperties", "unevaluatedItems", "unevaluatedProperties")
"""Keywords whose work cannot be counted."""

Check = Callable[[Mapping[str, Any]], str | None]
Keyword = Callable[[Validator, Any, Any, Any], Any]


def fits(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """As ``vivavoce.tools.arguments.mismatch`` says."""
    try:
        return _check(json.dumps(schema))(arguments)
    except (ArithmeticError, AttributeError, TypeError, ValueError, RecursionError, UnknownType, Unresolvable):
        return None


@lru_cache(maxsize=256)
def _check(schema_json: str) -> Check:
    """Made once for a schema, since reading one takes longer than using it."""
    schema: Any = json.loads(schema_json)
    chosen = validators.validator_for(schema, default=Draft202012Validator)
    try:
        chosen.check_schema(schema)
    except SchemaError:
        return lambda _: None
    left = 0

    def counted(keyword: Keyword) -> Keyword:
        def one(validator: Validator, value: Any, instance: Any, within: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise ValueError("too many steps")
            return keyword(validator, value, instance, within)

        return one

    known = cast("Mapping[str, Keyword]", cast("Any", chosen).VALIDATORS)
    ours = {name: counted(keyword) for name, keyword in known.items()}
    if "additionalProperties" in known:
        ours["additionalProperties"] = _patternless(ours["additionalProperties"])
    ours |= {"uniqueItems": _unique, **dict.fromkeys(_UNTRIED, _anything)}
    bounded = cast("Any", validators).extend(chosen, ours)
    # An empty registry: the default one would fetch what a schema refers to, from anywhere.
    validator: Validator = bounded(schema, registry=cast("Any", Registry)())

    def check(arguments: Mapping[str, Any]) -> str | None:
        nonlocal left
        left = _MOST_STEPS
        error = next(iter(validator.iter_errors(dict(arguments))), None)
        if error is None:
            return None
        place = ".".join(str(each) for each in error.absolute_path)
        message = error.message if len(error.message) <= _TOLD else error.message[:_TOLD] + "…"
        return f"{place}: {message}" if place else message

    return check


def _unique(_: Validator, wanted: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    """The library's own compares each item with each."""
    if wanted is True and isinstance(instance, list):
        items = [json.dumps(one, sort_keys=True) for one in cast("list[Any]", instance)]
        if len(set(items)) < len(items):
            yield ValidationError("items are not all different")


def _patternless(additional: Keyword) -> Keyword:
    """What is additional depends on the neighbour's patterns, if it has any, and then nobody can say."""

    def one(validator: Validator, value: Any, instance: Any, within: Any) -> Any:
        return () if within.get("patternProperties") else additional(validator, value, instance, within)

    return one


def _anything(*_: object) -> tuple[()]:
    return ()
