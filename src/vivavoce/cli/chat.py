"""``viva chat``: try an assistant, as a caller would."""

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivavoce.cli import options, server

if TYPE_CHECKING:
    from vivavoce.client import AsyncClient, Chat, Turn

_PAGE = 100
_MOST_PAGES = 50

Whom = Annotated[str, typer.Argument(metavar="ASSISTANT", help="Its id, its name, or a file that describes it.")]
Version = Annotated[str | None, typer.Option("--version", metavar="ID", help="One of its versions, by its id.")]
Variables = Annotated[
    list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A variable of the conversation.")
]


class _Unknown(Exception):
    """There is no such assistant, or the words say no variable; the message is for a person."""


def chat(
    assistant: Whom,
    version: Version = None,
    var: Variables = None,
    at: server.Server = None,
    api_key: server.ApiKey = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Talk to an assistant, a line at a time; an empty line, or the end of the input, hangs up. Lines can come from a
    pipe. With --json every turn of the assistant is an object on a line.

    Without --server it is an assistant of a server that is started for this, whose record is in --data-dir.

    Example: viva chat "Order desk" --server http://127.0.0.1:8080
    """

    try:
        variables = _variables(var or ())
        described = _described(assistant)
    except _Unknown as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(server.CANNOT) from failure

    async def main() -> int:
        from vivavoce.running.connecting import connected

        async with connected(at, api_key, data_dir) as client:
            try:
                id_ = await _found(client, assistant) if described is None else await _brought(client, described)
            except _Unknown as failure:
                typer.echo(str(failure), err=True)
                return server.CANNOT
            await _talk(client, await client.start_chat(id_, version_id=version, variables=variables), as_json)
        return 0

    server.run(main)


def _variables(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not (sign and name):
            raise _Unknown(f"--var {one!r} should be NAME=VALUE.")
        found[name] = value
    return found


async def _found(client: "AsyncClient", whom: str) -> str:
    """The id of the assistant with this id or name."""
    named: list[str] = []
    for page in range(1, _MOST_PAGES + 1):
        found = await client.get_assistants(page=page, size=_PAGE)
        for one in found.items:
            if one["id"] == whom:
                return whom
            if one["name"] == whom:
                named.append(one["id"])
        if page * _PAGE >= found.total:
            break
    if len(named) == 1:
        return named[0]
    if not named:
        raise _Unknown(f"There is no assistant {whom!r}.")
    raise _Unknown(f"Several assistants have the name {whom!r}; say which by its id: {', '.join(named[:5])}.")


def _described(whom: str) -> Mapping[str, Any] | None:
    """The assistant that a file describes; None where this is the name of none."""
    path = Path(whom)
    if path.suffix not in (".yaml", ".yml", ".json") or not path.is_file():
        return None
    from vivavoce.files.reading import AssistantFile, Unreadable, read

    try:
        found = [one for one in read([path]) if isinstance(one, AssistantFile)]
    except Unreadable as failure:
        raise _Unknown(str(failure)) from failure
    if len(found) != 1:
        raise _Unknown(f"{path} describes {len(found) or 'no'} assistants; it should describe one.")
    return found[0].document


async def _brought(client: "AsyncClient", document: Mapping[str, Any]) -> str:
    """The id of this assistant, which the server has then."""
    return (await client.put_assistant(document["name"], document))["id"]


async def _talk(client: "AsyncClient", began: "Chat", as_json: bool) -> None:
    from vivavoce.client import ApiError

    asks = sys.stdin is not None and sys.stdin.isatty() and not as_json  # pyright: ignore[reportUnnecessaryComparison]
    _tell(began.turns, as_json)
    try:
        if began.over:
            return
        async for line in _lines(asks):
            try:
                said = await client.say(began.id, line)
            except ApiError as failure:
                if not asks or failure.status < 500:
                    raise
                # Said again it is answered, if the model is there then.
                typer.echo(f"({failure})", err=True)
                continue
            _tell(said.turns, as_json)
            if said.over:
                break
    finally:
        await client.end_chat(began.id)


async def _lines(asks: bool) -> AsyncGenerator[str]:
    """What is typed or comes from a pipe, until an empty line."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            for line in _typed():
                loop.call_soon_threadsafe(arrived.put_nowait, line)
            loop.call_soon_threadsafe(arrived.put_nowait, "")

    # Not one of the loop's threads: those are waited for, and this one may wait for a line that never comes.
    threading.Thread(target=read, daemon=True).start()
    while True:
        if asks:
            typer.secho("you: ", nl=False, bold=True)
        line = (await arrived.get()).strip()
        if not line:
            return
        yield line


def _typed() -> Iterator[str]:
    """Every line of the input. What is no text in its encoding is replaced, and what cannot be read is its end."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  # it is, where the input was closed
        return
    with contextlib.suppress(OSError):
        for line in iter(sys.stdin.buffer.readline, b""):
            yield line.decode(sys.stdin.encoding or "utf-8", errors="replace")


def _tell(turns: "Sequence[Turn]", as_json: bool) -> None:
    from dataclasses import asdict

    for turn in turns:
        if as_json:
            told = {name: value for name, value in asdict(turn).items() if value not in (None, "", ())}
            typer.echo(json.dumps({**told, "at": turn.at.isoformat() if turn.at else None}))
        elif turn.kind == "message":
            if turn.text:
                typer.echo(f"{typer.style('assistant:', bold=True)} {turn.text}")
        elif turn.kind == "tool_called":
            typer.secho(f"  calls {turn.name}({json.dumps(turn.arguments or {}, ensure_ascii=False)})", dim=True)
        elif turn.kind == "tool_returned":
            typer.secho(f"  {turn.name} {'returned' if turn.ok else 'failed'}: {turn.output}", dim=True)
        elif turn.kind in ("moved", "handed_over"):
            typer.secho(f"  {'at' if turn.kind == 'moved' else 'handed over to'} {turn.name or turn.node}", dim=True)
        elif turn.kind == "left":
            typer.secho(f"  the assistant left: {turn.ending}", dim=True)
