"""Stretches of lists: ``limit`` and ``pagination_key`` (contract, section 1.3)."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Query

from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.ids import Kind, is_written, read
from vivavoce.storage.page import Span

MOST = 1000
"""The most items of one stretch."""

Limit = Annotated[int, Query(ge=1, le=MOST)]
Key = Annotated[str | None, Query(max_length=512)]
Order = Annotated[Literal["ascending", "descending"], Query()]


def span(kind: str, limit: int, key: str | None, order: Literal["ascending", "descending"] = "descending") -> Span:
    """The stretch that is asked for. Raises ``Refused`` for a key that is of no such list."""
    return Span(limit, _after(kind, key) if key else None, order == "ascending")


def paged(kind: str, items: Sequence[dict[str, Any]], last_id: str | None, *, more: bool) -> dict[str, Any]:
    """The answer. ``last_id`` is the server's id of the last item; the key is absent on the last stretch."""
    page: dict[str, Any] = {"items": list(items), "has_more": more}
    return page | {"pagination_key": _key(kind, last_id)} if more and last_id is not None else page


def behind(kind: Kind, key: str | None, number: int | None) -> tuple[str, int | None] | None:
    """The last one that a client of an older list has seen, by its id and the number of its version. It may be gone
    meanwhile: ids sort by the time they were made. Raises ``Refused`` for what is no id of this kind."""
    if not key:
        return None
    if not is_written(kind, key):
        raise Refused(400, "pagination_key is not an id of this list.")
    return read(kind, key), number


def _key(kind: str, id_: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{id_}".encode()).decode().rstrip("=")


def _after(kind: str, key: str) -> str:
    try:
        named, _, id_ = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)).decode().partition(":")
    except (binascii.Error, ValueError):
        named, id_ = "", ""
    if named != kind or not id_ or "\x00" in id_:
        raise Refused(400, "pagination_key is not a key that this list has given out.")
    return id_
