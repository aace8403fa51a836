"""``viva connect``: let assistants use a service of the catalog of integrations."""

from typing import Annotated, Any

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_database


def connect(
    integration: Annotated[str, typer.Argument(help="The integration's id, for example github.")],
    secret: Annotated[str, typer.Option(help="The identifier of the integration secret that opens it.")],
    base_url: Annotated[str | None, typer.Option(help="Where it is, when it is not at its usual place.")] = None,
    allow: Annotated[str | None, typer.Option(help="The tools that assistants may have, with commas. [all]")] = None,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Connect to an integration, or change the connection; a running server sees it at once.

    Example: viva connect github --secret github_token --allow github_search_issues,github_get_issue
    """
    from vivavoce.house import sources
    from vivavoce.services import integrations
    from vivavoce.services.errors import NotFound, Rejected

    names = None if allow is None else [name.strip() for name in allow.split(",") if name.strip()]

    async def work(opened: Any) -> None:
        clock, new_id = sources()
        whose = await options.found(opened, org)
        try:
            made = await integrations.connect(
                opened, clock, new_id, whose.id, integration, secret=secret, base_url=base_url, allowed=names
            )
        except (NotFound, Rejected) as failure:
            typer.echo(str(failure), err=True)
            raise typer.Exit(2) from failure
        typer.echo(f"Connected {integration}: {', '.join(integrations.tool_names(made)) or 'no tools'} ({made.id}).")

    with_database(work, data_dir=data_dir, database_url=database_url)
