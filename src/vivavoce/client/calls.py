"""Every request that the clients make: what is sent, and how the answer is read. Nothing here sends anything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from vivavoce.client import reading
from vivavoce.client.answers import (
    Applied,
    Batch,
    Chat,
    Comparison,
    ModelStanding,
    Page,
    Point,
    Run,
    SuiteSummary,
    Transcript,
)
from vivavoce.client.errors import ApiError

T = TypeVar("T")
Kind = Literal["runs", "batches", "versions"]
ROOT = "/viva/v1"
PATIENCE_S = 60.0
LONGEST_NAME = 5_000
"""Characters: an address of more than 64 kB is sent by nobody."""
CHAT_S = 600.0
"""How long an assistant may take to answer: its model and its tools have limits of their own."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request. ``path`` is below the API's root and quoted; ``patience_s`` is how long the answer may take."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str | int | bool] | None = None
    body: Any = None
    patience_s: float = PATIENCE_S

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again where nobody knows whether it arrived."""
        return self.method in ("GET", "PUT", "DELETE")


def put_suite(document: Mapping[str, Any], *, prune: bool = False) -> Call[Applied]:
    """Take a suite document over."""
    path = f"/suites/{segment(str(document['suite']))}"
    return Call("PUT", path, reading.applied, {"prune": prune}, dict(document))


def get_suite(name: str) -> Call[dict[str, Any]]:
    """A suite as a document."""
    return Call("GET", f"/suites/{segment(name)}", reading.document)


def get_suites(page: int, size: int) -> Call[Page[SuiteSummary]]:
    """Suites with their last batch."""
    return Call("GET", "/suites", reading.page(reading.suite), {"page": page, "size": size})


def get_history(name: str, limit: int) -> Call[tuple[Point, ...]]:
    """How a suite came out over time."""
    return Call("GET", f"/suites/{segment(name)}/history", reading.history, {"limit": limit})


def get_tests(suite: str | None, page: int, size: int) -> Call[Page[dict[str, Any]]]:
    """Tests as documents, each with its id."""
    return Call("GET", "/tests", reading.page(reading.document), _given(suite=suite, page=page, size=size))


def get_test(test_id: str) -> Call[dict[str, Any]]:
    """One test as a document."""
    return Call("GET", f"/tests/{segment(test_id)}", reading.document)


def create_test(document: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """A new test."""
    return Call("POST", "/tests", reading.document, body=dict(document))


def put_test(test_id: str, document: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """A test as it should be."""
    return Call("PUT", f"/tests/{segment(test_id)}", reading.document, body=dict(document))


def delete_test(test_id: str) -> Call[None]:
    """Remove a test."""
    return Call("DELETE", f"/tests/{segment(test_id)}", reading.nothing)


def get_assistants(page: int, size: int) -> Call[Page[dict[str, Any]]]:
    """Assistants: ids, names, versions."""
    return Call("GET", "/assistants", reading.page(reading.document), {"page": page, "size": size})


def get_assistant(assistant_id: str) -> Call[dict[str, Any]]:
    """One assistant as a document."""
    return Call("GET", f"/assistants/{segment(assistant_id)}", reading.document)


def put_assistant(name: str, document: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Take an assistant document over."""
    return Call("PUT", f"/assistants/{segment(name)}", reading.document, body=dict(document))


def start_batch(
    suite: str | None,
    tests: Mapping[str, int] | None,
    test_ids: Sequence[str] | None,
    version_id: str | None,
    repeats: int | None,
    tokens: int | None,
    money: float | None,
) -> Call[Batch]:
    """Run tests together."""
    body: dict[str, Any] = _given(suite=suite, version_id=version_id, repeats=repeats)
    if tests is not None:
        body["tests"] = [{"id": id_, "repeats": many} for id_, many in tests.items()]
    if test_ids is not None:
        body["test_ids"] = list(test_ids)
    if budget := _given(tokens=tokens, money=money):
        body["budget"] = budget
    return Call("POST", "/batches", reading.batch, body=body)


