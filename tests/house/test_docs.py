"""The documentation keeps up with the code."""

import re
from pathlib import Path

import pytest

from vivavoce.settings import Settings

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAME = re.compile(r"\bVIVA_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FOREIGN = {"OPENAI_API_KEY", "OPENAI_BASE_URL"}
"""Variables of others that are read too."""
OF_COMMANDS = {"VIVA_SERVER"}
"""Variables that only commands read which speak to a server."""
TESTS_ONLY = {"VIVA_URL", "VIVA_KEY", "VIVA_TEST_SERVE", "VIVA_TEST_DATABASE_URL"}


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ +(.+?) *$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors as the usual renderers make them from headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def settings() -> set[str]:
    return {f"VIVA_{name.upper()}" for name in Settings.model_fields}


def test_every_setting_has_its_heading() -> None:
    documented = [heading for heading in headings(SETTINGS) if re.fullmatch(r"[A-Z0-9_]+", heading)]
    assert sorted(documented) == sorted(settings() | FOREIGN | OF_COMMANDS)


def test_every_setting_that_is_mentioned_exists() -> None:
    places = [*(ROOT / "src").rglob("*.py"), *PAGES, ROOT / "Makefile"]
    unknown = {
        f"{place.relative_to(ROOT)}: {name}"
        for place in places
        for name in NAME.findall(place.read_text("utf-8"))
        if name not in settings() | OF_COMMANDS | TESTS_ONLY
    }
    assert unknown == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", pages, re.MULTILINE))
    assert named
    assert named <= targets


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == records
    assert [record[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
