"""``viva show``: one run, with its verdicts and its conversation."""

import json
from typing import Annotated

import typer

from vivavoce.cli import options, server


def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run.")],
    at: server.NeededServer = server.DEFAULT_SERVER,
    api_key: server.ApiKey = None,
    as_json: options.Json = False,
) -> None:
    """Show a run of a server: what was decided, and the conversation with the words that the verdicts rest on.

    Example: viva show 0199c0de-…
    """

    async def main() -> int:
        from vivavoce.running.connecting import connected

        async with connected(at, api_key) as client:
            run = await client.get_run(run_id)
            turns = (await client.get_transcript(run_id)).turns
        if as_json:
            from vivavoce.reports.document import run as run_document
            from vivavoce.reports.document import turn

            test = {"id": run.test_id, "name": run.test.name if run.test else None}
            told = {**run_document(run), "suite": run.suite, "test": test, "batch_id": run.batch_id}
            typer.echo(json.dumps({**told, "transcript": [turn(one) for one in turns]}, indent=2))
            return 0
        from vivavoce.cli import printing

        name = " / ".join(filter(None, (run.suite, run.test.name if run.test else run.test_id)))
        printing.tell_run(printing.console(), run, turns, name)
        return 0

    server.run(main)
