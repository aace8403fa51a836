"""``viva keys``: create, list and revoke API keys."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from vivavoce.cli import options
from vivavoce.core.scope import Scope

app = typer.Typer(help="API keys: create, list, revoke; and the key of outgoing webhooks.", no_args_is_help=True)
Shared = Annotated[bool, typer.Option("--shared", help="Print the secret for signatures with a shared secret.")]


def with_database(work: Callable[[Any], Awaitable[None]], *, new: bool = False, **given: Any) -> None:
    """Do the work with the database open. Only ``new`` may make one: a mistyped directory is no empty database."""
    from vivavoce.house import database
    from vivavoce.storage.database import DatabaseUnreachable

    chosen = options.settings(**given)
    if not new and chosen.database_url is None and not (chosen.data_dir / "viva.db").exists():
        typer.echo(f"There is no database in {chosen.data_dir}.", err=True)
        raise typer.Exit(2)

    async def main() -> None:
        async with database(chosen) as opened:
            await work(opened)

    try:
        asyncio.run(main())
    except (DatabaseUnreachable, OSError) as failure:
        typer.echo(f"Cannot open the database: {failure}", err=True)
        raise typer.Exit(2) from failure


def with_organisation(
    work: Callable[[Any, str], Awaitable[None]], org: str, data_dir: Path | None, database_url: str | None
) -> None:
    """Do the work for an organisation, with the database open and the organisation's id; what is wrong with the request
    ends the command with code 2."""
    from vivavoce.services.errors import NotFound, Rejected

    async def doing(opened: Any) -> None:
        try:
            await work(opened, (await options.found(opened, org)).id)
        except (NotFound, Rejected) as failure:
            typer.echo(str(failure), err=True)
            raise typer.Exit(2) from failure

    with_database(doing, data_dir=data_dir, database_url=database_url)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    org: options.Org = options.DEFAULT_ORG,
    scope: Annotated[
        Scope, typer.Option(help="read: look at things; run: also run tests and talk; admin: everything.")
    ] = Scope.ADMIN,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Make a key and print it, once.

    Example: viva keys create ci --scope run
    """
    from vivavoce.house import sources
    from vivavoce.services import keys
    from vivavoce.services.errors import NotFound, Rejected

    async def work(opened: Any) -> None:
        clock, new_id = sources()
        whose = await options.found(opened, org)
        try:
            key, secret = await keys.create(
                opened, clock, new_id, secrets.token_urlsafe, name, org=whose.id, scope=scope
            )
        except (NotFound, Rejected) as failure:
            typer.echo(str(failure), err=True)
            raise typer.Exit(2) from failure
        row = {"id": key.id, "name": key.name, "org": whose.name, "scope": key.scope.value, "key": secret}
        typer.echo(json.dumps(row) if as_json else secret)

    with_database(work, new=True, data_dir=data_dir, database_url=database_url)


@app.command("list")
def get_all(
    org: Annotated[str | None, typer.Option("--org", help="Only of this organisation.")] = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """List keys; the keys themselves are not stored and cannot be shown.

    Example: viva keys list
    """
    from vivavoce.services import keys, orgs

    async def work(opened: Any) -> None:
        only = None if org is None else await options.found(opened, org)
        names = {one.id: one.name for one in await orgs.get_all(opened)}
        for key in await keys.get_all(opened):
            if only is not None and key.org != only.id:
                continue
            whose = names.get(key.org, key.org)
            made = datetime.fromtimestamp(key.created_at / 1000, UTC).isoformat(timespec="seconds")
            if as_json:
                row = {"id": key.id, "name": key.name, "org": whose, "scope": key.scope.value}
                row |= {"hint": key.hint, "created_at": made}
                typer.echo(json.dumps({**row, "revoked": key.revoked_at is not None}))
            else:
                state = "revoked" if key.revoked_at else "active"
                typer.echo(f"{key.id}  …{key.hint}  {made}  {state:8}  {key.scope:5}  {whose}  {key.name}")

    with_database(work, data_dir=data_dir, database_url=database_url)


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `viva keys list` shows.")],
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """End a key for good.

    Example: viva keys revoke 0199c0de-…
    """
    from vivavoce.house import sources
    from vivavoce.services import keys
    from vivavoce.services.errors import NotFound

    async def work(opened: Any) -> None:
        try:
            await keys.revoke(opened, sources()[0], key_id)
        except NotFound as failure:
            typer.echo(f"There is no active key {key_id!r}.", err=True)
            raise typer.Exit(2) from failure
        typer.echo(f"Revoked {key_id}.")

    with_database(work, data_dir=data_dir, database_url=database_url)


@app.command("webhooks")
def webhooks(
    data_dir: options.DataDir = None, database_url: options.DatabaseUrl = None, shared: Shared = False
) -> None:
    """Print the public key (Ed25519, base64) with which receivers check this server's webhooks, or the secret that they
    share with it.

    Example: viva keys webhooks
    """
    from vivavoce.house import signer
    from vivavoce.services.errors import Rejected

    try:
        signs = signer(options.settings(data_dir=data_dir, database_url=database_url))
        typer.echo(signs.shared_secret if shared else signs.public_key)
    except (Rejected, OSError) as failure:
        typer.echo(f"{failure}", err=True)
        raise typer.Exit(2) from failure
