"""``viva schema``, ``viva export`` and ``viva import``: suites and assistants as files."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from vivavoce.cli import options, server
from vivavoce.cli.keys import with_database

OURS = "viva"
_PAGE = 100

FormatName = Annotated[
    str, typer.Option("--format", help="viva, or the name of an API of others that this server speaks.")
]


def schema() -> None:
    """Print the JSON Schema of suite files, by which editors know their keys.

    Example: viva schema > suite.schema.json
    """
    from vivavoce.files.editors import schema_text

    typer.echo(schema_text(), nl=False)


# --- out ------------------------------------------------------------------------------------------------------------


def export(
    suite: Annotated[list[str] | None, typer.Option(help="A suite, with whom it examines; may be repeated.")] = None,
    assistant: Annotated[
        list[str] | None, typer.Option(help="An assistant, by its name or id; may be repeated.")
    ] = None,
    format_name: FormatName = OURS,
    output: Annotated[
        Path | None, typer.Option(help="The directory for the files; otherwise they are printed.")
    ] = None,
    at: server.Server = None,
    api_key: server.ApiKey = None,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Write suites and assistants as files: those that are named, or everything. Without --output one suite or one
    assistant is printed.

    Example: viva export --suite checkout --output tests
    """
    suites, whom = tuple(suite or ()), tuple(assistant or ())
    if output is None and (format_name != OURS or len(suites) + len(whom) != 1):
        _fail("Name one --suite or one --assistant to print, or a directory with --output.")
    if at is not None and format_name == OURS:

        async def main() -> int:
            _put_out(*await _from_server(at, api_key, suites, whom), output)
            return 0

        server.run(main)

    async def work(opened: Any, org_id: str) -> None:
        from vivavoce.services import suites as services
        from vivavoce.services import transfer

        def collected(tx: Any) -> Any:
            return transfer.collect(tx, org_id, suites, whom)

        def documents(tx: Any) -> tuple[int, Any]:
            bundle = collected(tx)
            loose = sum(one.suite is None for one in bundle.scenarios)
            return loose, services.exported(tx, org_id, bundle.scenarios, bundle.assistants)

        if format_name == OURS:
            loose, (found, assistants) = await opened.read(documents)
            if loose:
                typer.echo(f"{loose} tests are in no suite, and stay behind.", err=True)
            _put_out(found, assistants, output)
            return
        form = _format(format_name)
        written = form.write(await opened.read(collected))
        for note in written.notes:
            typer.echo(note, err=True)
        assert output is not None
        texts = {name: json.dumps(one, indent=2, ensure_ascii=False) for name, one in written.files.items()}
        _save(output, {name: f"{text}\n" for name, text in texts.items()})

    _with_organisation(work, org, at, data_dir, database_url)


