"""Who may know which library. The arrows between our own rooms are import-linter's (pyproject.toml)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "vivavoce"

# A library that is named here is known in these places only, so that it can be replaced there.
OWNERS: dict[str, tuple[str, ...]] = {
    "aiohappyeyeballs": ("models/post.py",),
    "aiohttp": ("outbound", "models", "cli", "api/telnyx/sample.py"),  # the demo calls a server too
    "alembic": ("storage",),
    "combustache": ("assistant/variables.py",),
    "cronsim": ("services/calendar.py",),
    "fastapi": ("api",),
    "httpx": (),
    "httpx2": ("client", "tools/mcp_client.py"),
    "jinja2": ("reports/page.py", "web"),
    "mcp": ("tools", "agents"),
    "opentelemetry": ("telemetry",),
    "prometheus_client": ("telemetry",),
    "psycopg": ("storage", "engine"),
    "pydantic_ai": ("models",),
    "pydantic_settings": ("settings.py", "cli", "running/embedded.py"),
    "rich": ("cli",),
    "sqlalchemy": ("storage", "engine"),
    "starlette": ("api", "web", "app.py", "house.py"),
    "typer": ("cli",),
    "yaml": ("files",),
    "uvicorn": ("cli", "running/embedded.py"),
}
# Pure rooms know the standard library, our own rooms and what is named here.
PURE: dict[str, frozenset[str]] = {
    "core": frozenset(),
    "assistant": frozenset({"combustache"}),
    "examination": frozenset(),
}


def imports(source: str) -> Iterator[tuple[int, str]]:
    """(line, top module) of every absolute import, lazy ones and those for type checkers included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def everywhere() -> Iterator[tuple[str, int, str]]:
    """(file below the package, line, top module) of every import in the house."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        yield from ((place, line, module) for line, module in imports(path.read_text("utf-8")))


def strangers(found: Iterator[tuple[str, int, str]]) -> list[str]:
    """The imports of an owned library outside its places."""
    return [
        f"{place}:{line} imports {module}"
        for place, line, module in found
        if module in OWNERS and not any(place == owner or place.startswith(owner + "/") for owner in OWNERS[module])
    ]


def test_each_library_is_known_only_where_it_is_owned() -> None:
    assert strangers(everywhere()) == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_know_the_standard_library_and_little_else(room: str) -> None:
    allowed = sys.stdlib_module_names | {"vivavoce"} | PURE[room]
    found = [
        f"{place}:{line} imports {module}"
        for place, line, module in everywhere()
        if place.startswith(f"{room}/") and module not in allowed
    ]
    assert found == []


def test_imports_inside_packages_are_absolute() -> None:
    # The rules above, and the reader, see absolute names only.
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    ]
    assert found == []


def test_the_search_finds_what_it_is_for() -> None:
    source = "import os\ndef lazy():\n    from sqlalchemy.ext import asyncio\n    import aiohttp.web as web\n"
    assert list(imports(source)) == [(1, "os"), (3, "sqlalchemy"), (4, "aiohttp")]
    assert strangers(iter([("core/event.py", 3, "sqlalchemy"), ("storage/store.py", 3, "sqlalchemy")])) == [
        "core/event.py:3 imports sqlalchemy"
    ]
