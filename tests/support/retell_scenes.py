"""Engines, tools and the world around them, for tests with the vendor's Python SDK."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DESK = """You are the desk.
on hear "order": say "What is your order number?"
on hear /A-\\d+/: say "It arrives today."
on hear "bye": say "Goodbye."; hang up"""
CALLER = 'on start: say "Where is my order?"\non hear "number": say "A-1001"\non hear "arrives": say "bye"; hang up'
LOOP = "Ending the conversation early as there might be a loop."
END = [{"type": "end_call", "name": "end_call"}]


def llm(client: Any, prompt: str = DESK, **fields: Any) -> Any:
    fields = {"begin_message": "Hello.", "start_speaker": "agent", "general_tools": END, **fields}
    return client.llm.create(general_prompt=prompt, **fields)


def prompted(text: str, to: str, id_: str = "e") -> dict[str, Any]:
    return {"id": id_, "destination_node_id": to, "transition_condition": {"type": "prompt", "prompt": text}}


def heard(words: str, to: str) -> dict[str, Any]:
    """A way that is taken when the caller has said these words."""
    return prompted(f'the caller says "{words}"', to)


def flow(client: Any, *nodes: dict[str, Any], **fields: Any) -> Any:
    return client.conversation_flow.create(
        start_speaker=fields.pop("start_speaker", "agent"),
        model_choice={"type": "cascading", "model": "gpt-4.1"},
        nodes=list(nodes),
        start_node_id=nodes[0]["id"],
        **fields,
    )


def static(text: str) -> dict[str, Any]:
    return {"type": "static_text", "text": text}


def says(id_: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "type": "conversation", "instruction": static(text), **fields}


@contextmanager
def shop(opens: threading.Event | None = None) -> Generator[tuple[str, list[dict[str, Any]]]]:
    """A web service of the tools: its address, and what it was sent. It answers when it has opened."""
    asked: list[dict[str, Any]] = []

    class Shop(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            asked.append({"headers": {k.lower(): v for k, v in self.headers.items()}, "body": json.loads(body)})
            assert opens is None or opens.wait(60)
            answer = b'{"order": {"state": "shipped"}, "items": [{"name": "book"}]}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Nothing on the terminal."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/orders", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def find_tool(url: str, **fields: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}
    return {"type": "custom", "name": "find", "description": "Finds.", "url": url, "parameters": parameters, **fields}


def mock(
    output: str, args: dict[str, Any] | None = None, name: str = "find", result: bool | None = None
) -> dict[str, Any]:
    rule = {"type": "any"} if args is None else {"type": "partial_match", "args": args}
    return {"tool_name": name, "input_match_rule": rule, "output": output, "result": result}


@contextmanager
def slow_models() -> Generator[str]:
    """The address of models that take half a minute to answer."""
    command = [sys.executable, "-m", "tests.support.endpoint", "--port", "0", "--latency", "30"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().split()[-1]}/v1"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
