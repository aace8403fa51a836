"""A server begins small. In a process of its own: this one has imported everything already."""

import subprocess
import sys

TRIED = """
import gc, sys
from vivavoce.cli.lean import hurry
hurry()
import vivavoce.cli.process
assert not gc.isenabled()
print(sorted({"rich", "pygments"} & sys.modules.keys()), "structlog" in sys.modules)
vivavoce.cli.process.settle_memory()
assert gc.isenabled()
import rich.console
print(rich.console.Console is not None)
hurry()
print("rich" in sys.modules)
"""


def test_what_no_server_prints_is_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", TRIED], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["[] True", "True", "True"]
