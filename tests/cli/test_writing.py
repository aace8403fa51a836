"""Files that commands write."""

import os
import sys
import threading
from pathlib import Path

import pytest

from vivavoce.cli import writing
from vivavoce.cli.writing import put


def test_it_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report"
    put(path, "one")
    put(path, "two \udcff")
    assert path.read_text("utf-8") == "two \\udcff"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    target, link = tmp_path / "kept" / "report", tmp_path / "link"
    link.symlink_to(Path("kept") / "report")
    for text in ("made", "made again"):
        put(link, text)
        assert (link.is_symlink(), target.read_text("utf-8")) == (True, text)
    assert list(target.parent.iterdir()) == [target]


def test_what_cannot_be_finished_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report"
    path.write_text("before", "utf-8")

    def full(_self: Path, _target: Path) -> None:
        raise OSError("full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="full"):
        put(path, "after")
    assert (list(tmp_path.iterdir()), path.read_text("utf-8")) == ([path], "before")


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path, heard = tmp_path / "pipe", list[str]()
    os.mkfifo(path)
    reading = threading.Thread(target=lambda: heard.append(path.read_text("utf-8")))
    reading.start()
    put(path, "through it")
    reading.join()
    assert (heard, path.is_fifo()) == (["through it"], True)


def test_a_file_in_a_directory_that_is_not_ours_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report"
    path.write_text("before, and longer", "utf-8")
    inode = path.stat().st_ino

    def access(_path: Path, _mode: int) -> bool:
        return False

    monkeypatch.setattr(writing.os, "access", access)
    put(path, "after")
    assert (path.read_text("utf-8"), path.stat().st_ino) == ("after", inode)


def test_what_was_printed_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "printed", tmp_path / "link"
    link.symlink_to(path)
    with path.open("w", encoding="utf-8") as printed:
        monkeypatch.setattr(sys, "__stdout__", printed)
        printed.write("first\n")
        put(link, "report\n")
        printed.write("last\n")
    assert path.read_text("utf-8") == "first\nreport\nlast\n"
    assert link.is_symlink()
