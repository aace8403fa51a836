"""The one shape of errors of the server's own API."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from vivavoce.files.places import follow, sifted

_MOST = 20
_LONGEST = 500


class Place(BaseModel, frozen=True):
    """A part of the request that is wrong."""

    at: str = Field(description="A JSON pointer into the request: `/body/to`, `/query/page`.")
    message: str


class ErrorDetails(BaseModel, frozen=True):
    """What is wrong. ``places`` are there where parts of the request are to blame."""

    status: int
    message: str
    places: list[Place] = []


class ErrorBody(BaseModel, frozen=True):
    """The body of every refusal."""

    error: ErrorDetails


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "The request cannot be done.",
        401: "The key is missing or unknown.",
        403: "The scope of the key does not allow this.",
        404: "There is no such thing.",
        405: "This path does not know that method.",
        409: "It stands in the way of something else.",
        413: "The body is too large.",
        422: "The request has the wrong shape.",
        429: "Too many requests.",
    }.items()
}


def error_body(status: int, message: str, at: str | None = None) -> dict[str, Any]:
    """The JSON body of an error."""
    places = [{"at": at, "message": _plain(message)}] if at else []
    return {"error": {"status": status, "message": _plain(message), "places": places}}


def validation_body(errors: Sequence[Mapping[str, Any]], body: Any = None) -> dict[str, Any]:
    """The JSON body from the errors of a ``RequestValidationError`` over a request with this body."""
    places = [
        {"at": _plain("/" + "/".join(map(str, _place(error, body)))), "message": _plain(str(error["msg"]))}
        for error in list(sifted({"body": body}, errors))[:_MOST]
    ]
    return {"error": {"status": 422, "message": "The request has the wrong shape.", "places": places}}


def _place(error: Mapping[str, Any], body: Any) -> Sequence[Any]:
    """Without the forms of unions that a validator tried on the way."""
    loc: Sequence[Any] = error.get("loc", ())
    if loc[:1] != ("body",) or not isinstance(body, dict | list):
        return loc
    found = follow({"body": body}, loc)
    return (*found, loc[-1]) if error["type"] == "missing" else found


def _plain(text: str) -> str:
    """Cut, and with lone surrogates spelled out: UTF-8 cannot carry them."""
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode("utf-8")
