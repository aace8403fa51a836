"""What the pages tell people to type is a command line of this program."""

import shlex
from pathlib import Path

import pytest
from tests.support.commands import arguments, in_page, parse, statements

ROOT = Path(__file__).parents[2]
PAGES = {
    page.relative_to(ROOT).as_posix(): commands
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if (commands := in_page(page.read_text("utf-8")))
}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_the_pages_are_commands_of_ours(page: str) -> None:
    for given in PAGES[page]:
        try:
            parse(given)
        except Exception as failure:
            raise AssertionError(f"viva {shlex.join(given)}: {failure}") from failure


def test_the_pages_about_deployment_have_commands() -> None:
    assert {"README.md", "docs/guide/deploying.md", "docs/guide/scaling.md", "docs/guide/upgrading.md"} <= PAGES.keys()


@pytest.mark.parametrize(
    "given",
    ["workers --jsn", "worker --port eighty", "keys", "keys create", "serf", "worker --port 70000", "db current x"],
)
def test_a_mistake_is_noticed(given: str) -> None:
    with pytest.raises(Exception, match=r"."):
        parse(given.split())


def test_commands_are_found_in_scripts() -> None:
    script = """
    export VIVA_PORT=1   # viva not
    A=b viva serve --no-worker & viva worker \\
      --port 9101 > log
    sudo -u postgres createdb --owner=viva viva
    docker compose exec server viva keys create 'for ci' | tail -1
    install viva /opt
    """
    found = [given for words in statements(script) if (given := arguments(words)) is not None]
    assert found == [["serve", "--no-worker"], ["worker", "--port", "9101"], ["keys", "create", "for ci"]]
