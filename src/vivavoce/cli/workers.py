"""``viva workers``: who works on a database, and how much waits for them."""

import json
from typing import Any

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_database

_COLUMNS = ("ID", "HOST", "PROCESS", "VERSION", "STATE", "DRIVING", "SEEN")


def workers(
    data_dir: options.DataDir = None, database_url: options.DatabaseUrl = None, as_json: options.Json = False
) -> None:
    """List the processes that work on the database, those that were heard of within the last hour, and tell how many
    runs wait.

    Example: viva workers
    """
    from vivavoce.api.viva.workers import dump, dump_queue
    from vivavoce.services import machines

    async def work(opened: Any) -> None:
        found = [dump(one) for one in await machines.get_all(opened)]
        queue = dump_queue(await machines.queue(opened))
        if as_json:
            typer.echo(json.dumps({"workers": found, "runs": queue}))
            return
        if found:
            typer.echo(_table([_COLUMNS, *map(_row, found)]))
        waiting = ", ".join(f"{many} {priority}" for priority, many in queue["waiting"].items() if many)
        running = f"{queue['running']} of {queue['places']} places taken" if queue["places"] else "nobody drives runs"
        typer.echo(f"{running}; waiting: {waiting or 'none'}")

    with_database(work, data_dir=data_dir, database_url=database_url)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    driving = f"{one['driving']}/{one['places']}"
    return one["id"], one["host"], str(one["process"]), one["version"], one["state"], driving, one["seen_at"]


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
