"""The client for programs that wait."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx2

from vivavoce.client import calls, wire
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
from vivavoce.client.calls import Call, Kind
from vivavoce.client.stream import Follower, News

T = TypeVar("T")


class Client:
    """A server's own API, typed (docs/reference/client.md). A context manager; one thread at a time.

    ``base_url`` is where the server is, such as ``http://127.0.0.1:8080``; ``pause`` waits so many seconds. Raises
    ``ValueError`` for an address that is none, a key that cannot be sent, and where the environment names certificates
    or a proxy that cannot be used. Every method raises ``ApiError`` and ``Unreachable``.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        pause: Callable[[float], object] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        chosen = wire.options(base_url, api_key)
        with wire.making():
            self._http = httpx2.Client(**chosen, transport=transport)
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Do one call of ``vivavoce.client.calls``."""
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._http.send(wire.request(self._http, call))
            except httpx2.RequestError as failure:
                wait = wire.pause(call, attempt, None)
                if wait is None:
                    raise wire.unreachable(failure, self._http) from failure
            else:
                wait = wire.pause(call, attempt, response)
                if wait is None:
                    return wire.result(call, response)
            self._pause(wait)

    def put_suite(self, document: Mapping[str, Any], *, prune: bool = False) -> Applied:
        """Have the server hold this suite document: its tests and the assistants that it brings along. The same again
        changes nothing. ``prune`` retires tests of the suite that the document does not name."""
        return self.send(calls.put_suite(document, prune=prune))

    def get_suite(self, name: str) -> dict[str, Any]:
        """A suite as a document."""
        return self.send(calls.get_suite(name))

    def get_suites(self, *, page: int = 1, size: int = 20) -> Page[SuiteSummary]:
        """A page of the suites, each with its last batch."""
        return self.send(calls.get_suites(page, size))

    def get_history(self, name: str, *, limit: int = 50) -> tuple[Point, ...]:
        """How the latest batches of a suite came out, oldest first."""
        return self.send(calls.get_history(name, limit))

    def get_tests(self, *, suite: str | None = None, page: int = 1, size: int = 20) -> Page[dict[str, Any]]:
        """A page of the tests as documents, each with its ``id``."""
        return self.send(calls.get_tests(suite, page, size))

    def get_test(self, test_id: str) -> dict[str, Any]:
        """One test as a document."""
        return self.send(calls.get_test(test_id))

    def create_test(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Make a test; returns it with its ``id``."""
        return self.send(calls.create_test(document))

    def put_test(self, test_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Have a test be as this document says."""
        return self.send(calls.put_test(test_id, document))

    def delete_test(self, test_id: str) -> None:
        """Remove a test; its runs stay."""
        self.send(calls.delete_test(test_id))

    def get_assistants(self, *, page: int = 1, size: int = 20) -> Page[dict[str, Any]]:
        """A page of the assistants: ``id``, ``name``, ``version_id`` and ``tags``."""
        return self.send(calls.get_assistants(page, size))

    def get_assistant(self, assistant_id: str) -> dict[str, Any]:
        """One assistant as a document."""
        return self.send(calls.get_assistant(assistant_id))

    def put_assistant(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Have the assistant of this name be as the document says; returns ``id``, ``version_id`` and ``change``."""
        return self.send(calls.put_assistant(name, document))

    def start_batch(
        self,
        *,
        suite: str | None = None,
        tests: Mapping[str, int] | None = None,
        test_ids: Sequence[str] | None = None,
        version_id: str | None = None,
        repeats: int | None = None,
        tokens: int | None = None,
        money: float | None = None,
    ) -> Batch:
        """Run together: every test of a ``suite``, those with these ``test_ids``, or ``tests`` by their ids, each as
        often as it says. ``repeats`` stands over what the tests say. ``tokens`` and ``money`` are
        its budget. The batch that is returned has its ``runs``."""
        return self.send(calls.start_batch(suite, tests, test_ids, version_id, repeats, tokens, money))

    def get_batch(self, batch_id: str) -> Batch:
        """How a batch stands."""
        return self.send(calls.get_batch(batch_id))

    def get_batch_runs(self, batch_id: str, *, page: int = 1, size: int = 100) -> Page[Run]:
        """A page of a batch's runs, newest first."""
        return self.send(calls.get_batch_runs(batch_id, page, size))

    def get_runs(
        self,
        *,
        suite: str | None = None,
        test_id: str | None = None,
        batch_id: str | None = None,
        status: str | None = None,
        page: int = 1,
        size: int = 20,
    ) -> Page[Run]:
        """A page of the runs that fit, newest first."""
        return self.send(calls.get_runs(suite, test_id, batch_id, status, page, size))

    def get_run(self, run_id: str) -> Run:
        """One run, with its story."""
        return self.send(calls.get_run(run_id))

    def get_transcript(self, run_id: str) -> Transcript:
        """The conversation of a run, as far as it has come."""
        return self.send(calls.get_transcript(run_id))

    def cancel_run(self, run_id: str, *, reason: str | None = None) -> Run:
        """Stop a run; one that is over stays as it is."""
        return self.send(calls.cancel_run(run_id, reason))

    def cancel_batch(self, batch_id: str, *, reason: str | None = None) -> int:
        """Stop what is unfinished of a batch; returns how many runs that were."""
        return self.send(calls.cancel_batch(batch_id, reason))

    def cancel_suite(self, name: str, *, reason: str | None = None) -> int:
        """Stop every unfinished run of a suite; returns how many that were."""
        return self.send(calls.cancel_suite(name, reason))

    def compare(self, kind: Kind, left: str, right: str) -> Comparison:
        """Two runs, batches or versions beside each other, by their ids."""
        return self.send(calls.compare(kind, left, right))

    def get_models(self, *, probe: bool = False) -> tuple[ModelStanding, ...]:
        """Which model serves which role, and why not where none does; with ``probe`` each is asked for a word."""
        return self.send(calls.get_models(probe=probe))

    def start_chat(
        self, assistant_id: str, *, version_id: str | None = None, variables: Mapping[str, Any] | None = None
    ) -> Chat:
        """Begin to chat with an assistant; its greeting, if it has one, is in the answer."""
        return self.send(calls.start_chat(assistant_id, version_id, variables))

    def say(self, chat_id: str, text: str) -> Chat:
        """Say something in a chat and wait for what comes of it."""
        return self.send(calls.say(chat_id, text))

    def end_chat(self, chat_id: str) -> None:
        """End a chat."""
        self.send(calls.end_chat(chat_id))

    def follow_run(self, run_id: str) -> Generator[News]:
        """What happens in a run from its beginning on; ends with ``RunEnded``, or ``Deleted``."""
        return self._follow(Follower(f"/runs/{calls.segment(run_id)}/events", run_id))

    def follow_batch(self, batch_id: str) -> Generator[News]:
        """How the runs of a batch change; ends with ``BatchEnded``, or ``Deleted``."""
        return self._follow(Follower(f"/batches/{calls.segment(batch_id)}/events", batch_id))

    def follow_all(self, *, suite: str | None = None, test_id: str | None = None) -> Generator[News]:
        """How runs change from now on; has no end."""
        given = (("suite", suite), ("test_id", test_id))
        query = {name: wire.plain(value) for name, value in given if value is not None}
        return self._follow(Follower("/events", query=query))

    def _follow(self, follower: Follower) -> Generator[News]:
        attempt = 0
        while not follower.over:
            attempt += 1
            failure: Exception | None = None
            headers: Mapping[str, str] = {}
            try:
                with self._http.stream(
                    "GET",
                    follower.path,
                    params=follower.query,
                    headers=follower.headers,
                    timeout=wire.STREAM_TIMEOUT,
                ) as response:
                    if response.status_code == wire.EVERYTHING_WAS_TOLD:
                        return
                    if response.is_success:
                        for event in httpx2.EventSource(response, wire.MAX_EVENT):
                            attempt = 0
                            if (told := wire.told(follower, event)) is not None:
                                yield told
                            if follower.over:
                                return
                    else:
                        response.read()
                        headers = wire.passing(response)
            except httpx2.RequestError as broken:
                failure = broken
            wait = wire.stream_pause(attempt, headers)
            if wait is None:
                raise wire.unreachable(failure or TimeoutError("the stream broke off"), self._http) from failure
            self._pause(wait)
