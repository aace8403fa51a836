"""Pages of the reference that are made from the program: ``python -m tests.support.reference`` writes them anew."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import typer

from vivavoce.api.scopes import needed
from vivavoce.api.viva.application import application
from vivavoce.api.viva.scopes import RULES
from vivavoce.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = DOCS / "reference" / "commands.md"
API = DOCS / "reference" / "viva-api.md"

SEE_COMMAND = {
    "viva chat": "chat.md",
    "viva connect": "mcp.md",
    "viva db": "../guide/postgresql.md",
    "viva doctor": "doctor.md",
    "viva documents": "documents.md",
    "viva export": "files.md#import-and-export",
    "viva import": "files.md#import-and-export",
    "viva keys": "organisations.md",
    "viva mcp": "mcp-server.md",
    "viva orgs": "organisations.md",
    "viva cancel": "runs-api.md#cancelling",
    "viva run": "running.md",
    "viva schedules": "schedules.md",
    "viva schema": "files.md#form-and-mistakes",
    "viva serve": "durability.md",
    "viva show": "running.md#looking-at-a-server",
    "viva watch": "running.md#looking-at-a-server",
    "viva webhooks": "webhooks.md",
    "viva worker": "durability.md#viva-worker",
    "viva workers": "workers.md",
}
"""The page that tells more of a command, or of a group of them."""

SEE_TAG = {
    "assistants": "files.md#the-same-over-http",
    "batches": "budgets.md",
    "comparisons": "results-api.md#comparisons",
    "conversations": "results-api.md#trying-an-assistant",
    "events": "events.md",
    "inbox": "messages.md",
    "keys": "organisations.md",
    "models": "results-api.md#models",
    "overviews": "results-api.md",
    "runs": "runs-api.md",
    "schedules": "schedules.md",
    "suites": "files.md#the-same-over-http",
    "tests": "files.md#the-same-over-http",
    "webhooks": "webhooks.md",
    "workers": "workers.md",
}
"""The page that tells more of the operations with this tag."""

_HEAD_OF_COMMANDS = """\
# Commands

Every command of `viva`, with every option. `viva COMMAND --help` shows the same, and `viva --version` the release.

[Settings](settings.md) are environment variables; an option that has one stands over it. Commands that speak to a
server take its address and a key as `--server` and `--api-key`, or from `VIVA_SERVER` and `VIVA_API_KEY`. Commands that
work on the database itself (`--data-dir`, `--database-url`) do so whether a server runs or not. `--json` prints what a
program can read.

