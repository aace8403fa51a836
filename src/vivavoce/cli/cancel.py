"""``viva cancel``: stop runs that are not over, beside a running server or without one."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_database

Ids = Annotated[list[str] | None, typer.Argument(metavar="RUN…", help="Ids of runs.")]
Batches = Annotated[list[str] | None, typer.Option("--batch", help="All runs with this batch's id.")]
Suites = Annotated[list[str] | None, typer.Option("--suite", help="Every unfinished run of this suite's tests.")]
Reason = Annotated[str, typer.Option(help="Why; each of the runs tells it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]


@dataclass(frozen=True, slots=True)
class _Means:
    clock: Any


def cancel(
    runs: Ids = None,
    batch: Batches = None,
    suite: Suites = None,
    reason: Reason = "by request",
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Stop runs that are not over: whoever drives them ends within one model call. What was recorded stays, and runs
    that are over stay as they are. The code is 2 where there is no such run, batch or suite.

    Example: viva cancel --suite checkout --reason "wrong version"
    """
    from vivavoce.house import sources
    from vivavoce.services import cancelling, orgs
    from vivavoce.services.errors import NotFound

    why = " ".join(reason.split())[:500].encode(errors="replace").decode()
    if not (runs or batch or suite) or not why:
        typer.echo("Name runs, a --batch or a --suite; and a --reason, where it is given, needs words.", err=True)
        raise typer.Exit(2)
    missing: list[str] = []

    def tell(text: str, **given: Any) -> None:
        typer.echo(json.dumps(given) if as_json else text)

    async def work(opened: Any) -> None:
        means = _Means(sources()[0])

        async def one(of: str, id_: str) -> None:
            run = await opened.write(partial(_cancel, means=means, org=of, run_id=id_, reason=why))
            tell(f"{run.id}  {run.state}  {run.reason}".rstrip(), run=run.id, status=run.state, reason=run.reason)

        async def together(of: str, id_: str) -> None:
            many = await cancelling.stop_batch(opened, means, of, id_, why)
            tell(f"batch {id_}: {many} cancelled", batch=id_, cancelled=many)

        async def all_of(of: str, name: str) -> None:
            many = await cancelling.stop_suite(opened, means, of, name, why)
            tell(f"suite {name}: {many} cancelled", suite=name, cancelled=many)

        wanted: list[tuple[Callable[[str, str], Awaitable[None]], str]] = [
            *((one, id_) for id_ in runs or ()),
            *((together, id_) for id_ in batch or ()),
            *((all_of, name) for name in suite or ()),
        ]
        try:
            of = (await orgs.resolve(opened, org)).id
        except NotFound as failure:
            missing.append(str(failure))
            return
        for stop, what in wanted:
            try:
                await stop(of, what)
            except NotFound as failure:
                missing.append(str(failure))

    with_database(work, data_dir=data_dir, database_url=database_url)
    for text in missing:
        typer.echo(text, err=True)
    if missing:
        raise typer.Exit(2)


def _cancel(tx: Any, means: _Means, org: str, run_id: str, reason: str) -> Any:
    from vivavoce.services import cancelling

    return cancelling.cancel(means, tx, org, run_id, reason)
