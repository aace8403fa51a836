"""``viva documents``, as a user types it."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from tests.outbound.local_server import serving
from typer.testing import CliRunner, Result

from vivavoce.cli.documents import app


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VIVA_DATABASE_URL", "VIVA_EMBEDDING_MODEL", "VIVA_PROVIDERS", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    path = tmp_path / "guide.md"
    path.write_text("# Returns\n\nWithin thirty days.", encoding="utf-8")
    return path


def viva(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_files_are_added_listed_and_removed(guide: Path, tmp_path: Path) -> None:
    page = tmp_path / "faq.html"
    page.write_text("<p>Yes.</p>", encoding="utf-8")
    assert viva("add", "manuals", guide, page).output == "guide.md: added\nfaq.html: added\n"
    assert viva("add", "manuals", guide).output == "guide.md: there already\n"
    assert viva("list").output == "manuals  guide.md  1 passages\nmanuals  faq.html  1 passages\n"
    assert viva("list", "others").output == ""
    assert json.loads(viva("list", "manuals", "--json").output.splitlines()[0]) == {
        "bucket": "manuals",
        "name": "guide.md",
        "passages": 1,
        "embedded": 0,
    }
    assert viva("remove", "manuals", "guide.md").output == "Removed guide.md.\n"
    assert viva("list").output == "manuals  faq.html  1 passages\n"


def test_mistakes_are_told_and_end_with_2(guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no database" in viva("list").output
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG")
    for words, reason in (
        (("list", "--data-dir", tmp_path / "nowhere"), "There is no database"),
        (("add", "manuals", guide, picture), "a.png: only text"),
        (("add", "manuals", tmp_path / "missing.md"), "missing.md: No such file"),
        (("add", "manuals", tmp_path), "Is a directory"),
        (("remove", "manuals", "other.md"), "There is no document 'other.md' in 'manuals'."),
        (("embed",), "VIVA_EMBEDDING_MODEL is not set."),
    ):
        done = viva(*words)
        assert (done.exit_code, reason in done.output) == (2, True), done.output
    assert viva("list").output == "manuals  guide.md  1 passages\n"  # what came before the mistake is there
    monkeypatch.setenv("VIVA_EMBEDDING_MODEL", "nobody/e-1")
    for words in (("embed",), ("add", "manuals", guide)):
        done = viva(*words)
        assert (done.exit_code, "nobody/e-1" in done.output) == (2, True), done.output


async def test_what_is_kept_can_be_embedded(guide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await asyncio.to_thread(viva, "add", "manuals", guide)).exit_code == 0
    async with serving(lambda _: web.json_response({"data": [{"embedding": [1, 2]}]})) as server:
        monkeypatch.setenv("VIVA_EMBEDDING_MODEL", "local/e-1")
        monkeypatch.setenv("VIVA_PROVIDERS", json.dumps({"local": {"base_url": server.url}}))
        assert (await asyncio.to_thread(viva, "embed")).output == "1 passages were embedded.\n"
        listed = await asyncio.to_thread(viva, "list")
        assert listed.output == "manuals  guide.md  1 passages, 1 embedded\n"
        guide.write_text("Another text.", encoding="utf-8")
        assert (await asyncio.to_thread(viva, "add", "manuals", guide)).output == "guide.md: added\n"
        assert len(server.seen) == 2
        server.reply = lambda _: web.Response(status=401)
        guide.write_text("A third text.", encoding="utf-8")
        refused = await asyncio.to_thread(viva, "add", "manuals", guide)
        assert (refused.exit_code, "401" in refused.output) == (2, True)