def get_batch(batch_id: str) -> Call[Batch]:
    """How a batch stands."""
    return Call("GET", f"/batches/{segment(batch_id)}", reading.batch)


def get_batch_runs(batch_id: str, page: int, size: int) -> Call[Page[Run]]:
    """The runs of a batch, newest first."""
    query = {"page": page, "size": size}
    return Call("GET", f"/batches/{segment(batch_id)}/runs", reading.page(reading.run), query)


def get_runs(
    suite: str | None, test_id: str | None, batch_id: str | None, status: str | None, page: int, size: int
) -> Call[Page[Run]]:
    """Runs, newest first."""
    query = _given(suite=suite, test_id=test_id, batch_id=batch_id, status=status, page=page, size=size)
    return Call("GET", "/runs", reading.page(reading.run), query)


def get_run(run_id: str) -> Call[Run]:
    """One run with its story."""
    return Call("GET", f"/runs/{segment(run_id)}", reading.run)


def get_transcript(run_id: str) -> Call[Transcript]:
    """The conversation of a run."""
    return Call("GET", f"/runs/{segment(run_id)}/transcript", reading.transcript)


def cancel_run(run_id: str, reason: str | None) -> Call[Run]:
    """Stop a run."""
    return Call("POST", f"/runs/{segment(run_id)}/cancel", reading.run, body=_given(reason=reason))


def cancel_batch(batch_id: str, reason: str | None) -> Call[int]:
    """Stop what is unfinished of a batch."""
    return Call("POST", f"/batches/{segment(batch_id)}/cancel", reading.how_many, body=_given(reason=reason))


def cancel_suite(name: str, reason: str | None) -> Call[int]:
    """Stop every unfinished run of a suite."""
    return Call("POST", f"/suites/{segment(name)}/cancel", reading.how_many, body=_given(reason=reason))


def compare(kind: Kind, left: str, right: str) -> Call[Comparison]:
    """Two runs, batches or versions beside each other."""
    return Call("GET", f"/comparisons/{kind}", reading.comparison, {"left": left, "right": right})


def get_models(*, probe: bool = False) -> Call[tuple[ModelStanding, ...]]:
    """The models of all roles."""
    return Call("POST", "/models/probe", reading.models) if probe else Call("GET", "/models", reading.models)


def start_chat(assistant_id: str, version_id: str | None, variables: Mapping[str, Any] | None) -> Call[Chat]:
    """Begin to chat with an assistant."""
    body = _given(assistant_id=assistant_id, version_id=version_id, variables=dict(variables) if variables else None)
    return Call("POST", "/conversations", reading.chat(), body=body, patience_s=CHAT_S)


def say(chat_id: str, text: str) -> Call[Chat]:
    """Say something in a chat."""
    path = f"/conversations/{segment(chat_id)}/messages"
    return Call("POST", path, reading.chat(chat_id), body={"text": text}, patience_s=CHAT_S)


def end_chat(chat_id: str) -> Call[None]:
    """End a chat."""
    return Call("DELETE", f"/conversations/{segment(chat_id)}", reading.nothing)


def segment(text: str) -> str:
    """A name or an id as one segment of a path. Raises ``ApiError`` (422) for what no server can be asked for."""
    # Dots alone would mean another path, quoted or not, to whoever normalises it.
    if text in ("", ".", "..") or len(text) > LONGEST_NAME:
        raise ApiError(422, f"{text[:20]!r} cannot be a name or an id.")
    return quote(sendable(text), safe="")


def sendable(text: str) -> str:
    """The text, if it can be a part of an address. Raises ``ApiError`` (422)."""
    try:
        text.encode()
    except UnicodeEncodeError as failure:  # half a character, as a terminal with another encoding hands it over
        raise ApiError(422, f"{text[:20]!r} is not UTF-8.") from failure
    return text


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