async def _from_server(
    at: str, api_key: str | None, suites: Sequence[str], whom: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    from vivavoce.files.schema import nameable
    from vivavoce.running.connecting import connected

    for name in suites:
        if not nameable(name):
            _fail(f"A server cannot be asked for the suite {name!r}: leave --server and VIVA_SERVER out.")

    async with connected(at, api_key) as client:

        async def every(page: Callable[..., Awaitable[Any]]) -> list[Any]:
            found: list[Any] = []
            while True:
                one = await page(page=1 + len(found) // _PAGE, size=_PAGE)
                found += one.items
                if len(found) >= one.total or not one.items:
                    return found

        listed = {one["id"]: one["name"] for one in await every(client.get_assistants)}
        names = list(suites)
        for one in [] if suites or whom else await every(client.get_suites):
            if nameable(one.name):
                names.append(one.name)
            else:
                typer.echo(f"A server cannot be asked for the suite {one.name!r}: it stays behind.", err=True)
        found = [await client.get_suite(name) for name in names]
        wanted = [_id_of(one, listed) for one in whom] if suites or whom else list(listed)
        for document in (each for one in found for each in (one, *one["tests"])):
            if isinstance(said := document.get("assistant"), str):
                wanted.append(_id_of(said, listed))
            elif said is not None and said["id"] in listed:
                wanted.append(said["id"])
        return found, {id_: await client.get_assistant(id_) for id_ in dict.fromkeys(wanted)}


def _id_of(id_or_name: str, listed: Mapping[str, str]) -> str:
    found = [id_ for id_, name in listed.items() if id_or_name in (id_, name)]
    if len(found) != 1:
        _fail(f"There is {'no assistant' if not found else 'more than one assistant'} {id_or_name!r}.")
    return found[0]


def _put_out(suites: Sequence[dict[str, Any]], assistants: Mapping[str, dict[str, Any]], output: Path | None) -> None:
    from vivavoce.files.exporting import aimed, layout, titled
    from vivavoce.files.writing import to_yaml

    if output is not None:
        _save(output, {name: to_yaml(one) for name, one in layout(suites, assistants).items()})
        return
    known = titled(assistants)
    for one in [aimed(suite, assistants, known.__getitem__) for suite in suites] or list(known.values()):
        typer.echo(to_yaml(one), nl=False)


def _save(folder: Path, files: Mapping[str, str]) -> None:
    from vivavoce.cli.writing import put

    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            put(path, text)
            typer.echo(str(path))
    except OSError as failure:
        _fail(f"{folder} cannot be written: {failure.strerror or failure}")


# --- in -------------------------------------------------------------------------------------------------------------


def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of them.")],
    format_name: FormatName = OURS,
    prune: Annotated[bool, typer.Option("--prune", help="Retire tests that a suite's file does not name.")] = False,
    at: server.Server = None,
    api_key: server.ApiKey = None,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Take suites and assistants in from files: what is there already is changed, and the same again changes nothing.

    Example: viva import tests/checkout.viva.yaml
    """
    from vivavoce.files.reading import Unreadable, inside

    files = [one for path in paths for one in inside(path)]
    if not files:
        _fail("There are no files of YAML or JSON in there.")
    try:
        if format_name == OURS:
            _import_ours(files, prune, at, api_key, org, data_dir, database_url, as_json)
        else:
            _import_others(files, format_name, at, org, data_dir, database_url, as_json)
    except Unreadable as failure:
        _fail(str(failure))


def _import_ours(
    files: Sequence[Path],
    prune: bool,
    at: str | None,
    api_key: str | None,
    org: str,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    from vivavoce.files.reading import AssistantFile, SuiteFile, read

    found = read(files)
    # Suites may name what the files of assistants hold.
    assistants = [one for one in found if isinstance(one, AssistantFile)]
    suites = [one for one in found if isinstance(one, SuiteFile)]

    if at is not None:

        async def main() -> int:
            from vivavoce.running.connecting import connected

            async with connected(at, api_key) as client:
                for one in assistants:
                    made = await client.put_assistant(one.assistant.name, one.document)
                    _tell("assistant", made["id"], made["name"], made["change"], as_json=as_json)
                for one in suites:
                    applied = await client.put_suite(one.document, prune=prune)
                    for each in applied.assistants:
                        _tell("assistant", each.id, each.name, each.change, as_json=as_json)
                    for each in applied.tests:
                        _tell("test", each.id, each.name, each.change, as_json=as_json)
            return 0

        server.run(main)

    async def work(opened: Any, org_id: str) -> None:
        from vivavoce.house import sources
        from vivavoce.services import suites as services
        from vivavoce.services.errors import Rejected

        by = _Maker(*sources())

        def all_of_it(tx: Any) -> list[tuple[str, str, str, str]]:
            rows: list[tuple[str, str, str, str]] = []
            for one in (*assistants, *suites):
                try:
                    if isinstance(one, AssistantFile):
                        applied = None
                        changed = (services.put_assistant(by, tx, org_id, one.assistant),)
                    else:
                        applied = services.put(by, tx, org_id, one.suite, prune=prune)
                        changed = applied.assistants
                except Rejected as failure:
                    place = one.pointed(f"/{failure.part or ''}")
                    raise Rejected(f"{place}: {failure}") from failure
                rows += [("assistant", each.assistant.id, each.assistant.main.name, each.change) for each in changed]
                rows += (
                    [("test", each.scenario.id, each.scenario.name, each.change) for each in applied.tests]
                    if applied
                    else []
                )
            return rows

        for row in await opened.write(all_of_it):
            _tell(*row, as_json=as_json)

    _with_organisation(work, org, None, data_dir, database_url, new=True)


def _import_others(
    files: Sequence[Path],
    format_name: str,
    at: str | None,
    org: str,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    from vivavoce.files.places import follow
    from vivavoce.files.reading import Unreadable, read_trees
    from vivavoce.files.trees import Fault
    from vivavoce.services.transfer import Flaw, keep

    form = _format(format_name)
    pieces = [(tree, piece) for tree in read_trees(files) for piece in form.read(tree.value)]
    faults = [
        Fault(tree.place(follow(tree.value, piece.loc)), piece.thing.message)
        for tree, piece in pieces
        if isinstance(piece.thing, Flaw)
    ]
    if faults:
        raise Unreadable(faults)
    found = [piece.thing for _, piece in pieces if not isinstance(piece.thing, Flaw)]

    async def work(opened: Any, org_id: str) -> None:
        from vivavoce.house import sources

        by = _Maker(*sources())

        def all_of_it(tx: Any) -> Any:
            return keep(by, tx, org_id, found, form)

        for one in await opened.write(all_of_it):
            _tell(one.what, one.id, one.name, one.change, as_json=as_json)

    _with_organisation(work, org, at, data_dir, database_url, new=True)


class _Maker:
    """What making things needs of the command line."""

    def __init__(self, clock: Any, new_id: Any) -> None:
        self.clock, self.new_id = clock, new_id


def _tell(what: str, id_: str, name: str, change: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"what": what, "id": id_, "name": name, "change": str(change)}))
    else:
        typer.echo(f"{change:9}  {what:9}  {id_}  {name}")


def _format(name: str) -> Any:
    from vivavoce.vendors import FORMATS

    if name not in FORMATS:
        _fail(f"There is no format {name!r}; there are {', '.join((OURS, *FORMATS))}.")
    return FORMATS[name]


def _with_organisation(
    work: Callable[[Any, str], Awaitable[None]],
    org: str,
    at: str | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    new: bool = False,
) -> None:
    from vivavoce.services.errors import NotFound, Rejected

    if at is not None:
        _fail("Files of this format are read and written beside the database: leave --server and VIVA_SERVER out.")

    async def doing(opened: Any) -> None:
        try:
            await work(opened, (await options.found(opened, org)).id)
        except (NotFound, Rejected) as failure:
            _fail(str(failure))

    with_database(doing, new=new, data_dir=data_dir, database_url=database_url)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
