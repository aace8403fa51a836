"""What all request shapes have in common: which text can be kept, and what *left out* means."""

import math
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, Strict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from vivavoce.core.depth import MAX_DEPTH

_MAX_REPORTED = 20


def _none() -> None:
    return None


def omitted() -> Any:
    """The default of a field that may be left out, but may not be null unless its type says so."""
    return Field(default_factory=_none)


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, otherwise an empty one: for what was kept as it was sent."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _whole(value: object) -> object:
    """JSON knows one kind of number: 30.0 is the integer 30."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Flag = Annotated[bool, Strict()]
"""true or false, and neither 1 nor "yes"."""

Whole = Annotated[int, Strict(), BeforeValidator(_whole)]
"""An integer."""

Number = Annotated[float, Strict()]
"""Any finite number."""


def sent(body: BaseModel) -> dict[str, Any]:
    """What the client sent, with its own names: fields that were left out are absent."""
    return body.model_dump(by_alias=True, exclude_unset=True)


def refuse(*faults: InitErrorDetails) -> ValidationError:
    """A validation error of these places, to be raised inside a validator; pydantic puts the outer path before them."""
    return ValidationError.from_exception_data("body", list(faults))


def fault(kind: str, message: str, value: object, loc: tuple[int | str, ...] = ()) -> InitErrorDetails:
    """One place that is wrong."""
    # Without a context the message is no template: braces in it stay.
    return InitErrorDetails(type=PydanticCustomError(cast("Any", kind), cast("Any", message)), loc=loc, input=value)


def storable(value: Any) -> Any:
    """Refuse what a database or JSON cannot carry, wherever it is in a request: NUL characters and lone surrogates
    (in keys too), NaN and infinities, and nesting deeper than ``MAX_DEPTH``.

    To be used as ``model_validator(mode="before")`` by every request's outermost shape.
    """
    faults: list[InitErrorDetails] = []
    heap: list[tuple[Any, tuple[int | str, ...]]] = [(value, ())]
    while heap and len(faults) < _MAX_REPORTED:
        found, loc = heap.pop()
        if isinstance(found, str):
            if (message := unstorable(found)) is not None:
                faults.append(fault("string_not_storable", message, found, loc))
        elif isinstance(found, float):
            if not math.isfinite(found):
                faults.append(fault("finite_number", "Input should be a finite number", str(found), loc))
        elif isinstance(found, dict | list):
            if len(loc) >= MAX_DEPTH:
                faults.append(fault("too_deep", f"Input is nested deeper than {MAX_DEPTH} levels", None, loc[:8]))
                continue
            if isinstance(found, dict):
                pairs = list(cast("dict[str, Any]", found).items())
                heap.extend((key, loc) for key, _ in pairs if unstorable(key) is not None)
            else:
                pairs = list(enumerate(cast("list[Any]", found)))
            heap.extend((inner, (*loc, key)) for key, inner in reversed(pairs))
    if faults:
        raise refuse(*faults)
    return value


def unstorable(text: str) -> str | None:
    """Why this text cannot be kept, or None."""
    if "\x00" in text:
        return "Input should not contain NUL characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Input should not contain lone surrogates"
    return None


def private_host(url: str) -> bool:
    """Whether the URL's host is missing, or by its name alone not reachable from outside.

    Addresses behind names are the caller's matter when a connection is made.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return True
    if host in ("", "localhost") or host.endswith((".localhost", ".local")):
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False
