"""The two families of error bodies of this API (contract, section 1.4): ``errors[]`` and FastAPI's ``detail``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from pydantic import BaseModel, Field

MAX_ECHO = 200
"""The longest piece of a request, in characters of JSON, that a validation error repeats."""

MAX_ITEMS = 100
"""The most items that one validation error lists."""

STANDARD: dict[int, tuple[str, str]] = {
    400: ("10015", "Bad Request"),
    401: ("10009", "Unauthorized"),
    403: ("10010", "Forbidden"),
    404: ("10005", "Not Found"),
    409: ("10036", "Conflict"),
    413: ("10007", "Content Too Large"),
    422: ("10027", "Unprocessable Entity"),
    429: ("10011", "Too Many Requests"),
    500: ("10007", "Internal Server Error"),
    503: ("10016", "Service Unavailable"),
}
"""HTTP status → (code, title), after section 1.4. Statuses that are not listed come from the framework."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal of the ``errors[]`` family. ``pointer`` is a JSON pointer into the request, or ``/header/<name>``."""

    status: int
    code: str
    title: str
    detail: str
    pointer: str | None = None


class Refused(Exception):  # it is a refusal, raised where an answer was expected
    """Raised where a request cannot be answered; the handler renders ``problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def problem(status: int, detail: str, *, pointer: str | None = None, code: str | None = None) -> Problem:
    """A problem with the code and title of its status. A status outside ``STANDARD`` is the framework's own."""
    if status not in STANDARD:
        return fallback(status, detail)
    standard, title = STANDARD[status]
    return Problem(status, code or standard, title, detail, pointer)


def fallback(status: int, detail: str = "") -> Problem:
    """What the framework itself refuses: an unknown route, a wrong method. ``code`` is the status as text."""
    title = STANDARD[status][1] if status in STANDARD else HTTPStatus(status).phrase
    return Problem(status, str(status), title, detail or title)


def bad_request(detail: str, *, pointer: str | None = None) -> Refused:
    """A semantic refusal, 400/10015."""
    return Refused(problem(400, detail, pointer=pointer))


def not_found(detail: str) -> Refused:
    """An unknown id, 404/10005."""
    return Refused(problem(404, detail))


def errors_body(*problems: Problem) -> dict[str, Any]:
    """The JSON body of the ``errors[]`` family."""
    return {"errors": [_item(one) for one in problems]}


def _item(one: Problem) -> dict[str, Any]:
    item: dict[str, Any] = {"code": one.code, "title": plain(one.title), "detail": plain(one.detail)}
    if one.pointer is not None:
        item["source"] = {"pointer": plain(one.pointer)}
    return item


def validation_body(errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON body of the ``detail`` family from the errors of a ``RequestValidationError``.

    The result can always be written as JSON. ``input`` is repeated only where it is short, ``url`` never.
    """
    return {"detail": [_validation_item(error) for error in errors[:MAX_ITEMS]]}


def _validation_item(error: Mapping[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "loc": [part if isinstance(part, int) else plain(str(part)) for part in error.get("loc", ())],
        "msg": plain(str(error.get("msg", ""))),
        "type": plain(str(error.get("type", "value_error"))),
    }
    if "input" in error and (shown := _short(error["input"])) is not None:
        item["input"] = shown.value
    context = error.get("ctx")
    if isinstance(context, Mapping):
        known = cast("Mapping[object, object]", context)
        item["ctx"] = {plain(str(key)): _simple(value) for key, value in known.items()}
    return item


@dataclass(frozen=True, slots=True)
class _Shown:
    value: Any


def _short(value: object) -> _Shown | None:
    """The value where it is JSON and short. Wrapped, because null is a value too."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    # UTF-8 cannot carry a lone surrogate; a question mark stands in for it.
    return _Shown(json.loads(text.encode("utf-8", "replace"))) if len(text) <= MAX_ECHO else None


def _simple(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    return plain(str(value))


def plain(text: str) -> str:
    """The text cut to ``MAX_ECHO`` characters, with lone surrogates spelled out: UTF-8 cannot carry them."""
    cut = text if len(text) <= MAX_ECHO else text[: MAX_ECHO - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")


class ErrorSource(BaseModel, frozen=True):
    """What in the request the error is about."""

    pointer: str = Field(description="A JSON pointer into the request, or `/header/<name>`.")


class ErrorItem(BaseModel, frozen=True):
    """One error; `code` is a string of digits."""

    code: str
    title: str
    detail: str | None = None
    source: ErrorSource | None = None
    meta: dict[str, Any] | None = None


class ErrorsBody(BaseModel, frozen=True):
    """The body of every refusal but a validation error."""

    errors: list[ErrorItem]


class ValidationItem(BaseModel, frozen=True):
    """One place in the request that has the wrong shape."""

    loc: list[str | int]
    msg: str
    type: str
    input: Any = None
    ctx: dict[str, Any] | None = None


class ValidationBody(BaseModel, frozen=True):
    """The body of a validation error."""

    detail: list[ValidationItem]


_DESCRIPTIONS: dict[int, str] = {
    400: "The request makes no sense here, such as a second tool of a kind that may exist once.",
    401: "The key is missing or unknown.",
    403: "The scope of the key does not allow this.",
    404: "There is no such thing.",
    405: "This path does not know that method.",
    408: "The body did not come in time.",
    409: "A request with the same Idempotency-Key is still being answered.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request has the wrong shape, or its Idempotency-Key was used for another request.",
    429: "Too many requests.",
    500: "The server failed.",
    503: "The server cannot answer now.",
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorsBody | ValidationBody if status == 422 else ErrorsBody, "description": description}
    for status, description in _DESCRIPTIONS.items()
}
"""For FastAPI's ``responses=``: every status that an operation of this API can answer besides its success."""
