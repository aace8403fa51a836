"""The query of the conversations list (contract, section 5.15); the language is ``vivavoce.core.query``'s."""

from collections.abc import Iterable

from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire.shape import unstorable
from vivavoce.core.filter import Filter
from vivavoce.core.query import Malformed, parse


def parse_filter(query: Iterable[tuple[str, str]]) -> Filter:
    """The filter in a query string, given as decoded (name, value) pairs.

    Raises ``Refused`` (400/10015) that names what is wrong.
    """
    asked = tuple(query)
    for name, text in asked:
        if (fault := unstorable(name) or unstorable(text)) is not None:
            raise bad_request(f"{name}: {fault}", pointer=f"/query/{name}")
    try:
        return parse(asked)
    except Malformed as failure:
        raise bad_request(
            str(failure), pointer="/query" if failure.name is None else f"/query/{failure.name}"
        ) from failure
