"""Whether a model's arguments fit a tool's schema."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, validators
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

_TOLD = 500  # characters: a mismatch quotes what does not fit, however long that is

Check = Callable[[Mapping[str, Any]], str | None]


def mismatch(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """The first thing that does not fit, in words for the model, or None.

    A schema that is none, or that refers to another document, is not checked against. Regular
    expressions are not tried: they come from users, and some take forever.
    """
    try:
        return _check(json.dumps(schema))(arguments)
    except (TypeError, ValueError, RecursionError, Unresolvable):
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
    patternless = cast("Any", validators).extend(chosen, {"pattern": _anything, "patternProperties": _anything})
    # An empty registry: the default one would fetch what a schema refers to, from anywhere.
    validator: Validator = patternless(schema, registry=cast("Any", Registry)())

    def check(arguments: Mapping[str, Any]) -> str | None:
        error = next(iter(validator.iter_errors(dict(arguments))), None)
        if error is None:
            return None
        place = ".".join(str(each) for each in error.absolute_path)
        message = error.message if len(error.message) <= _TOLD else error.message[:_TOLD] + "…"
        return f"{place}: {message}" if place else message

    return check


def _anything(*_: object) -> tuple[()]:
    return ()
