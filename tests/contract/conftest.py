"""One server for all contract tests of a process."""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support.providers import providing
from tests.support.server import Server, serving

_HERE = Path(__file__).parent


def _patterns(file: str, root: str) -> dict[str, tuple[str, re.Pattern[str]]]:
    return {
        one["operation"]: (one["method"], re.compile(root + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(one["path"]))))
        for one in json.loads((_HERE / file).read_text("utf-8"))
    }


_PATTERNS = _patterns("operations.json", "/v2") | _patterns("retell/operations.json", "")


@contextmanager
def _open(directory: Path) -> Generator[Server]:
    settings = {
        "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
        "VIVA_MODEL_FALLBACK": "default",
        "VIVA_RATE_LIMIT": "100000",  # all tests of a process share one key
    }
    with providing() as url:
        settings["VIVA_IMPORT_URLS"] = json.dumps(dict.fromkeys(("elevenlabs", "vapi", "retell"), url))
        with serving(directory, settings) as server:
            yield server


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """``viva serve`` with the scripted model; loopback is allowed, for tools and destinations of the tests."""
    with _open(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def wild_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server for requests that are made up: what they leave behind, the SDKs need not understand."""
    with _open(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(autouse=True)
def operations_are_really_called(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A test that is marked with an operation must have sent its request, and been answered well."""
    marker = request.node.get_closest_marker("operation")
    if marker is None:
        yield
        return
    seen: list[tuple[str, str]] = []
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def note(sent: httpx.Request, answer: httpx.Response) -> None:
        if answer.is_success:
            seen.append((sent.method, urlsplit(str(sent.url)).path))

    def sending(self: httpx.Client, sent: httpx.Request, **given: Any) -> httpx.Response:
        answer = send(self, sent, **given)
        note(sent, answer)
        return answer

    async def sending_async(self: httpx.AsyncClient, sent: httpx.Request, **given: Any) -> httpx.Response:
        answer = await send_async(self, sent, **given)
        note(sent, answer)
        return answer

    monkeypatch.setattr(httpx.Client, "send", sending)
    monkeypatch.setattr(httpx.AsyncClient, "send", sending_async)
    yield
    for operation in marker.args:
        method, path = _PATTERNS[operation]
        assert any(verb == method and path.fullmatch(place) for verb, place in seen), f"{operation} was not called"
