"""The image's recipe, as far as it can be checked without an engine that builds it."""

import fnmatch
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest
from tests.support.commands import parse, statements

from vivavoce.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LINES = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text("utf-8")).splitlines()
HEALTHCHECK = DEPLOY / "healthcheck.py"


def instructions(name: str) -> list[str]:
    """What follows this instruction, in order."""
    return [line.removeprefix(f"{name} ").strip() for line in LINES if line.startswith(f"{name} ")]


def last(name: str) -> list[str]:
    """The words of the last instruction of this name, which is written as JSON."""
    return json.loads(instructions(name)[-1])


def variables() -> dict[str, str]:
    return dict(part.split("=", 1) for line in instructions("ENV") for part in line.split())


def from_outside() -> list[str]:
    """What is copied into the image from the repository."""
    return [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    said = subprocess.run([linter, DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_it_starts_a_server_and_can_start_everything_else() -> None:
    assert last("ENTRYPOINT") == ["viva"]
    assert parse(last("CMD"))["works"] is True


def test_it_runs_without_rights_and_is_stopped_politely() -> None:
    user = instructions("USER")
    assert len(user) == 1
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user[0])
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("VOLUME") == [json.dumps([variables()["VIVA_DATA_DIR"]])]


def test_it_listens_where_it_says() -> None:
    given = {name.removeprefix("VIVA_").lower(): value for name, value in variables().items() if "VIVA_" in name}
    chosen = Settings.model_validate(given)
    assert (chosen.host, [str(chosen.port)]) == ("0.0.0.0", instructions("EXPOSE"))


def test_only_what_is_locked_is_installed() -> None:
    commands = [words for line in instructions("RUN") for words in statements(line)]
    installs = [words for words in commands if {"pip", "install"} <= set(words)]
    assert len(installs) == 3
    remote = [one for one in installs if "--no-index" not in one]
    assert len(remote) == 2
    assert all({"--require-hashes", "--only-binary", ":all:", "--no-deps"} <= set(one) for one in remote)


def test_everything_that_is_copied_is_there_and_let_in() -> None:
    let_in = [
        line.removeprefix("!")
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = from_outside()
    assert {"src/", "requirements/"} <= set(copied)
    for path in copied:
        assert (ROOT / path).exists(), path
        assert any(fnmatch.fnmatch(path.rstrip("/"), pattern) for pattern in let_in), path


def test_what_is_copied_is_enough_to_make_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in from_outside():
        if (ROOT / path).is_dir():
            copytree(ROOT / path, source / path, ignore=ignore_patterns("__pycache__"))
        elif "/" not in path:
            copy(ROOT / path, source / path)
    [recipe] = [line for line in instructions("RUN") if "pip wheel" in line]
    [made] = re.findall(r"-m (pip wheel [^&]+)", recipe)
    words = [str(tmp_path / "wheels") if word == "/wheels" else word for word in made.split()]
    built = subprocess.run(
        [sys.executable, "-m", *words, "--quiet"], cwd=source, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stderr
    [wheel] = (tmp_path / "wheels").iterdir()
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("vivavoce/")}
    ours = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "vivavoce").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert packed == ours


class _Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def checked(port: int) -> int:
    _, _, words = instructions("HEALTHCHECK")[-1].partition("CMD ")
    command = [str(HEALTHCHECK) if word.endswith(HEALTHCHECK.name) else word for word in json.loads(words)]
    assert command[0] == "python"
    # A proxy must not be asked.
    environment = {**os.environ, "VIVA_PORT": str(port), "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    return subprocess.run([sys.executable, *command[1:]], env=environment, timeout=30, check=False).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_tells_what_it_is_told(status: int, healthy: bool) -> None:
    handler = type("Answers", (_Answers,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert (checked(server.server_port) == 0) is healthy
        finally:
            server.shutdown()
            thread.join()
    # Nobody listens there any more.
    assert checked(server.server_port) == 1
