"""What a dashboard's assistants talk to: a destination that answers when it is told to, and a shop for tool calls.

Both run in threads of their own, so that a browser can be driven beside them.
"""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import httpx

from tests.support.server import KEY, Server

PATIENCE_S = 30.0


@dataclass
class Bot:
    """A destination over HTTP (docs/reference/http-destination.md)."""

    url: str = ""
    answers: Queue[dict[str, Any]] = field(default_factory=Queue[dict[str, Any]])

    def answer(self, words: str, called: str = "") -> None:
        """To the next message, or to the one that waits; ``called`` is a tool that was called on the way."""
        calls = [{"name": called, "arguments": {"where": "here"}, "result": {"seen": "nothing"}}] if called else []
        self.answers.put({"message": words, "tool_calls": calls})


@dataclass
class Shop:
    """Where orders are looked up."""

    url: str = ""


@contextmanager
def a_bot() -> Generator[Bot]:
    """One on a free port."""
    bot = Bot()
    with _serving(lambda: bot.answers.get(timeout=PATIENCE_S)) as url:
        bot.url = url
        yield bot


@contextmanager
def a_shop() -> Generator[Shop]:
    """One on a free port, where every order arrives on Friday."""
    with _serving(lambda: {"eta": "Friday"}) as url:
        yield Shop(url)


@contextmanager
def _serving(answer: Callable[[], dict[str, Any]]) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"] or 0))
            body = json.dumps(answer()).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # theirs is called so
            pass

        def handle(self) -> None:
            # Who was cancelled does not wait for the answer.
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def a_desk(server: Server, shop: Shop, key: str = KEY) -> str:
    """The id of a new assistant that looks orders up there."""
    text = {"type": "string"}
    parameters = {"type": "object", "properties": {"number": text}, "required": ["number"]}
    body = {
        "name": "Order desk",
        "model": "scripted",
        "greeting": "Hello, this is the desk.",
        "instructions": 'on hear /\\b([A-Z]-\\d{4})\\b/: call lookup_order {"number": "$1"}\n'
        'on result lookup_order: say "It arrives on ${eta}."\nelse: say "Pardon?"',
        "tools": [
            {
                "type": "webhook",
                "webhook": {
                    "name": "lookup_order",
                    "description": "Look an order up.",
                    "url": shop.url,
                    "method": "POST",
                    "body_parameters": parameters,
                },
            }
        ],
    }
    made = httpx.post(f"{server.url}/v2/ai/assistants", json=body, headers={"Authorization": f"Bearer {key}"})
    assert made.status_code == 200, made.text
    return made.json()["id"]
