"""Blocks of code in Markdown, and pages that are played: their commands are run as a reader would run them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import arguments, statements
from tests.support.server import environment

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PLAY_S = 100.0
_FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^ *\2`* *$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"\A(?:#|//) ([\w./-]+\.\w+)\n")
_MARK = "--- block"
_LISTENS = """\
for _ in $(seq 600); do
  grep -qs 'listens on' .serving && break
  kill -0 $! || { cat .serving; exit 1; }
  sleep 0.1
done
grep -q 'listens on' .serving"""


@dataclass(frozen=True)
class Fence:
    """A block: its language, what stands in it, and the line at which it begins."""

    language: str
    text: str
    line: int

    @property
    def name(self) -> str | None:
        """The file that it is, if its first line is a comment that says so: ``# suites/desk.viva.yaml``."""
        found = _NAMED.match(self.text)
        return found[1] if found else None

    @property
    def first(self) -> str:
        return self.text.partition("\n")[0]


def fences(page: Path) -> list[Fence]:
    text = page.read_text("utf-8")
    found: list[Fence] = []
    for one in _FENCE.finditer(text):
        inner = re.sub(rf"^{one[1]}", "", one[4], flags=re.MULTILINE)
        found.append(Fence(one[3].strip(), inner, text.count("\n", 0, one.start()) + 1))
    return found


def starts_server(fence: Fence) -> bool:
    commands = [given for words in statements(fence.text) if (given := arguments(words)) is not None]
    return any(given[0] == "serve" for given in commands)


@dataclass(frozen=True)
class Play:
    """What a page is played with. ``instead`` are words of the page that are others here: addresses, keys.
    ``passed_over`` says of blocks that are not played, by their first line, why; with ``served`` that somebody else
    serves already, so blocks that start a server are not either."""

    folder: Path
    instead: Mapping[str, str]
    settings: Mapping[str, str]
    passed_over: Mapping[str, str]
    served: bool = False


def play(page: Path, given: Play) -> None:
    """Write the files of the page, run its commands, in their order and in one shell, and compare what they print with
    the blocks of text behind them, in which ``…`` stands for anything."""
    (given.folder / ".venv").symlink_to(sys.prefix)
    played = [one for one in fences(page) if one.first not in given.passed_over]
    script = ["set -euo pipefail"]
    for number, fence in enumerate(played):
        text = fence.text
        for theirs, ours in given.instead.items():
            text = text.replace(theirs, ours)
        script.append(f"echo '{_MARK} {number}'")
        if fence.name is not None:
            script.append(_written(fence.name, text))
        elif fence.language == "sh" and not starts_server(fence):
            script.append(text)
        elif fence.language == "sh" and not given.served:
            script.append(f"{text.rstrip()} >.serving 2>&1 &\n{_LISTENS}")
    printed = _run("\n".join(script), given)
    blocks = re.split(rf"^{_MARK} \d+\n", printed, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(played), f"{page.name} stopped at line {played[len(blocks) - 1].line}:\n{printed[-3000:]}"
    for before, fence, output in zip(played, played[1:], blocks, strict=False):
        if fence.language == "text" and before.language == "sh":
            wanted = re.escape(fence.text.strip()).replace("…", ".*?")
            assert re.fullmatch(wanted, output.strip(), re.DOTALL), f"{page.name}:{fence.line} prints\n{output}"


def _written(name: str, text: str) -> str:
    return f"mkdir -p \"$(dirname {name})\"\ncat >{name} <<'END OF THE FILE'\n{text}END OF THE FILE"


def _run(script: str, given: Play) -> str:
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120", **given.settings}
    process = subprocess.Popen(
        ["bash", "-c", f"{script}\nkill $(jobs -p) 2>/dev/null || true\nwait\n"],
        cwd=given.folder,
        env={name: value for name, value in environment(own).items() if value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=PLAY_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever the page has left running in the background
        process.wait()
    assert process.returncode == 0, f"the commands end with {process.returncode}:\n{printed[-4000:]}"
    return printed


def commands_of(fence: Fence) -> list[list[str]]:
    """The words of each command of a block, if it is one of the shell."""
    return list(statements(fence.text)) if fence.language in ("sh", "bash") else []
