"""``viva run``: suites of files, on a server of this process or on another, with a code and reports for CI."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivavoce.cli import server

if TYPE_CHECKING:
    from rich.console import Console

    from vivavoce.reports.results import Report
    from vivavoce.running.suites import Plan, Told, Wanted

Paths = Annotated[list[Path] | None, typer.Argument(metavar="[PATH]…", help="Files, and directories with *.viva.yaml.")]
FILE = "FILE"


@dataclass(frozen=True, slots=True)
class _Files:
    """Where reports are written."""

    junit: Path | None
    document: Path | None
    markdown: Path | None
    page: Path | None
    summary: Path | None

    @property
    def all(self) -> tuple[Path, ...]:
        found = (self.junit, self.document, self.markdown, self.page)
        return tuple(path for path in found if path is not None)


def run(
    paths: Paths = None,
    at: server.Server = None,
    api_key: server.ApiKey = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", "-x", help="Stop at the first that does not pass.")] = False,
    only: Annotated[
        str | None, typer.Option("--filter", "-k", help="Only tests whose name holds this; a glob with * ? [.")
    ] = None,
    repeat: Annotated[int | None, typer.Option(min=1, max=1000, help="How often each test is run.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar=FILE, help="Write JUnit XML.")] = None,
    document: Annotated[Path | None, typer.Option("--json", metavar=FILE, help="Write JSON; - prints it.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar=FILE, help="Write Markdown.")] = None,
    html: Annotated[Path | None, typer.Option(metavar=FILE, help="Write one HTML file, which needs no other.")] = None,
    github: Annotated[
        bool | None,
        typer.Option("--github/--no-github", help="Annotations and a summary for GitHub Actions. [default: if it is]"),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Keep the record here, instead of nowhere.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Tell only what did not pass.")] = False,
) -> None:
    """Run suites of files and tell what did not pass, and why: on a server that is started for it, or on --server.

    The code is 0 where everything passed, 1 where a test failed, 2 where something could not run, 3 where something is
    undecided; 1 goes before 2, and 2 before 3. An interruption cancels what was begun and ends with 130.

    Example: viva run tests/ --junit report.xml
    """
    on_github = github if github is not None else os.environ.get("GITHUB_ACTIONS") == "true"
    to_stdout = document is not None and str(document) == "-"
    summary = Path(os.environ["GITHUB_STEP_SUMMARY"]) if on_github and os.environ.get("GITHUB_STEP_SUMMARY") else None
    files = _Files(junit, None if to_stdout else document, markdown, html, summary)

    from vivavoce.cli import printing
    from vivavoce.running.loading import NotLoaded, load
    from vivavoce.running.suites import Wanted, matching

    to = printing.console(errors=to_stdout)
    try:
        _prepare(files)
        plans = load(paths or [Path()])
    except NotLoaded as failure:
        plans, unloaded = (), failure.problems
    except OSError as failure:
        typer.echo(f"Cannot write {failure.filename}: {failure.strerror}", err=True)
        raise typer.Exit(server.CANNOT) from failure
    else:
        unloaded = ()
    wanted = Wanted(matching(only or ""), repeat, fail_fast, timeout)

    async def main() -> int:
        from vivavoce.reports.results import code

        with printing.unheard(sys.stdout, wanted=on_github and not to_stdout):
            report = await _run(plans, unloaded, wanted, to, (at, api_key, data_dir), quiet=quiet)
            if only is not None and not report.tests and not report.all_problems:
                typer.echo(f"No test has a name with {only!r}.", err=True)
                return server.CANNOT
            # Before anything else: there may be nobody left who listens to the rest.
            written = _write(files, report)
            printing.tell_report(to, report)
        if on_github:
            printing.annotate(sys.stderr if to_stdout else sys.stdout, report)
        if to_stdout:
            typer.echo(_document(report), nl=False)
        return max(written, int(code(report)), key=_weight)

    server.run(main, "Interrupted: what was begun was cancelled.")


def _weight(code: int) -> int:
    return (0, 3, 2, 1).index(code)


async def _run(
    plans: "Sequence[Plan]",
    unloaded: Sequence[Any],
    wanted: "Wanted",
    to: "Console",
    where: tuple[str | None, str | None, Path | None],
    *,
    quiet: bool,
) -> "Report":
    from datetime import UTC, datetime

    from vivavoce.clock import SystemClock
    from vivavoce.reports.results import Report
    from vivavoce.running.connecting import connected
    from vivavoce.running.suites import run_suites

    if unloaded:
        return Report((), datetime.now(UTC), 0.0, tuple(unloaded))
    with _progress(to, quiet=quiet) as progress:
        async with connected(*where) as client:
            return await run_suites(client, plans, wanted, SystemClock(), progress)


@dataclass(slots=True)
class _Lines:
    """Tells of each run that is over, in a line."""

    to: "Console"
    quiet: bool

    def __call__(self, told: "Told") -> None:
        """Hear of what happens."""
        from vivavoce.cli import printing
        from vivavoce.client import FINAL
        from vivavoce.running.suites import Moved

        if self.quiet or not isinstance(told, Moved) or told.status not in FINAL:
            return
        why = f": {told.reason}" if told.reason and told.status != "passed" else ""
        style = printing.STATUSES.get(told.status, "dim")
        printing.tell(self.to, (f"{told.status:9}", style), f"  {told.suite} / {told.test}{why}")


@dataclass(slots=True)
class _Bars:
    """The same, with a bar for each suite below."""

    lines: _Lines
    bars: Any
    tasks: dict[str, Any] = field(default_factory=dict[str, Any])

    def __call__(self, told: "Told") -> None:
        """Hear of what happens."""
        from vivavoce.client import FINAL
        from vivavoce.running.suites import Began

        if isinstance(told, Began):
            self.tasks[told.suite] = self.bars.add_task(told.suite, total=sum(told.tests.values()))
        elif told.status in FINAL:
            self.bars.advance(self.tasks[told.suite])
        self.lines(told)


@contextlib.contextmanager
def _progress(to: "Console", *, quiet: bool) -> "Generator[_Lines | _Bars]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    lines = _Lines(to, quiet)
    if quiet or not to.is_terminal:
        yield lines
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=to, transient=True) as bars:
        yield _Bars(lines, bars)


def _prepare(files: _Files) -> None:
    """Find out now that a report cannot be written, and not when everything has been paid for. Raises ``OSError``."""
    for path in files.all:
        parent = Path(os.path.realpath(path)).parent
        parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not os.access(path if path.exists() else parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _document(report: "Report") -> str:
    from vivavoce.reports.document import document

    return json.dumps(document(report), indent=2) + "\n"


def _write(files: _Files, report: "Report") -> int:
    """Write the reports; returns a code."""
    texts: dict[Path, str] = {}
    if files.document:
        texts[files.document] = _document(report)
    if files.junit:
        from vivavoce.reports.junit import junit

        texts[files.junit] = junit(report)
    if files.markdown or files.summary:
        from vivavoce.reports.markdown import markdown

        texts |= {files.markdown: markdown(report)} if files.markdown else {}
        _append(files.summary, markdown(report))
    if files.page:
        from vivavoce.reports.page import page

        texts[files.page] = page(report)
    return _written(texts)


def _written(texts: Mapping[Path, str]) -> int:
    from vivavoce.cli.writing import put

    code = 0
    for path, text in texts.items():
        try:
            put(path, text)
        except OSError as failure:
            typer.echo(f"Cannot write {path}: {failure.strerror}", err=True)
            code = server.CANNOT
    return code


def _append(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as failure:
        typer.echo(f"Cannot write {path}: {failure.strerror}", err=True)
