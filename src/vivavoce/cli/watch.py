"""``viva watch``: what happens on a server, while it happens."""

import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivavoce.cli import server

if TYPE_CHECKING:
    from rich.console import Console

    from vivavoce.client import AsyncClient, News


def watch(
    run: Annotated[str | None, typer.Option(help="A run, by its id: every turn of it.")] = None,
    batch: Annotated[str | None, typer.Option(help="A batch, by its id.")] = None,
    suite: Annotated[str | None, typer.Option(help="Every run of this suite's tests.")] = None,
    at: server.NeededServer = server.DEFAULT_SERVER,
    api_key: server.ApiKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Watch a run, a batch, a suite, or everything that is run on a server.

    A run and a batch are told from their beginning, and it ends with them: with 0 where all passed, 1 where something
    failed, 3 where something else went wrong. A suite and everything go on until they are interrupted.

    Example: viva watch --suite checkout
    """
    if sum(one is not None for one in (run, batch, suite)) > 1:
        typer.echo("Give one of --run, --batch and --suite.", err=True)
        raise typer.Exit(server.CANNOT)

    async def main() -> int:
        from vivavoce.cli import printing
        from vivavoce.client import BatchEnded, Deleted, RunEnded
        from vivavoce.running.connecting import connected

        to = printing.console()
        names: dict[str, str] = {}
        async with connected(at, api_key) as client:
            news: Any = None
            async with contextlib.aclosing(_stream(client, run, batch, suite)) as stream:
                async for news in stream:
                    if as_json:
                        typer.echo(json.dumps({"event": type(news).__name__, **asdict(news)}, default=str))
                    else:
                        await _tell(to, client, news, names)
            match news:
                case RunEnded():
                    return {"passed": 0, "failed": 1}.get(news.run.status, 3)
                case BatchEnded():
                    counts = news.counted.counts
                    return 1 if counts.get("failed") else 0 if counts.get("passed") == news.counted.total else 3
                case Deleted():
                    typer.echo(f"{news.id} is no longer there.", err=True)
                    return server.CANNOT
                case _:
                    return 0

    server.run(main)


def _stream(client: "AsyncClient", run: str | None, batch: str | None, suite: str | None) -> "AsyncGenerator[News]":
    if run is not None:
        return client.follow_run(run)
    return client.follow_batch(batch) if batch is not None else client.follow_all(suite=suite)


async def _tell(to: "Console", client: "AsyncClient", news: "News", names: dict[str, str]) -> None:
    from vivavoce.cli.printing import STATUSES, tell
    from vivavoce.client import BatchEnded, Counted, Decided, Missed, RunEnded, StatusChanged, TurnRecorded
    from vivavoce.reports.telling import one_line, plural, turn

    match news:
        case StatusChanged():
            why = f": {news.reason}" if news.reason and news.status != "passed" else ""
            name = await _name(client, news, names)
            style = STATUSES.get(news.status, "dim")
            tell(to, (f"{news.status:9}", style), f"  {name}{why}", (f"  {news.run_id}", "dim"))
        case TurnRecorded():
            who, what = turn(news.turn)
            tell(to, (f"[{news.turn.turn}] {who}: ", "dim"), one_line(what))
        case Decided():
            for verdict in news.verdicts:
                style = STATUSES.get(verdict.decision, "")
                tell(to, (f"{verdict.decision:13}", style), f"{verdict.criterion}: {one_line(verdict.reason)}")
        case Counted():
            tell(to, (_counts(news), "dim"))
        case BatchEnded():
            tell(to, (f"over: {_counts(news.counted)}", "bold"))
        case RunEnded():
            tell(to, (f"{news.run.status}: {news.run.reason}".rstrip(": "), "bold"))
        case Missed():
            tell(to, (f"more happened since {news.since:%H:%M:%S} than is told again", "yellow"))
        case _:
            tell(to, (f"{plural(1, 'run')} was deleted: {news.id}", "dim"))


async def _name(client: "AsyncClient", news: Any, names: dict[str, str]) -> str:
    """What the test is called; asked for once."""
    from vivavoce.client import ApiError

    if news.test_id not in names:
        names[news.test_id] = news.test_id
        with contextlib.suppress(ApiError):
            run = await client.get_run(news.run_id)
            names[news.test_id] = run.test.name if run.test else news.test_id
    return " / ".join(filter(None, (news.suite, names[news.test_id])))


def _counts(counted: Any) -> str:
    return ", ".join(f"{many} {status}" for status, many in counted.counts.items() if many)
