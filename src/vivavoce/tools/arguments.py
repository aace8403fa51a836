"""Whether a model's arguments fit a tool's schema."""

from collections.abc import Mapping
from typing import Any


def mismatch(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """The first thing that does not fit, in words for the model, or None.

    A schema that is none, or that refers to another document, is not checked against. Nor is one that takes too many
    steps, and regular expressions are not tried: they come from users and from servers of others, and some of them take
    forever.
    """
    # Here, since the library is large and most conversations call nothing.
    from vivavoce.tools.bounded import fits

    return fits(schema, arguments)
