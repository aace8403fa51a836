"""The error body of this API: ``{"status": "error", "message": …}`` (contract, section 1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from vivavoce.services.errors import NotFound

MAX_ITEMS = 5
"""The most places that one message about a request's shape names."""


class Refused(Exception):  # it is a refusal, raised where an answer was expected
    """Raised where a request cannot be answered; the handler renders it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ErrorBody(BaseModel, frozen=True):
    """The body of every refusal."""

    status: str
    message: str


def body(message: str) -> dict[str, Any]:
    """The JSON body of a refusal; lone surrogates are spelled out, because UTF-8 cannot carry them."""
    return {"status": "error", "message": message.encode("utf-8", "backslashreplace").decode("utf-8")}


def missing(status: int, noun: str, id_: str, failure: NotFound) -> Refused:
    """The refusal of an id, or of one of its versions, that is not there, as the client wrote it."""
    what = f"Version {failure.id} of {id_!r}" if failure.noun == "version" else f"{noun} {id_!r}"
    return Refused(status, f"{what} was not found.")


def render(_status: int, detail: str, _pointer: str | None) -> Mapping[str, Any]:
    """The body of an error that the gate answers."""
    return body(detail)


def validation_message(errors: Sequence[Mapping[str, Any]]) -> str:
    """One line about what in the request has the wrong shape."""
    said = [f"{_place(error.get('loc', ()))}: {error.get('msg', '')}" for error in errors[:MAX_ITEMS]]
    more = f"; and {len(errors) - MAX_ITEMS} more" if len(errors) > MAX_ITEMS else ""
    return "Invalid request format: " + "; ".join(said) + more


def _place(loc: Sequence[int | str]) -> str:
    parts = [str(part)[:100] for part in loc]
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("body", "query", "path") else parts) or "body"


_DESCRIPTIONS: dict[int, str] = {
    400: "The request has the wrong shape, or makes no sense here.",
    401: "The key is missing or unknown.",
    402: "Never answered by this server.",
    403: "The scope of the key does not allow this.",
    404: "There is no such thing.",
    405: "This path does not know that method.",
    408: "The body did not come in time.",
    409: "Somebody else is doing this right now.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "There is no such thing under this key, or it is in no state for this.",
    429: "Too many requests.",
    500: "The server failed.",
    503: "The server cannot answer now.",
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description} for status, description in _DESCRIPTIONS.items()
}
"""For FastAPI's ``responses=``: every status that an operation of this API can answer besides its success."""
