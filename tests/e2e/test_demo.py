"""``viva demo``: what a newcomer sees first."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.support.server import MAIN, environment


def test_the_demo_examines_and_says_where_the_record_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'viva'; {MAIN}", "demo"],
        cwd=tmp_path,
        env={**environment({}), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    told = done.stdout
    [heading] = [line for line in told.splitlines() if "criterion" in line and "┃" in line]
    assert [word.strip() for word in heading.strip("┃").split("┃")] == [
        "test",
        "criterion",
        "verdict",
        "evidence",
        "seconds",
    ]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in told.splitlines() if "│" in line]
    verdicts = [row for row in rows if row[2]]
    assert {row[2] for row in verdicts} == {"met", "unmet"}
    assert all(row[1] and row[3] for row in verdicts)
    summary = re.search(r"^(\d+) of (\d+) tests passed\. Not passed: (.+)\.$", told, re.MULTILINE)
    assert summary
    passed, total = int(summary[1]), int(summary[2])
    assert passed == total - 1 > 0
    assert summary[3] == "Refund"

    record = tmp_path / ".demo"
    told_where = told[told.index(f"The record is in {record}\n") :]
    for name in ("report.txt", "viva.db"):
        assert name in told_where
        assert (record / name).is_file()
    assert f"viva serve --data-dir {record}\n" in told_where
    with closing(sqlite3.connect(record / "viva.db")) as database:
        assert dict(database.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()) == {
            "passed": passed,
            "failed": 1,
        }
    story = (record / "report.txt").read_text(encoding="utf-8")
    assert story.count("decided by:") == len(verdicts)
    assert "unmet: Says how long it takes" in story
