"""The query of the conversations list (contract, section 5.15); the language is ``vivavoce.core.query``'s."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from vivavoce.api.shape import unstorable
from vivavoce.api.telnyx.errors import bad_request
from vivavoce.core.filter import Filter
from vivavoce.core.query import Malformed, parse

_AS_THEY_ARE: Mapping[str, str] = MappingProxyType({})


def parse_filter(query: Iterable[tuple[str, str]], sent_as: Mapping[str, str] = _AS_THEY_ARE) -> Filter:
    """The filter in a query string, given as decoded (name, value) pairs. ``sent_as`` are the names that were sent,
    where those that are given are others.

    Raises ``Refused`` (400/10015) that names what is wrong.
    """
    asked = tuple(query)
    for name, text in asked:
        if (fault := unstorable(name) or unstorable(text)) is not None:
            raise bad_request(f"{name}: {fault}", pointer=f"/query/{sent_as.get(name, name)}")
    try:
        return parse(asked)
    except Malformed as failure:
        blamed = failure.name
        pointer = "/query" if blamed is None else f"/query/{sent_as.get(blamed, blamed)}"
        raise bad_request(str(failure), pointer=pointer) from failure
