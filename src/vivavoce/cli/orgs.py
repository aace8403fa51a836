"""``viva orgs``: the organisations that share a server."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_database

app = typer.Typer(help="Organisations that share a server: create, list, delete.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is called; no two are called alike.")],
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Make an organisation. It has no key yet: `viva keys create` makes one.

    Example: viva orgs create acme
    """
    from vivavoce.house import sources
    from vivavoce.services import orgs
    from vivavoce.services.errors import Rejected

    async def work(opened: Any) -> None:
        clock, new_id = sources()
        try:
            made = await orgs.create(opened, clock, new_id, name)
        except Rejected as failure:
            typer.echo(str(failure), err=True)
            raise typer.Exit(2) from failure
        typer.echo(json.dumps({"id": made.id, "name": made.name}) if as_json else made.id)

    with_database(work, new=True, data_dir=data_dir, database_url=database_url)


@app.command("list")
def get_all(
    data_dir: options.DataDir = None, database_url: options.DatabaseUrl = None, as_json: options.Json = False
) -> None:
    """List organisations.

    Example: viva orgs list
    """
    from vivavoce.services import orgs

    async def work(opened: Any) -> None:
        for one in await orgs.get_all(opened):
            made = datetime.fromtimestamp(one.created_at / 1000, UTC).isoformat(timespec="seconds")
            row = {"id": one.id, "name": one.name, "created_at": made}
            typer.echo(json.dumps(row) if as_json else f"{one.id}  {made}  {one.name}")

    with_database(work, data_dir=data_dir, database_url=database_url)


@app.command("delete")
def delete(
    org: Annotated[str, typer.Argument(help="Its name or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; otherwise only what would go is shown.")] = False,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Delete an organisation with its keys, assistants, tests, runs, conversations and everything else that it has.

    Example: viva orgs delete acme --yes
    """
    from vivavoce.house import sources
    from vivavoce.services import orgs
    from vivavoce.services.errors import NotFound, Rejected

    async def work(opened: Any) -> None:
        whose = await options.found(opened, org)
        has = await orgs.contents(opened, whose.id)
        told = ", ".join(f"{many} in {name}" for name, many in has.items()) or "nothing"
        if not yes:
            typer.echo(f"{whose.name} has: {told}. It all goes for good with --yes.", err=True)
            raise typer.Exit(2)
        try:
            await orgs.delete(opened, sources()[0], whose.id)
        except (NotFound, Rejected) as failure:
            typer.echo(str(failure), err=True)
            raise typer.Exit(2) from failure
        typer.echo(f"Deleted {whose.name}, which had: {told}.")

    with_database(work, data_dir=data_dir, database_url=database_url)
