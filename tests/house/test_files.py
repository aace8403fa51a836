"""The shape of the files."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LONGEST = 500
WRITTEN = (".py", ".mjs", ".js", ".html", ".css")


def pinned(lock: str) -> dict[str, str]:
    """name → version of everything that a lock holds."""
    lines = (ROOT / "requirements" / lock).read_text("utf-8").splitlines()
    pins = (line.split()[0].partition("==") for line in lines if line[:1].isalnum())
    return {canonicalize_name(name): version for name, _, version in pins}


def test_no_file_is_too_long_to_read() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for top in ("src", "tests", "bench")
        for path in sorted((ROOT / top).rglob("*"))
        if path.suffix in WRITTEN and not {"node_modules", "vendor"} & set(path.parts)
        if (lines := len(path.read_text("utf-8").splitlines())) >= LONGEST
    }
    assert long == {}


@pytest.mark.parametrize("lock", ["run.txt", "providers.txt", "build.txt", "dev.txt"])
def test_locks_hold_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    assert "://" not in text
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry[:1].isalnum()]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_locks_agree_and_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime = project["project"]["dependencies"]
    wanted = {
        "run.txt": runtime,
        "providers.txt": [
            *project["project"]["dependencies"],
            *project["project"]["optional-dependencies"]["providers"],
        ],
        "build.txt": project["dependency-groups"]["build"],
        "dev.txt": [*runtime, *project["dependency-groups"]["dev"]],
    }
    stale: list[str] = []
    seen: dict[str, str] = {}
    for lock, requirements in wanted.items():
        pins = pinned(lock)
        for requirement in map(Requirement, requirements):
            version = pins.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version):
                stale.append(f"{lock}: {requirement} is not {version} (make lock)")
        stale += [
            f"{lock}: {name} {version}, elsewhere {seen[name]}"
            for name, version in pins.items()
            if seen.setdefault(name, version) != version
        ]
    assert stale == []
