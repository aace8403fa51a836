"""Pages (contract, section 1.3)."""

from typing import Annotated, Any

from fastapi import Query

from vivavoce.storage.page import Window

MAX_NUMBER = 2**31 - 1
"""The last page that can be asked for; times the largest size it is far below 64 bits."""

MAX_SIZE = 100


def window(
    number: Annotated[
        int, Query(alias="page[number]", ge=1, le=MAX_NUMBER, description="The page, counted from 1.")
    ] = 1,
    size: Annotated[int, Query(alias="page[size]", ge=1, le=MAX_SIZE, description="Items on a page.")] = 20,
) -> Window:
    """The page a request asks for, for FastAPI's ``Depends``."""
    return Window(number, size)


def meta(total: int, page: Window) -> dict[str, int]:
    """The ``meta`` object; without its ``page_number`` the SDK would ask for the second page for ever."""
    return {
        "page_number": page.number,
        "page_size": page.size,
        "total_pages": -(-total // page.size),
        "total_results": total,
    }


def paged(data: list[Any], total: int, page: Window) -> dict[str, Any]:
    """A list with its ``meta``."""
    return {"data": data, "meta": meta(total, page)}
