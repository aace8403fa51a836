"""``viva doctor``: what is missing before a server can start and examine."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli import options

if TYPE_CHECKING:
    from vivavoce.cli.checkup import Check

Probe = Annotated[bool, typer.Option("--probe", help="Ask each model for one word, which costs a few tokens.")]
FAILED = 1
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    probe: Probe = False,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Look at the settings, the database, the models, the port, the disk, the clock and the keys; change nothing. The
    code is 1 where something keeps a server from starting or from examining.

    Example: viva doctor --probe
    """
    from vivavoce.cli.checkup import look
    from vivavoce.cli.logs import configure

    configure("text", "error")
    given = {"data_dir": data_dir, "database_url": database_url}
    found = asyncio.run(look({name: value for name, value in given.items() if value is not None}, probe=probe))
    failed = any(one.state == "fail" for one in found)
    if as_json:
        checks = [
            {"name": one.name, "state": one.state, "found": one.found, "advice": one.advice or None} for one in found
        ]
        typer.echo(json.dumps({"ok": not failed, "checks": checks}, indent=2))
    else:
        for one in found:
            _tell(one)
    raise typer.Exit(FAILED if failed else 0)


def _tell(one: "Check") -> None:
    typer.echo(f"{typer.style(f'{one.state:<4}', fg=_COLOURS[one.state])}  {one.name:<20}  {one.found}")
    if one.advice:
        typer.echo(f"{'':<28}→ {one.advice}")
