"""The tests with the vendor's Python SDK once more, with an older release of it."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.support.server import environment

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OLDER = ROOT / ".venv" / "older"
RELEASE = "5.60.0"
TEXTS = {path: path.read_text("utf-8") for path in sorted(HERE.glob("test_*.py")) if path != Path(__file__)}
FILES = [path for path, text in TEXTS.items() if "connected(live_server)" in text]
LIMIT_S = 600


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What this Python does where the older release stands before the newest."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment({"PYTHONPATH": str(OLDER)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_every_file_that_tries_operations_is_among_those_that_are_run_again() -> None:
    assert {path for path, text in TEXTS.items() if "mark.operation(" in text} <= set(FILES)
    assert HERE / "test_conformance.py" in FILES


def test_check_1_all_of_it_works_with_an_older_release_too(tmp_path: Path) -> None:
    if not (OLDER / "retell").is_dir():
        pytest.skip(f"retell-sdk {RELEASE} is not in .venv/older: `make test` puts it there")
    assert python("-c", "import retell; print(retell.__version__)").stdout.split() == [RELEASE]
    report = tmp_path / "report.xml"
    # One process: a second one would start a second server, and other tests have the other processors.
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *map(str, FILES))
    tail = done.stdout[-8000:]
    assert done.returncode == 0, tail
    [suite] = ElementTree.parse(report).getroot()
    assert [suite.get(name) for name in ("failures", "errors", "skipped")] == ["0", "0", "0"], tail
    modules = {case.get("classname", "").rpartition(".")[2] for case in suite.iter("testcase")}
    assert modules == {path.stem for path in FILES}, tail
