"""Reading an answer's body as text or JSON that can be stored anywhere."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, cast

from vivavoce.core.depth import shallow
from vivavoce.outbound.fetch import Fetched

_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def text_of(fetched: Fetched) -> str:
    """The body as text; bytes that are none are shown by the replacement character. Never raises."""
    named = _CHARSET.search(fetched.headers.get("content-type", ""))
    try:
        text = fetched.body.decode(named[1] if named else "utf-8", errors="replace")
    except (LookupError, ValueError):
        text = fetched.body.decode("utf-8", errors="replace")
    return storable(text)


def json_of(fetched: Fetched) -> Any:
    """The body as JSON; raises as ``parsed`` does."""
    return parsed(fetched.body)


def parsed(written: str | bytes) -> Any:
    """Text as JSON. Raises ``ValueError`` where it is none, holds a number beyond what JSON can write, or is
    nested too deeply to be handled."""
    try:
        found = json.loads(written, parse_constant=_finite, parse_float=_finite)
        if not shallow(found):
            raise ValueError("nested too deeply")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _storable_json(found)


def storable(text: str) -> str:
    """Text without NUL and lone surrogates, which JSON can spell and databases refuse."""
    return _UNSTORABLE.sub("\ufffd", text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a number of JSON")
    return number


def _storable_json(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable_json(each) for each in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {storable(k): _storable_json(v) for k, v in cast("Mapping[str, Any]", value).items()}
    return value
