"""``viva export`` and ``viva import`` that speak to a server."""

import json
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest
from tests.cli.test_exchange import SUITE, viva
from tests.support.server import Server, serving

from vivavoce.cli import logs


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with serving(tmp_path_factory.mktemp("server"), {}, dev=False) as one:
        yield one


@pytest.fixture(autouse=True)
def around(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIVA_SERVER", server.url)
    monkeypatch.setenv("VIVA_API_KEY", server.key)

    # It sets up the logs of this whole process.
    def configure(_form: str, _level: str) -> None: ...

    monkeypatch.setattr(logs, "configure", configure)
    monkeypatch.chdir(tmp_path)
    Path("orders.viva.yaml").write_text(SUITE, "utf-8")


def imported(*words: object) -> list[tuple[str, str]]:
    done = viva("import", *words, "--json")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [(row["name"], row["change"]) for row in rows]


def test_files_go_to_the_server_and_come_back() -> None:
    assert imported("orders.viva.yaml") == [("Desk", "created"), ("order", "created"), ("elsewhere", "created")]
    done = viva("export", "--output", "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == ["out/assistants/Desk.yaml", "out/shop-orders.viva.yaml"]
    assert {change for _, change in imported("out")} == {"unchanged"}
    Path("fewer.yaml").write_text(SUITE.partition("  - name: elsewhere")[0], "utf-8")
    assert imported("fewer.yaml", "--prune")[-1] == ("elsewhere", "retired")


@pytest.mark.parametrize("what", [("--suite", "shop/orders"), ("--assistant", "Desk")])
def test_one_thing_is_printed_with_all_that_it_takes(what: tuple[str, str]) -> None:
    imported("orders.viva.yaml")
    done = viva("export", *what)
    assert done.exit_code == 0, done.output
    assert "name: Desk" in done.stdout
    Path("printed.yaml").write_text(done.stdout, "utf-8")
    assert {change for _, change in imported("printed.yaml")} == {"unchanged"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import", "lost.yaml"), "There is no assistant with the name 'Nobody'."),
        (("export", "--suite", "none"), "'none'"),
        (("export", "--assistant", "none"), "There is no assistant 'none'."),
        (("import", "orders.viva.yaml", "--api-key", "wrong"), "Cannot do this"),
        (("import", "orders.viva.yaml", "--server", "http://127.0.0.1:9"), "Cannot do this"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(words: tuple[str, ...], message: str) -> None:
    text = "suite: s\nassistant: Nobody\ntests: [{name: a, scenario: b, criteria: [c]}]\n"
    Path("lost.yaml").write_text(text, "utf-8")
    done = viva(*words)
    assert (done.exit_code, message in done.stderr) == (2, True), done.output
    assert done.stdout == ""


def test_a_suite_that_a_server_cannot_be_asked_for_stays_behind(server: Server) -> None:
    imported("orders.viva.yaml")
    with httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as vendor:
        body = {"name": "t", "instructions": "x", "rubric": [{"name": "a", "criteria": "b"}], "destination": "a-1"}
        made = vendor.post("/v2/ai/assistants/tests", json={**body, "test_suite": "shop/history"})
        made.raise_for_status()
        done = viva("export", "--output", "out")
        one = viva("export", "--suite", "shop/history")
        vendor.delete(f"/v2/ai/assistants/tests/{made.json()['test_id']}").raise_for_status()
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == ["out/assistants/Desk.yaml", "out/shop-orders.viva.yaml"]
    assert done.stderr == "A server cannot be asked for the suite 'shop/history': it stays behind.\n"
    assert (one.exit_code, one.stdout) == (2, "")
    assert one.stderr.startswith("A server cannot be asked for the suite 'shop/history': leave --server")
