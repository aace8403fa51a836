"""Guides and the README, with one server that stands for those that they tell their readers to start."""

import socket
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.fences import ROOT, Play, play
from tests.support.server import Server, serving

GUIDES = ROOT / "docs" / "guide"
SUITE = """
suite: a suite
assistant: {name: an assistant, model: scripted}
tests: [{name: a test, scenario: You wait., criteria: [Is kind]}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with serving(tmp_path_factory.mktemp("server"), {"VIVA_ALLOW_NETWORKS": "127.0.0.0/8"}) as running:
        yield running


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def speaking_to(server: Server) -> dict[str, str]:
    return {"VIVA_SERVER": server.url, "VIVA_API_KEY": server.key}


def test_the_readme(server: Server, tmp_path: Path) -> None:
    passed_over = {
        "make demo   # examine a sample assistant, on this machine, without a key": "tests/e2e/test_demo.py",
        "export VIVA_DATABASE_URL=postgresql://viva:secret@db.example.com/viva": "another machine",
    }
    given = Play(tmp_path, {"viva_…": server.key}, speaking_to(server), passed_over, served=True)
    play(ROOT / "README.md", given)
    assert "guarantee" in (tmp_path / "report.html").read_text("utf-8")


def test_an_assistant_behind_http(server: Server, tmp_path: Path) -> None:
    play(GUIDES / "http-assistant.md", Play(tmp_path, {"8500": free_port()}, speaking_to(server), {}))


def test_pytest(server: Server, tmp_path: Path) -> None:
    settings = {**speaking_to(server), "PYTEST_ADDOPTS": "-o asyncio_default_fixture_loop_scope=function"}
    play(GUIDES / "pytest.md", Play(tmp_path, {}, settings, {}))


def test_a_coding_agent(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "desk.viva.yaml").write_text(SUITE, "utf-8")
    play(GUIDES / "coding-agents.md", Play(tmp_path, {}, {}, {}))
    assert (tmp_path / ".viva").is_dir()
