"""``viva db``: look at the schema, bring it up to date, move everything to another database."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_database

app = typer.Typer(help="The database: its schema, and moving to another one.", no_args_is_help=True)
Source = Annotated[
    str | None, typer.Option("--from", help="The address of the database to copy. [the file in the data directory]")
]
Target = Annotated[str | None, typer.Option("--to", help="The address of an empty database. [VIVA_DATABASE_URL]")]
ShowSecretKey = Annotated[bool, typer.Option(help="Print the key that opens the secrets that were copied.")]


@app.command("current")
def current(data_dir: options.DataDir = None, database_url: options.DatabaseUrl = None) -> None:
    """Print the revision of the database's schema and that of this release; change nothing.

    Example: viva db current
    """
    from vivavoce.storage.database import DatabaseUnreachable, connect
    from vivavoce.storage.migrate import Revisions, revisions

    chosen = options.settings(data_dir=data_dir, database_url=database_url)
    _must_exist(chosen.file)

    async def look() -> Revisions:
        opened = connect(chosen.url)
        try:
            return await revisions(opened)
        finally:
            opened.close()

    try:
        found = asyncio.run(look())
    except (DatabaseUnreachable, OSError) as failure:
        _stop(f"Cannot open the database: {failure}", failure)
    typer.echo(f"database {found.database or 'none'}, this release {found.release}")


@app.command("upgrade")
def upgrade(data_dir: options.DataDir = None, database_url: options.DatabaseUrl = None) -> None:
    """Bring the schema up to date. Servers and workers do so too when they start.

    Example: viva db upgrade
    """
    from vivavoce.storage.migrate import revisions

    async def work(opened: Any) -> None:
        found = await revisions(opened)
        typer.echo(f"database {found.database}, this release {found.release}")

    with_database(work, data_dir=data_dir, database_url=database_url)


@app.command("copy")
def copy(
    source: Source = None,
    target: Target = None,
    data_dir: options.DataDir = None,
    show_secret_key: ShowSecretKey = False,
) -> None:
    """Copy everything to an empty database, from SQLite to PostgreSQL or back, while no server runs.

    Example: viva db copy --data-dir data --to postgresql://viva:secret@db.example.com/viva
    """
    from vivavoce.directory import DirectoryBusy
    from vivavoce.storage.copying import CannotCopy
    from vivavoce.storage.database import DatabaseUnreachable, without_password

    around = options.settings(data_dir=data_dir)
    comes_from = options.settings(data_dir=data_dir, database_url=source or f"sqlite:///{around.data_dir / 'viva.db'}")
    if target is None and around.database_url is None:
        _stop("Say where to: --to, or VIVA_DATABASE_URL.")
    goes_to = options.settings(data_dir=data_dir, database_url=target or around.url)
    if comes_from.url == goes_to.url:
        _stop("That is a copy of a database to itself.")
    _must_exist(comes_from.file)
    try:
        counts = asyncio.run(_copy(comes_from, goes_to))
    except (CannotCopy, DirectoryBusy, DatabaseUnreachable, OSError) as failure:
        _stop(f"Nothing was copied: {failure}", failure)
    typer.echo(f"Copied {sum(counts.values())} rows to {without_password(goes_to.url)}.")
    typer.echo(_about_the_key(comes_from, goes_to, show=show_secret_key))


async def _copy(source: Any, target: Any) -> Mapping[str, int]:
    from vivavoce.directory import held
    from vivavoce.house import database
    from vivavoce.storage import copying

    async with contextlib.AsyncExitStack() as stack:
        # A server holds the directory of its file, and so must whoever wants it to stand still.
        for directory in {one.file.resolve().parent for one in (source, target) if one.file is not None}:
            stack.enter_context(held(directory))
        # In this order: what cannot be copied anywhere is not upgraded either.
        goes_to = await stack.enter_async_context(database(target))
        comes_from = await stack.enter_async_context(database(source))
        return await copying.copy(comes_from, goes_to, _tell)


def _tell(table: str, count: int) -> None:
    typer.echo(f"{count:>10}  {table}", err=True)


def _about_the_key(source: Any, target: Any, *, show: bool) -> str:
    """What to do about the key that opens the secrets: it is in no database."""
    if source.secret_key is not None:
        return "Start servers on the copy with the same VIVA_SECRET_KEY as before: it opens the secrets."
    places = (source.file.parent, source.data_dir) if source.file is not None else ()
    kept = next((place / "secret.key" for place in places if (place / "secret.key").exists()), None)
    if kept is None:
        where = "" if target.file is None else f", or put it into {target.data_dir / 'secret.key'}"
        return f"Start servers on the copy with the VIVA_SECRET_KEY of before{where}: it opens the secrets."
    if target.file is not None:
        return f"Copy {kept} to where the copy is served from: it opens the secrets."
    if show:
        return f"VIVA_SECRET_KEY={kept.read_text(encoding='ascii').strip()}"
    return (
        f"Start servers on the copy with VIVA_SECRET_KEY set to what is in {kept}: it opens the secrets. "
        "With --show-secret-key this command prints it."
    )


def _must_exist(file: Path | None) -> None:
    """A mistyped address is no empty database."""
    if file is not None and not file.exists():
        _stop(f"There is no database in {file.parent}.")


def _stop(words: str, failure: BaseException | None = None) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(2) from failure
