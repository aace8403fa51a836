"""Starting, stopping and everything that can stand in the way, as an operator sees it."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.driving import ASSISTANTS, TESTS, driving
from tests.support.server import KEY, MAIN, Server, environment, only_on_sqlite, record, serving
from tests.support.stage import order_tool, staged

from vivavoce import __version__

PROGRAM = f"import sys; sys.argv[0] = 'viva'; {MAIN}"


def viva(*arguments: str, given: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line, as a user types it."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment(given or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def status(url: str, key: str = "") -> int:
    """What a GET answers."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("operator")) as server:
        yield server


async def test_a_run_is_given_back_and_finished_by_the_next_start(tmp_path: Path) -> None:
    tag = "case-01"
    async with staged() as stage:
        call = {"name": "lookup_order", "arguments": {"tag": tag, "order_number": "A-1001"}}
        stage.endpoint.behaviours = [
            {"role": "tester", "say": [f"Where is my order, {tag}?"]},
            {"role": "assistant", "call": call},
        ]
        async with driving(tmp_path, {**stage.settings, "VIVA_GRACE_SECONDS": "0.2"}) as driver:
            assistant = await driver.post(
                ASSISTANTS, {"name": "desk", "instructions": "Help.", "tools": [order_tool(stage.shop_url)]}
            )
            test = await driver.post(
                TESTS,
                {
                    "name": tag,
                    "destination": assistant["id"],
                    "instructions": f"You are {tag}.",
                    "rubric": [{"name": "is polite", "criteria": "The assistant is polite"}],
                },
            )
            stage.hold = lambda _tag, place: place == 4
            run = await driver.post(f"{TESTS}/{test['test_id']}/runs")
            await stage.held({tag})
            driver.server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(driver.server.process.wait, 20)
        assert driver.server.process.returncode == 0
        assert "Traceback" not in driver.server.log
        with record(tmp_path) as database:
            [row] = database.execute(text("SELECT status, lease_token FROM runs")).all()
            events = database.execute(text("SELECT count(*) FROM events")).scalar_one()
        assert row == ("pending", None)
        assert events == 3

        stage.let_go()
        async with driving(tmp_path, stage.settings) as driver:
            [done] = await driver.finished([run])
    assert done["status"] == "passed"
    assert "resumed at turn 3" in done["logs"]
    first = ["tester", "assistant", "tool", "assistant"]
    assert stage.roles(tag) == [*first, "assistant", "tester", "judge"]


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with staged() as stage:
        async with driving(tmp_path, stage.settings) as driver:
            assistant = await driver.post(ASSISTANTS, {"name": "desk", "instructions": "Help."})
            test = {"name": "case-01", "destination": assistant["id"], "instructions": "You are case-01."}
            rubric = [{"name": "is polite", "criteria": "The assistant is polite"}]
            made = await driver.post(TESTS, {**test, "rubric": rubric})
            stage.hold = lambda _tag, _place: True
            await driver.post(f"{TESTS}/{made['test_id']}/runs")
            await stage.held({"case-01"})
            process = driver.server.process
            process.terminate()
            async with asyncio.timeout(20):
                while "stopping" not in driver.server.log:
                    await asyncio.sleep(0.02)
            # It waits for the answer that is held, for as long as it may.
            assert process.poll() is None
            process.terminate()
            assert await asyncio.to_thread(process.wait, 10) == -signal.SIGTERM
        stage.let_go()


