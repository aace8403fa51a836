"""HTTP by hand: requests that no well-behaved client would send."""

import http.client
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.support.server import Server

Header = tuple[str, str]
JSON: Header = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(server: Server) -> http.client.HTTPConnection:
    address = urlsplit(server.url)
    assert address.hostname
    return http.client.HTTPConnection(address.hostname, address.port, timeout=30)


def send(
    server: Server,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: Sequence[Header] = (),
    *,
    key: str | None = None,
) -> Answer:
    """One request on a connection of its own; an iterable body goes in chunks. The server's key unless another, or an
    empty one, is given. Header lines may repeat."""
    connection = connect(server)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        secret = server.key if key is None else key
        for name, value in (*((("Authorization", f"Bearer {secret}"),) if secret else ()), *headers):
            connection.putheader(name, value)
        if isinstance(body, bytes):
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
        elif body is not None:
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(body, encode_chunked=True)
        else:
            connection.endheaders()
        return read(connection)
    finally:
        connection.close()


def read(connection: http.client.HTTPConnection) -> Answer:
    """The answer to what was sent."""
    response = connection.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, found, response.read())


def send_json(server: Server, method: str, path: str, body: Any = None, headers: Sequence[Header] = ()) -> Answer:
    """One request with a JSON body; surrogates go as escapes."""
    if body is None:
        return send(server, method, path, headers=headers)
    return send(server, method, path, json.dumps(body).encode(), (JSON, *headers))
