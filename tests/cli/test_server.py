"""How commands that speak to a server end when nobody takes what they print."""

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.console import Console

from vivavoce.cli import logs, server


@pytest.fixture(autouse=True)
def around(monkeypatch: pytest.MonkeyPatch) -> None:
    # It sets up the logs of this whole process.
    def configure(_form: str, _level: str) -> None: ...

    monkeypatch.setattr(logs, "configure", configure)


async def prints() -> int:
    typer.echo("a line")
    return 0


async def prints_later() -> int:
    sys.stdout.write("a line")
    return 0


async def prints_in_colours() -> int:
    Console(file=sys.stdout).print("a line")
    return 0


@pytest.mark.parametrize("main", [prints, prints_later, prints_in_colours])
def test_a_full_disk_is_said(
    main: server.Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(typer.Exit) as ended:
            server.run(main)
        # What is left over goes nowhere: this is what Python does at its end.
        full.flush()
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == f"Cannot do this: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.parametrize("words", [["schema"], ["--version"], ["workers", "--help"]])
def test_what_asks_no_server_says_so_too(words: list[str]) -> None:
    command = [sys.executable, "-c", "from vivavoce.cli.main import main; main()", *words]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"Cannot do this: {os.strerror(errno.ENOSPC)}\n")


def test_a_full_disk_that_cannot_be_said_either(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stderr", full)
        with pytest.raises(typer.Exit) as ended:
            server.run(prints)
        full.flush()
    assert ended.value.exit_code == 2


@pytest.mark.parametrize("main", [prints, prints_in_colours])
def test_a_reader_that_went_away_is_no_failed_test(
    main: server.Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(typer.Exit) as ended:
            server.run(main)
        gone.flush()
    assert (ended.value.exit_code, capsys.readouterr().err) == (2, "")


def test_an_output_that_was_closed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(typer.Exit) as ended:
        server.run(lambda: asyncio.sleep(0, 3))
    assert ended.value.exit_code == 3
