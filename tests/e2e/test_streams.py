"""Live events over a real connection: through the gate, until the server stops."""

import time
from pathlib import Path

from tests.support.raw import connect
from tests.support.server import serving

SOON_S = 8.0
"""Less than clients may take to finish, who are told nothing."""


def test_whoever_watches_is_sent_away_by_a_server_that_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        connection = connect(server)
        try:
            headers = {"Authorization": f"Bearer {server.key}"}
            connection.request("GET", "/viva/v1/events", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.getheader("Content-Type") == "text/event-stream"
            assert answer.getheader("Cache-Control") == "no-store"
            assert answer.getheader("X-Request-Id")
            began = time.monotonic()
            server.process.terminate()
            assert server.process.wait(30) == 0
            assert time.monotonic() - began < SOON_S
            assert answer.read() == b": the server stops\n\n"
        finally:
            connection.close()
