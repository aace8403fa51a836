import subprocess
import sys
from pathlib import Path

import pytest

from vivavoce.directory import DirectoryBusy, held

HOLD = """
import sys
from pathlib import Path
from vivavoce.directory import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_directory_is_made_and_held_by_one(tmp_path: Path) -> None:
    place = tmp_path / "new" / "deep"
    with held(place):
        with pytest.raises(DirectoryBusy, match="deep"), held(place):
            raise AssertionError("it was held twice")
        with held(tmp_path):
            pass
    with held(place):
        pass


def test_a_failure_lets_go_of_it(tmp_path: Path) -> None:
    with pytest.raises(LookupError), held(tmp_path):
        raise LookupError
    with held(tmp_path):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DirectoryBusy), held(tmp_path):
            raise AssertionError("it was held twice")
        other.kill()
        other.wait()
        with held(tmp_path):
            pass
