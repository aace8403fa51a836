"""The units say what systemd understands, start commands that there are, and give them little to do harm with."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.commands import parse

from vivavoce.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ["viva.service", "viva-worker@.service"]
DROP_IN = "viva.service.d/no-worker.conf"
PROGRAM = "/opt/viva/bin/viva"
CLIENTS_S = 10
"""How long a server lets clients finish, beside its grace."""
EXPOSURE = 2.0
"""The most that systemd may count against a unit, from 0 to 10."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")


def read(name: str) -> list[tuple[str, str, str]]:
    """The section, name and value of every line that says something."""
    found: list[tuple[str, str, str]] = []
    section = ""
    for line in (DEPLOY / name).read_text("utf-8").splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert section
            assert equals, f"{name}: {line}"
            found.append((section, key, value))
    return found


def service(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for section, key, value in read(name):
        if section == "Service":
            found.setdefault(key, []).append(value)
    return found


def started(name: str) -> list[str]:
    """What is started in the end: an empty line takes back the ones before."""
    program, *words = shlex.split(service(name)["ExecStart"][-1])
    assert program == PROGRAM
    return [word.replace("%i", "9101") for word in words]


def test_the_commands_are_commands_of_ours() -> None:
    assert parse(started("viva.service"))["works"] is True
    assert parse(started(DROP_IN))["works"] is False
    assert service(DROP_IN)["ExecStart"][0] == ""
    worker = parse(started("viva-worker@.service"))
    assert (worker["host"], worker["port"]) == ("127.0.0.1", 9101)


@pytest.mark.parametrize("unit", UNITS)
def test_whoever_is_told_to_stop_has_the_time(unit: str) -> None:
    told = service(unit)
    assert told["KillSignal"] == ["SIGTERM"]
    assert int(told["TimeoutStopSec"][0]) > Settings.model_fields["grace_seconds"].default + CLIENTS_S


@pytest.mark.parametrize("unit", UNITS)
def test_a_process_that_dies_comes_back_however_often(unit: str) -> None:
    assert service(unit)["Restart"] == ["on-failure"]
    assert ("Unit", "StartLimitIntervalSec", "0") in read(unit)


def test_both_units_are_restricted_alike() -> None:
    place = {"ExecStart", "StateDirectory", "StateDirectoryMode", "WorkingDirectory"}
    one, other = ({key: value for key, value in service(unit).items() if key not in place} for unit in UNITS)
    assert one == other


def test_the_data_lie_where_the_unit_lets_it_write() -> None:
    lines = (DEPLOY / "viva.env.example").read_text("utf-8").splitlines()
    set_there = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    told = service("viva.service")
    assert set_there["VIVA_DATA_DIR"] == f"/var/lib/{told['StateDirectory'][0]}"
    assert told["WorkingDirectory"] == [set_there["VIVA_DATA_DIR"]]
    assert f"u {told['User'][0]} " in (DEPLOY / "viva.sysusers").read_text("utf-8")
    chosen = {name.removeprefix("VIVA_").lower(): value for name, value in set_there.items()}
    assert Settings.model_validate(chosen).file == Path("/var/lib/viva/viva.db")


@needs_systemd
def test_systemd_understands_them(tmp_path: Path) -> None:
    # It wants the program to be there; any that may be started will do.
    for unit in UNITS:
        written = (DEPLOY / unit).read_text("utf-8").replace(PROGRAM, sys.executable)
        (tmp_path / unit).write_text(written, encoding="utf-8")
    (tmp_path / "viva.service.d").mkdir()
    written = (DEPLOY / DROP_IN).read_text("utf-8").replace(PROGRAM, sys.executable)
    (tmp_path / DROP_IN).write_text(written, encoding="utf-8")
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / unit for unit in UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in said.stderr.splitlines() if "viva" in line or str(tmp_path) in line]
    assert complaints == []


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_they_can_do_little_harm(unit: str) -> None:
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", DEPLOY / unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unrecognized option" in said.stderr:
        pytest.skip("this systemd is too old to look at files")
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert exposure is not None, said.stderr
    assert float(exposure[1]) <= EXPOSURE
