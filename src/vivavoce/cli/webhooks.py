"""``viva webhooks``: addresses that are told when runs and batches are over."""

import json
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_organisation
from vivavoce.core.hook import Occasion

app = typer.Typer(
    help="Addresses that are told when runs and batches are over: list, create, delete, test.", no_args_is_help=True
)
HookId = Annotated[str, typer.Argument(help="The id that `viva webhooks list` shows.")]
_PAGE = 100


@dataclass(frozen=True, slots=True)
class _Means:
    outbound: Any
    signer: Any
    clock: Any


@app.command("list")
def get_all(
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """List webhooks, the newest first.

    Example: viva webhooks list
    """
    from vivavoce.api.viva.webhooks import dump
    from vivavoce.services import hooks
    from vivavoce.storage.page import Window

    async def work(opened: Any, org_id: str) -> None:
        for number in count(1):
            page = await hooks.get_page(opened, org_id, Window(number, _PAGE))
            for one in page.items:
                shown = dump(one)
                line = f"{one.id}  {shown['created_at']}  {','.join(one.kinds)}  {one.url}"
                typer.echo(json.dumps(shown) if as_json else line)
            if number * _PAGE >= page.total:
                return

    with_organisation(work, org, data_dir, database_url)


@app.command("create")
def create(
    url: Annotated[str, typer.Argument(help="The address that is told.")],
    kind: Annotated[list[Occasion] | None, typer.Option(help="What it is told; may be repeated. [all]")] = None,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Have an address told, and print the webhook's id. `viva keys webhooks` prints the key for its signatures.

    Example: viva webhooks create https://ci.example.com/viva --kind batch.completed
    """
    from vivavoce.api.viva.webhooks import dump
    from vivavoce.house import sources
    from vivavoce.outbound.guard import Guard, networks
    from vivavoce.services import hooks

    guard = Guard(networks(options.settings().allow_networks))

    async def work(opened: Any, org_id: str) -> None:
        made = await hooks.create(opened, *sources(), guard, org_id, url, tuple(kind or Occasion))
        typer.echo(json.dumps(dump(made)) if as_json else made.id)

    with_organisation(work, org, data_dir, database_url)


@app.command("delete")
def delete(
    hook_id: HookId,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Remove a webhook.

    Example: viva webhooks delete 0199c0de-…
    """
    from vivavoce.services import hooks

    async def work(opened: Any, org_id: str) -> None:
        await hooks.delete(opened, org_id, hook_id)
        typer.echo(f"Deleted {hook_id}.")

    with_organisation(work, org, data_dir, database_url)


@app.command("test")
def try_out(
    hook_id: HookId,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Call a webhook's address now, from here, and once. Ends with 1 where it does not take it.

    Example: viva webhooks test 0199c0de-…
    """
    from vivavoce.api.viva.webhooks import dump_tried
    from vivavoce.house import signer, sources
    from vivavoce.outbound.fetch import open_session
    from vivavoce.outbound.guard import Guard, networks
    from vivavoce.services import hooks

    chosen = options.settings(data_dir=data_dir, database_url=database_url)

    async def work(opened: Any, org_id: str) -> None:
        hook = await hooks.retrieve(opened, org_id, hook_id)
        clock, new_id = sources()
        async with open_session(Guard(networks(chosen.allow_networks))) as outbound:
            tried = await hooks.try_out(_Means(outbound, signer(chosen), clock), hook, new_id)
        text = f"It answered with status {tried.status}." if tried.status is not None else f"No answer: {tried.reason}"
        typer.echo(json.dumps(dump_tried(tried)) if as_json else text)
        if not tried.taken:
            raise typer.Exit(1)

    with_organisation(work, org, data_dir, database_url)
