"""Every block of code in the pages is run, or checked as far as it goes, or is in a table here that says why not.

Links and anchors: ``tests/house/test_docs.py``; ``viva`` in commands: ``tests/deploy/test_commands.py``.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import yaml
from tests.support.commands import arguments, parse, statements
from tests.support.fences import PAGES, ROOT, Fence, commands_of, fences
from tests.support.reference import written

from vivavoce.api.retell import application as retell
from vivavoce.api.telnyx import application as telnyx
from vivavoce.api.viva import application as viva
from vivavoce.files.reading import read

DOCS = ROOT / "docs"
PLAYED = {
    "README.md": "tests/docs/test_guides.py",
    "docs/guide/coding-agents.md": "tests/docs/test_guides.py",
    "docs/guide/http-assistant.md": "tests/docs/test_guides.py",
    "docs/guide/pytest.md": "tests/docs/test_guides.py",
    "docs/guide/retell.md": "tests/docs/test_accounts.py",
    "docs/guide/telnyx.md": "tests/docs/test_accounts.py",
    "docs/tutorial/first-suite.md": "tests/docs/test_tutorial.py",
}
"""Pages whose commands are run, and where."""
PROGRAMS = {
    "README.md": "tests/contract/test_readme.py",
    "docs/reference/client.md": "tests/running/test_embedded.py",
    "docs/reference/pytest.md": "tests/pytest_plugin/test_plugin.py",
    "docs/reference/webhooks.md": "tests/docs/test_signatures.py",
}
"""Pages with programs that are not files of a page that is played, and where those are run."""
ONLY_COMPILED = {("docs/guide/pytest.md", "async def test_is_kind_to_an_angry_caller(viva):"): "it needs a model"}
SHOWN = {
    "": "what other programs read or print",
    "{include} ../CHANGELOG.md": "read in the repository",
    "{include} ../CONTRIBUTING.md": "read in the repository",
    "{include} ../SECURITY.md": "read in the repository",
    "{include} ../bench/README.md": "read in the repository",
    "{toctree}": "the site",
    "http": "tests/channels/test_http.py",
    "js": "tests/contract/test_npm_sdk.py",
    "text": "what is printed: compared where the page is played",
}
CHECKED = {"bash", "json", "py", "python", "sh", "yaml"}
OUTSIDE = {"/healthz", "/readyz", "/metrics", "/viva/v1/openapi.json"}
"""What the server answers beside its APIs."""
CONTEXT: Any = SimpleNamespace()

EVERY = [(page.relative_to(ROOT).as_posix(), fence) for page in PAGES for fence in fences(page)]


def of(*languages: str) -> list[Any]:
    found = [(page, fence) for page, fence in EVERY if fence.language in languages]
    assert found
    return [pytest.param(page, fence, id=f"{page}:{fence.line}") for page, fence in found]


def test_every_block_is_of_a_kind_that_is_looked_at() -> None:
    assert {fence.language for _, fence in EVERY} - CHECKED == SHOWN.keys()


@pytest.mark.parametrize("where", sorted({*PLAYED.items(), *PROGRAMS.items()}), ids=str)
def test_what_says_where_it_is_run_is_run_there(where: tuple[str, str]) -> None:
    page, test = where
    assert Path(page).name in (ROOT / test).read_text("utf-8")


@pytest.mark.parametrize(("page", "fence"), of("json"))
def test_json_can_be_read(page: str, fence: Fence) -> None:
    found = json.loads(fence.text)
    if isinstance(found, dict) and "mcpServers" in found:
        for one in cast("dict[str, dict[str, Any]]", found["mcpServers"]).values():
            assert one["command"] == "viva"
            parse(one["args"])


@pytest.mark.parametrize(("page", "fence"), of("python", "py"))
def test_programs_are_run_or_can_be_at_least(page: str, fence: Fence) -> None:
    compile(fence.text, f"{page}:{fence.line}", "exec", dont_inherit=True)
    is_played = fence.name is not None and page in PLAYED
    assert is_played or page in PROGRAMS or (page, fence.first) in ONLY_COMPILED


@pytest.mark.parametrize(("page", "fence"), of("yaml"))
def test_suites_can_be_loaded_and_workflows_run(page: str, fence: Fence, tmp_path: Path) -> None:
    documents = [one for one in yaml.safe_load_all(fence.text) if one is not None]
    assert documents
    for one in documents:
        if isinstance(one, dict) and {"suite", "instructions"} & one.keys():
            read([with_files(fence, tmp_path)])
            return
        for step in steps_of(one):
            step_is_right(step)


def with_files(fence: Fence, folder: Path) -> Path:
    """The block as a file, and beside it the files that it names."""
    for name in re.findall(r"\{file: ([\w./-]+)\}", fence.text):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("name: somebody\n", "utf-8")
    (folder / "block.viva.yaml").write_text(fence.text, "utf-8")
    return folder / "block.viva.yaml"


def steps_of(document: Any) -> Iterator[dict[str, Any]]:
    """The steps of a workflow of GitHub Actions, or of a part of one."""
    if isinstance(document, list):
        yield from cast("list[dict[str, Any]]", document)
    elif isinstance(document, dict) and "jobs" in document:
        whole = cast("dict[Any, Any]", document)
        assert whole["permissions"] == {"contents": "read"}
        for job in whole["jobs"].values():
            assert job["timeout-minutes"]
            yield from job["steps"]


def step_is_right(step: dict[str, Any]) -> None:
    if "uses" in step:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), "an action is named by its commit"
    for words in statements(step.get("run", "")):
        if (given := arguments(words)) is not None:
            parse(given)


def operations() -> Iterator[tuple[str, re.Pattern[str]]]:
    roots = (("/v2", telnyx.application), ("", retell.application), ("/viva/v1", viva.application))
    for root, make in roots:
        for path, ways in cast("dict[str, dict[str, Any]]", make(CONTEXT).openapi()["paths"]).items():
            form = re.compile(root + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
            yield from ((method.upper(), form) for method in ways)
    yield from (("GET", re.compile(re.escape(path))) for path in OUTSIDE)


def test_requests_go_where_something_answers() -> None:
    known = list(operations())
    asked = [(page, words) for page, fence in EVERY for words in commands_of(fence) if words[0] == "curl"]
    assert asked
    for page, words in asked:
        [url] = [urlsplit(word) for word in words if word.startswith("http")]
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if "-d" in words else "GET"
        if url.hostname == "127.0.0.1":
            assert any(way == method and form.fullmatch(url.path) for way, form in known), (page, words)


def test_every_page_of_the_site_is_listed() -> None:
    listed: list[str] = []
    for fence in fences(DOCS / "index.md"):
        assert fence.language == "{toctree}"
        listed += [line for line in fence.text.splitlines() if line and not line.startswith(":")]
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    # The records are listed by docs/decisions/README.md, which tests/house/test_docs.py is about.
    assert sorted(listed) == sorted(one for one in pages - {"index"} if not re.match(r"decisions/\d", one))


@pytest.mark.parametrize(("page", "wanted"), written(), ids=lambda value: getattr(value, "name", ""))
def test_what_is_made_from_the_program_is_as_it_makes_it(page: Path, wanted: str) -> None:
    assert page.read_text("utf-8") == wanted, "run: python -m tests.support.reference"
