"""``viva documents``: what assistants search."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_database

app = typer.Typer(help="Documents that assistants search: add, list, remove, embed.", no_args_is_help=True)
Bucket = Annotated[str, typer.Argument(help="The bucket that a retrieval tool names.")]


def _fail(message: object) -> NoReturn:
    typer.echo(str(message), err=True)
    raise typer.Exit(2)


@app.command("add")
def add(
    bucket: Bucket,
    files: Annotated[list[Path], typer.Argument(help="Text, Markdown and HTML files.")],
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Take files in, or take them in again when they have changed; a running server finds them at once.

    Example: viva documents add manuals guide.md faq.html
    """
    from vivavoce.core.model import ModelFailure
    from vivavoce.house import sources
    from vivavoce.services import documents
    from vivavoce.services.errors import Rejected

    async def work(opened: Any) -> None:
        clock, new_id = sources()
        whose = await options.found(opened, org)
        async with _embedding(data_dir=data_dir, database_url=database_url) as embeds:
            for path in files:
                try:
                    data = path.read_bytes()
                except OSError as failure:
                    _fail(f"{path}: {failure.strerror}")
                try:
                    made = await documents.add(opened, clock, new_id, whose.id, bucket, path.name, data, embeds)
                except (Rejected, ModelFailure) as failure:
                    _fail(failure)
                typer.echo(f"{path.name}: {'added' if made else 'there already'}")

    with_database(work, new=True, data_dir=data_dir, database_url=database_url)


@app.command("list")
def get_all(
    bucket: Annotated[str | None, typer.Argument(help="Only of this bucket.")] = None,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """List documents.

    Example: viva documents list manuals
    """
    from vivavoce.services import documents

    model = options.settings(data_dir=data_dir, database_url=database_url).embedding_model

    async def work(opened: Any) -> None:
        whose = await options.found(opened, org)
        for one in await documents.get_all(opened, whose.id, bucket, model):
            document = one.document
            if as_json:
                row = {"bucket": document.bucket, "name": document.name, "passages": one.passages}
                typer.echo(json.dumps({**row, "embedded": one.embedded}))
            else:
                ready = f", {one.embedded} embedded" if model else ""
                typer.echo(f"{document.bucket}  {document.name}  {one.passages} passages{ready}")

    with_database(work, data_dir=data_dir, database_url=database_url)


@app.command("remove")
def remove(
    bucket: Bucket,
    names: Annotated[list[str], typer.Argument(help="The names that `viva documents list` shows.")],
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Remove documents.

    Example: viva documents remove manuals guide.md
    """
    from vivavoce.services import documents
    from vivavoce.services.errors import NotFound

    async def work(opened: Any) -> None:
        whose = await options.found(opened, org)
        for name in names:
            try:
                await documents.remove(opened, whose.id, bucket, name)
            except NotFound:
                _fail(f"There is no document {name!r} in {bucket!r}.")
            typer.echo(f"Removed {name}.")

    with_database(work, data_dir=data_dir, database_url=database_url)


@app.command("embed")
def embed(
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Have the model that VIVA_EMBEDDING_MODEL names embed what it has not embedded yet.

    Example: VIVA_EMBEDDING_MODEL=openai/text-embedding-3-small viva documents embed
    """
    from vivavoce.core.model import ModelFailure
    from vivavoce.services import documents

    async def work(opened: Any) -> None:
        whose = await options.found(opened, org)
        async with _embedding(data_dir=data_dir, database_url=database_url) as embeds:
            if embeds is None:
                _fail("VIVA_EMBEDDING_MODEL is not set.")
            try:
                done = await documents.embed(opened, whose.id, embeds)
            except ModelFailure as failure:
                _fail(failure)
            typer.echo(f"{done} passages were embedded.")

    with_database(work, data_dir=data_dir, database_url=database_url)


@asynccontextmanager
async def _embedding(**given: Any) -> AsyncGenerator[Any]:
    """The model that embeds here, or None, while the block runs."""
    from vivavoce.core.model import ModelFailure
    from vivavoce.models.embeddings import embedder
    from vivavoce.models.resolve import Models

    chosen = options.settings(**given)
    models = Models(chosen.for_models())
    try:
        found = embedder(models, chosen.embedding_model) if chosen.embedding_model else None
    except ModelFailure as failure:
        _fail(failure)
    try:
        yield found
    finally:
        await models.close()
