"""Options that several commands share, and how a mistake in a setting is told."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

DataDir = Annotated[Path | None, typer.Option(help="Where the SQLite files live. [VIVA_DATA_DIR, default: data]")]
Org = Annotated[str, typer.Option("--org", help="The organisation, by its name or id.")]
DEFAULT_ORG = "default"
DatabaseUrl = Annotated[str | None, typer.Option(help="A PostgreSQL address instead of SQLite. [VIVA_DATABASE_URL]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings(**given: Any) -> Any:
    """The settings, with what the command line gave over the environment. A mistake ends the command with code 2."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from vivavoce.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except SettingsError as failure:
        # Only its message says which setting it is about.
        field = re.search(r'field "(\w+)"', str(failure))
        typer.echo(f"VIVA_{field[1].upper()}: it is not JSON" if field else f"{failure}", err=True)
    except ValidationError as failure:
        for error in failure.errors(include_url=False, include_input=False):
            name, *inner = map(str, error["loc"])
            place = f" ({'.'.join(inner)})" if inner else ""
            typer.echo(f"VIVA_{name.upper()}{place}: {error['msg']}", err=True)
    raise typer.Exit(2)


async def found(opened: Any, org: str) -> Any:
    """The organisation with this name or id. One that is not there ends the command with code 2."""
    from vivavoce.services import orgs
    from vivavoce.services.errors import NotFound

    try:
        return await orgs.resolve(opened, org)
    except NotFound as failure:
        typer.echo(f"There is no organisation {org!r}. `viva orgs list` shows them.", err=True)
        raise typer.Exit(2) from failure
