"""``viva orgs`` and the keys of organisations, as a user types it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from vivavoce.cli.main import app
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.documents import get_all
from vivavoce.storage.keys import find

T = TypeVar("T")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VIVA_DATABASE_URL", "VIVA_EMBEDDING_MODEL", "VIVA_PROVIDERS", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "data"))


def viva(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def looked(tmp_path: Path, look: Callable[[Tx], T]) -> T:
    async def work() -> T:
        database = connect(f"sqlite:///{tmp_path / 'data' / 'viva.db'}")
        try:
            return await database.read(look)
        finally:
            database.close()

    return asyncio.run(work())


def test_an_organisation_gets_keys_and_documents_and_goes_with_them(tmp_path: Path) -> None:
    made = json.loads(viva("orgs", "create", "acme", "--json").output)
    assert made["name"] == "acme"
    assert [json.loads(line)["name"] for line in viva("orgs", "list", "--json").output.splitlines()] == [
        "default",
        "acme",
    ]
    assert viva("orgs", "list").output.splitlines()[1].split()[0] == made["id"]

    key = json.loads(viva("keys", "create", "ci", "--org", "acme", "--scope", "run", "--json").output)
    assert (key["org"], key["scope"]) == ("acme", "run")
    admin = json.loads(viva("keys", "create", "mine", "--json").output)
    assert (admin["org"], admin["scope"]) == ("default", "admin")
    listed = [json.loads(line) for line in viva("keys", "list", "--json").output.splitlines()]
    assert [(one["name"], one["org"], one["scope"]) for one in listed] == [
        ("ci", "acme", "run"),
        ("mine", "default", "admin"),
    ]
    assert viva("keys", "list", "--org", made["id"]).output.split()[3:] == ["active", "run", "acme", "ci"]
    opened = looked(tmp_path, lambda tx: find(tx, key["key"]))
    assert opened is not None
    assert (opened.org, opened.scope) == (made["id"], "run")

    guide = tmp_path / "guide.md"
    guide.write_text("Within thirty days.", encoding="utf-8")
    assert viva("documents", "add", "manuals", guide, "--org", "acme").output == "guide.md: added\n"
    assert viva("documents", "list").output == ""
    assert viva("documents", "list", "--org", "acme").output == "manuals  guide.md  1 passages\n"
    assert viva("documents", "remove", "manuals", "guide.md").exit_code == 2

    asked = viva("orgs", "delete", "acme")
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert asked.stderr == "acme has: 1 in documents, 1 in keys. It all goes for good with --yes.\n"
    gone = viva("orgs", "delete", "acme", "--yes")
    assert gone.output == "Deleted acme, which had: 1 in documents, 1 in keys.\n"

    def left(tx: Tx) -> Any:
        return find(tx, key["key"]), get_all(tx, made["id"]), find(tx, admin["key"]) is not None

    assert looked(tmp_path, left) == (None, (), True)


def test_mistakes_are_told_and_end_with_2(tmp_path: Path) -> None:
    assert "There is no database" in viva("orgs", "list").output
    viva("orgs", "create", "acme")
    guide = tmp_path / "guide.md"
    guide.write_text("Within thirty days.", encoding="utf-8")
    nobody = "There is no organisation 'nobody'."
    for words, reason in (
        (("orgs", "create", "acme"), "There is an organisation 'acme' already."),
        (("orgs", "create", " "), "is no name"),
        (("orgs", "delete", "default", "--yes"), "The organisation 'default' stays."),
        (("orgs", "delete", "nobody", "--yes"), nobody),
        (("keys", "create", "ci", "--org", "nobody"), nobody),
        (("keys", "create", ""), "is no name"),
        (("keys", "list", "--org", "nobody"), nobody),
        (("documents", "add", "manuals", guide, "--org", "nobody"), nobody),
        (("documents", "list", "--org", "nobody"), nobody),
        (("documents", "remove", "manuals", "guide.md", "--org", "nobody"), nobody),
        (("connect", "github", "--secret", "token", "--org", "nobody"), nobody),
        (("connect", "github", "--secret", "token", "--org", "acme"), "There is no integration secret 'token'."),
    ):
        answer = viva(*words)
        assert (answer.exit_code, reason in answer.output) == (2, True), words
    assert viva("keys", "create", "ci", "--scope", "owner").exit_code == 2
    assert viva("keys", "list").output == ""