A mistake in the command line or in a setting ends with code 2 and a line on standard error that says what it is.
[The codes of `viva run`](running.md#how-it-ends).

`viva --install-completion` has your shell complete commands and options; `viva --show-completion` prints what it would
install.

| command | what it does |
|---|---|
"""

_HEAD_OF_API = """\
# The API at /viva/v1

Everything that is not one of the vendors' APIs is here. Every request needs a key, as
`Authorization: Bearer …`; the scope says which key is enough: `read` looks, `run` also runs tests and talks, `admin`
may do everything ([organisations and keys](organisations.md#scopes)). The [Python client](client.md) speaks it.

Bodies and answers are JSON. Times are UTC in ISO 8601; durations say their unit in their name. Lists take `page` from
1 and `size` up to 100, and answer with `data`, `page`, `size` and `total`. `GET /viva/v1/openapi.json` describes every
body for programs.

What is refused is answered with a status from 400 on and

```json
{"error": {"status": 422, "message": "what is wrong", "places": [{"at": "/body/tests/0/name", "message": "and here"}]}}
```

| status | when |
|---|---|
| 400, 422 | the request is wrong; `places` name the parts of it, where there are any |
| 401, 403 | there is no key, or its scope is too narrow |
| 404 | there is no such thing in the key's organisation |
| 409 | it cannot be done now |
| 413, 429 | the body is too large; too many requests, `Retry-After` says when to come again |
| 503 | the database or something else that it needs is away for now |

`GET`, `PUT` and `DELETE` do no harm when they are sent again; a `POST` that is sent twice is done twice.
"""


# --- commands -------------------------------------------------------------------------------------------------------


def every_command() -> Iterator[tuple[str, Any]]:
    """(``viva db copy``, the command) of all that do something."""
    yield from _below("viva", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, one in inner.items():
        yield from _below(f"{name} {word}", one)


def commands_page() -> str:
    """The page of commands."""
    parts, rows = list[str](), list[str]()
    for name, command in every_command():
        what, example = told(command)
        rows.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(what[0].split('. ')[0].rstrip('.'))} |")
        parts.append(f"## {name}\n\n" + "\n\n".join(map(_prose, what)))
        parts.append(f"```sh\n{example}\n```")
        if options := [one for one in command.params if one.name != "help"]:
            table = "\n".join(f"| {_option(one)} | {_cell(one.help or '')}{_variable(one)} |" for one in options)
            parts.append(f"| option | meaning |\n|---|---|\n{table}")
        if page := SEE_COMMAND.get(name) or SEE_COMMAND.get(name.rsplit(" ", 1)[0]):
            parts.append(f"[More]({page})")
    return _HEAD_OF_COMMANDS + "\n".join(rows) + "\n\n" + "\n\n".join(parts) + "\n"


def told(command: Any) -> tuple[list[str], str]:
    """The paragraphs of a command's help, and its example."""
    paragraphs = [" ".join(one.split()) for one in (command.help or "").split("\n\n")]
    [example] = [one.removeprefix("Example: ") for one in paragraphs if one.startswith("Example: ")]
    return [one for one in paragraphs if not one.startswith("Example: ")], example


def names(option: Any) -> list[str]:
    """How the option is written; of an argument, its place holder."""
    if option.param_type_name == "argument":
        return [option.display_name_raw if option.metavar else option.name.upper()]
    return [*option.opts, *option.secondary_opts]


def _option(option: Any) -> str:
    words = " / ".join(f"`{one}`" for one in names(option))
    return f"{words}, needed" if option.required else words


def _variable(option: Any) -> str:
    told_already = option.envvar is None or option.envvar in (option.help or "")
    return "" if told_already else f" [{option.envvar}]"


# --- operations -----------------------------------------------------------------------------------------------------


def every_operation() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, its description) of everything that the API serves."""
    context: Any = SimpleNamespace()
    paths = cast("dict[str, dict[str, dict[str, Any]]]", application(context).openapi()["paths"])
    for path, ways in paths.items():
        for method, operation in ways.items():
            yield method.upper(), path, operation


def api_page() -> str:
    """The page of the API under ``/viva/v1``."""
    groups: dict[str, list[str]] = {}
    for method, path, operation in every_operation():
        [tag] = operation["tags"]
        groups.setdefault(tag, []).append(_operation(method, path, operation))
    parts = [
        f"## {tag.capitalize()}\n\n[More]({SEE_TAG[tag]})\n\n| request | scope | what it does |\n|---|---|---|\n"
        + "\n".join(rows)
        for tag, rows in sorted(groups.items())
    ]
    return _HEAD_OF_API + "\n" + "\n\n".join(parts) + "\n"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    asked = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    query = "?" + "&".join(f"{name}=" for name in asked) if asked else ""
    scope = needed(RULES, method, re.sub(r"\{\w+\}", "x", path))
    what = " ".join(operation["description"].split("\n\n")[0].split())
    return f"| `{method} {path}{query}` | {scope.value} | {_cell(what)} |"


# --- text -----------------------------------------------------------------------------------------------------------


def _prose(text: str) -> str:
    """As it stands, with what Markdown would take for its own marked; words in backticks stay."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(one if one.startswith("`") else re.sub(r"([*<|])", r"\\\1", one) for one in pieces)


def _cell(text: str) -> str:
    return _prose(" ".join(text.split()))


def main() -> None:
    """Write the pages."""
    COMMANDS.write_text(commands_page(), "utf-8")
    API.write_text(api_page(), "utf-8")


def written() -> Sequence[tuple[Path, str]]:
    """The pages as they stand, and as they should."""
    return (COMMANDS, commands_page()), (API, api_page())


if __name__ == "__main__":
    main()