@only_on_sqlite
def test_a_second_server_on_the_same_directory_is_refused(server: Server) -> None:
    refused = viva("serve", "--port", "0", "--data-dir", str(server.data_dir))
    assert refused.returncode == 2
    assert refused.stderr == f"Cannot start: another server is using {server.data_dir}\n"
    assert refused.stdout == ""
    assert status(f"{server.url}/readyz") == 200


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = viva("serve", "--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"Cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("VIVA_PORT", "x"),
        ("VIVA_PORT", "70000"),
        ("VIVA_ALLOW_NETWORKS", "nonsense"),
        ("VIVA_LOG_FORMAT", "xml"),
        ("VIVA_PROVIDERS", "{"),
        ("VIVA_PROVIDERS", '{"mine": {"api_key": "sk-secret"}}'),
        ("VIVA_DATABASE_URL", "mysql://user:sk-secret@localhost/viva"),
        ("VIVA_TURN_LIMIT", "0"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, value: str, tmp_path: Path) -> None:
    refused = viva("serve", "--data-dir", str(tmp_path), given={setting: value})
    assert refused.returncode == 2
    assert re.match(rf"{setting}( \(\w+\.\w+\))?: \w", refused.stderr)
    assert len(refused.stderr.splitlines()) == 1
    assert "sk-secret" not in refused.stderr
    assert refused.stdout == ""


def test_a_data_directory_that_is_none_is_told(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file", encoding="utf-8")
    for command in (["serve", "--port", "0"], ["keys", "list"]):
        refused = viva(*command, "--data-dir", str(taken))
        assert refused.returncode == 2
        assert str(taken) in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_the_first_start_prints_a_key_once(tmp_path: Path) -> None:
    with serving(tmp_path, {"VIVA_API_KEY": ""}) as server:
        assert server.process.stdout is not None
        told = server.process.stdout.readline()
        key = re.fullmatch(r"Your admin API key, shown this once: (viva_[\w-]{43})\n", told)
        assert key
        assert status(f"{server.url}/v2/ai/assistants", key[1]) == 200
        assert status(f"{server.url}/v2/ai/assistants", KEY) == 401
    with serving(tmp_path, {"VIVA_API_KEY": ""}) as server:
        assert status(f"{server.url}/v2/ai/assistants", key[1]) == 200
        server.process.terminate()
        server.process.wait(30)
        assert server.process.stdout is not None
        assert server.process.stdout.read() == ""
    assert key[1] not in server.log
    with record(tmp_path) as database:
        assert key[1] not in repr(database.execute(text("SELECT * FROM keys")).all())


def test_keys_are_made_listed_and_revoked_while_the_server_runs(server: Server) -> None:
    where = server.beside
    assistants = f"{server.url}/v2/ai/assistants"
    made = viva("keys", "create", "nightly run", "--json", given=where)
    assert (made.returncode, made.stderr) == (0, "")
    key = json.loads(made.stdout)
    assert status(assistants, key["key"]) == 200

    listed = [json.loads(line) for line in viva("keys", "list", "--json", given=where).stdout.splitlines()]
    assert [(one["name"], one["revoked"]) for one in listed] == [("VIVA_API_KEY", False), ("nightly run", False)]
    assert listed[1]["id"] == key["id"]
    assert listed[1]["hint"] == key["key"][-4:]

    revoked = viva("keys", "revoke", key["id"], given=where)
    assert (revoked.returncode, revoked.stdout) == (0, f"Revoked {key['id']}.\n")
    patient_until = time.monotonic() + 10  # a good key is remembered for a moment
    while status(assistants, key["key"]) != 401:
        assert time.monotonic() < patient_until
    assert status(assistants, server.key) == 200
    told = viva("keys", "list", given=where).stdout.splitlines()
    assert [line.split()[3] for line in told] == ["active", "revoked"]
    assert key["key"] not in "".join(told)

    again = viva("keys", "revoke", key["id"], given=where)
    assert again.returncode == 2
    assert again.stderr == f"There is no active key {key['id']!r}.\n"


@pytest.mark.parametrize(("path", "word"), [("/healthz", "ok"), ("/readyz", "ready")])
def test_health_needs_no_key(server: Server, path: str, word: str) -> None:
    with urllib.request.urlopen(server.url + path, timeout=10) as answer:
        assert json.load(answer) == {"status": word, "version": __version__}


def test_what_is_not_there_is_not_found(server: Server) -> None:
    for path in ("/v2", "/nothing"):
        assert status(f"{server.url}{path}") == 401
        assert status(f"{server.url}{path}", server.key) == 404


def test_the_command_line_explains_itself() -> None:
    helped = viva("--help")
    assert helped.returncode == 0
    for command in ("serve", "worker", "demo", "keys"):
        assert re.search(rf"^  {command} ", helped.stdout, re.MULTILINE)
    served = viva("serve", "--help")
    assert served.returncode == 0
    for word in ("--host", "--port", "--data-dir", "--database-url", "VIVA_PORT", "Example: viva serve"):
        assert word in served.stdout
    assert viva("--version").stdout == f"{__version__}\n"
    assert viva().returncode == 2
    unknown = viva("nonsense")
    assert unknown.returncode == 2
    assert "No such command 'nonsense'" in unknown.stderr
