"""What can go wrong between a program and a server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the request that is wrong: a JSON pointer into it, such as ``/body/tests/0/name``."""

    at: str
    message: str


class ApiError(Exception):
    """The server refused a request, or answered what this client cannot read.

    ``status`` is that of HTTP, ``message`` what the server says of it. ``pointer`` names the first part of the request
    that is to blame, ``places`` all that the server named.
    """

    def __init__(self, status: int, message: str, pointer: str | None = None, places: Sequence[Place] = ()) -> None:
        at = f" (at {pointer})" if pointer else ""
        super().__init__(f"{message}{at}")
        self.status, self.message, self.pointer, self.places = status, message, pointer, tuple(places)


class Unreachable(Exception):
    """There is no connection to the server, or it broke off."""


def refusal(status: int, body: object) -> ApiError:
    """The error that an answer tells of; its body may be anything."""
    told = _mapping(_mapping(body).get("error"))
    listed: object = told.get("places")
    found = cast("list[object]", listed) if isinstance(listed, list) else []
    places = [
        Place(str(one.get("at", "")), str(one.get("message", ""))) for one in map(_mapping, found) if one.get("at")
    ]
    message = str(told.get("message") or f"The server answered {status}.")
    if not places:
        return ApiError(status, message)
    # What is said of the place is plainer than what is said of all of them together.
    return ApiError(status, places[0].message or message, places[0].at, places)


def unreadable(status: int, why: str) -> ApiError:
    """An answer in another shape than this client knows."""
    return ApiError(status, f"The server answered in a shape that is not known here ({why}).")


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
