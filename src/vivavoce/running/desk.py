"""Functions of this process as HTTP destinations on the loopback (docs/reference/http-destination.md).

Only the standard library: whoever examines a function has its own web framework, or none.
"""

import json
import secrets
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

MAX_BYTES = 8 * 1024 * 1024
REMEMBERED = 64
"""Of so many requests of one function the answers are kept, for requests that come again."""

Answer = Mapping[str, Any]
"""``message`` or ``messages``, ``tool_calls``, ``end``, as the page above has them."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the caller says: ``message`` now, the ``turn``-th of theirs, and ``history`` before it, oldest first, as
    ``(role, text)`` with the roles ``user`` and ``assistant``."""

    conversation_id: str
    turn: int
    message: str
    history: tuple[tuple[str, str], ...]
    variables: Mapping[str, Any]


Responder = Callable[[Heard], Answer]
"""Called in a thread of its own; what it raises ends the run as a failure of the assistant."""


@dataclass(slots=True)
class _Place:
    respond: Responder
    answers: dict[str, bytes] = field(default_factory=dict[str, bytes])


@dataclass(frozen=True, slots=True)
class Desk:
    """Where functions are reached."""

    url: str
    _places: dict[str, _Place]

    @contextmanager
    def serving(self, respond: Responder) -> Generator[str]:
        """The address of this function, for as long as the block runs."""
        token = secrets.token_urlsafe(16)
        self._places[token] = _Place(respond)
        try:
            yield f"{self.url}/{token}"
        finally:
            del self._places[token]


@contextmanager
def open_desk() -> Generator[Desk]:
    """A desk on a free port of the loopback."""
    places: dict[str, _Place] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, places))
    server.daemon_threads = True
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), name="viva desk", daemon=True)
    thread.start()
    try:
        yield Desk(f"http://127.0.0.1:{server.server_port}", places)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def heard(body: object) -> Heard:
    """What a request says. Raises ``KeyError``, ``TypeError`` and ``ValueError`` where it has another shape."""
    if not isinstance(body, dict):
        raise TypeError("no object")
    said = cast("dict[str, Any]", body)
    history = tuple((str(one["role"]), str(one["text"])) for one in said.get("history", ()))
    return Heard(
        str(said["conversation_id"]), int(said["turn"]), str(said["message"]), history, said.get("variables") or {}
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120.0

    def __init__(self, places: Mapping[str, _Place], *given: Any) -> None:
        self._places = places
        super().__init__(*given)

    def do_POST(self) -> None:  # the standard library's name
        """Hand on what was heard, and back what was answered."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES:
            self.close_connection = True
            self._send(413, b'{"error": "The length should be told, and be less than 8 MiB."}')
            return
        body = self.rfile.read(int(length))
        place = self._places.get(self.path.removeprefix("/"))
        if place is None:
            self._send(404, b'{"error": "There is nobody here."}')
            return
        try:
            said = heard(json.loads(body))
        except (KeyError, TypeError, ValueError):
            self._send(422, b'{"error": "The request has the wrong shape."}')
            return
        key = self.headers.get("Idempotency-Key", "")
        answer = place.answers.get(key) if key else None
        if answer is None:
            try:
                answer = json.dumps(dict(place.respond(said))).encode()
            except Exception:  # noqa: BLE001  # whoever serves the function keeps what it raised
                self._send(500, b'{"error": "The function failed."}')
                return
            place.answers[key] = answer
            if len(place.answers) > REMEMBERED:
                place.answers.pop(next(iter(place.answers), ""), None)
        self._send(200, answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        """Nothing: what is said is nobody else's business."""

    def _send(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # Whoever asked has left: the run was cancelled, or took too long.
            self.close_connection = True
