"""What the tests have from npm: locked, and installed when first asked for."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "npm"
LOCK = PROJECT / "package-lock.json"
_INSTALLED = PROJECT / "node_modules" / ".package-lock.json"


def install() -> bool:
    """Whether everything in the lock is installed now; without npm on the machine it is not. Raises
    ``AssertionError`` where npm cannot do it."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        return False
    # The tests' processes share the directory, which the installation empties first.
    with LOCK.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not _INSTALLED.exists() or _INSTALLED.stat().st_mtime < LOCK.stat().st_mtime:
            run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], dict(os.environ))
    return True


def run(command: list[str], environment: dict[str, str]) -> str:
    """The output of a command that must succeed, beside the lock."""
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"
    return done.stdout
