"""The command ``viva``."""

import typer

from vivavoce import __version__
from vivavoce.cli import connect, demo, documents, keys, serve

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
app.command("demo")(demo.demo)
app.command("connect")(connect.connect)
app.add_typer(keys.app, name="keys")
app.add_typer(documents.app, name="documents")


def main() -> None:
    """Run the command line."""
    app()
