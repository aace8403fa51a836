"""The command ``viva``."""

import sys

import typer

from vivavoce import __version__
from vivavoce.cli import (
    cancel,
    chat,
    connect,
    db,
    demo,
    doctor,
    documents,
    exchange,
    keys,
    mcp,
    orgs,
    run,
    schedules,
    serve,
    show,
    watch,
    webhooks,
    worker,
    workers,
)
from vivavoce.cli.server import CANNOT, last_words, why

app = typer.Typer(
    name="viva",
    help="Viva Voce: an oral exam for AI assistants.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it.")) -> None:
    """Examine AI assistants with simulated callers and judged verdicts."""


app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("workers")(workers.workers)
app.command("run")(run.run)
app.command("watch")(watch.watch)
app.command("show")(show.show)
app.command("schema")(exchange.schema)
app.command("export")(exchange.export)
app.command("import")(exchange.import_)
app.command("cancel")(cancel.cancel)
app.command("chat")(chat.chat)
app.command("mcp")(mcp.mcp)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("connect")(connect.connect)
app.add_typer(keys.app, name="keys")
app.add_typer(orgs.app, name="orgs")
app.add_typer(documents.app, name="documents")
app.add_typer(db.app, name="db")
app.add_typer(schedules.app, name="schedules")
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """Run the command line. Ends with code 2 where a command cannot print what it has to say."""
    try:
        app()
    except OSError as failure:
        last_words(why(failure))
        sys.exit(CANNOT)
