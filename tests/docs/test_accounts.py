"""The guides for those who come from a vendor. A server of ours stands for the account as well: it speaks both APIs."""

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.fences import ROOT, Play, play
from tests.support.raw import send_json
from tests.support.server import Server, only_on_sqlite, serving

GUIDES = ROOT / "docs" / "guide"
ACCOUNT = {
    "suite": "account",
    "assistant": {
        "name": "Clerk",
        "model": "scripted",
        "greeting": "Birch Books, how can I help?",
        "instructions": 'You find orders.\non hear "order": say "What is your order number?"\nelse: say "Goodbye."',
    },
    "tests": [{"name": "Greets", "scenario": 'on start: say "Hello"\nelse: hang up', "criteria": ["Is polite"]}],
}
"""What the account has."""


pytestmark = only_on_sqlite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def copied(page: str, account: str, key: str, server: Server, folder: Path) -> None:
    """Play the guide: what it copies goes into a database of its own, so that all of it is new there."""
    instead = {
        "http://127.0.0.1:8080": server.url,
        "viva_choose_a_long_one": server.key,
        account: server.url,
        f"{key}=…": f"{key}={server.key}",
    }
    play(GUIDES / page, Play(folder, instead, {"VIVA_DATA_DIR": str(folder / "data")}, {}, served=True))


def test_the_first_api(server: Server, tmp_path: Path) -> None:
    assert send_json(server, "PUT", "/viva/v1/suites/account", ACCOUNT).status == 200
    copied("telnyx.md", "https://api.telnyx.com", "TELNYX_ACCOUNT_KEY", server, tmp_path)
    assert "name: Clerk" in (tmp_path / "suites/assistants/Clerk.yaml").read_text("utf-8")


def test_the_second_api(server: Server, tmp_path: Path) -> None:
    engine = {"general_prompt": "You find orders.", "start_speaker": "agent", "begin_message": "Birch Books."}
    made = send_json(server, "POST", "/create-retell-llm", engine)
    assert made.status == 201, made.body
    copied("retell.md", "https://api.retellai.com", "RETELL_ACCOUNT_KEY", server, tmp_path)
    assert list((tmp_path / "data").glob("viva.db"))
