"""``viva demo``: the whole product once, on this machine, with nothing but what is installed."""

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vivavoce.vendors import sample

START_S = 60.0
RUN_S = 120.0


class DemoFailed(Exception):
    """The demo could not come to its end; the message says where it stuck."""


def demo(
    data_dir: Annotated[Path, typer.Option(help="Where the record is kept.")] = Path(".demo"),
) -> None:
    """Start a server, examine a sample assistant through the HTTP API, show the verdicts, and end.

    Example: viva demo
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        asyncio.run(_demo(data_dir.resolve()))
    except DemoFailed as failure:
        typer.echo(f"The demo failed: {failure}", err=True)
        raise typer.Exit(1) from failure


async def _demo(data_dir: Path) -> None:
    import aiohttp
    from rich.console import Console

    from vivavoce.cli import orders
    from vivavoce.vendors import sample

    console = Console(highlight=False)
    runner, orders_url = await orders.serve()
    key = "viva_demo_" + secrets.token_urlsafe(24)
    try:
        async with _server(data_dir, key) as url:
            console.print(f"[bold]Viva Voce[/bold] is running at {url}")
            headers = {"Authorization": f"Bearer {key}"}
            async with aiohttp.ClientSession(url, headers=headers) as http, asyncio.timeout(RUN_S):
                assistant, tests = await sample.create(http, orders_url)
                console.print(f"Created the assistant [bold]{assistant['name']}[/bold]: {assistant['id']}")
                console.print(f"Created {len(tests)} tests in the suite [bold]{sample.SUITE}[/bold]; running them:\n")
                results = await sample.examine(
                    http, tests, lambda test, status: console.print(f"  {status:8}  {test}", style=_style(status))
                )
    except TimeoutError:
        raise DemoFailed(f"the runs were not over within {RUN_S:g} s; see {data_dir / 'server.log'}") from None
    except (sample.Unexpected, aiohttp.ClientError) as failure:
        raise DemoFailed(str(failure)) from failure
    finally:
        await runner.cleanup()
    _report(console, results)
    report = data_dir / "report.txt"
    report.write_text("\n\n".join(result.story for result in results) + "\n", encoding="utf-8")
    console.print(
        f"""
Tester, assistant and judge were the [bold]scripted[/bold] model: it computes and understands nothing. Set
OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, and start `viva serve` to examine with a language model.

The record is in {data_dir}
  report.txt  every run told with times
  viva.db     the database (SQLite)
To look at it, start the server on it again, open http://127.0.0.1:8080 and log in with the key; or ask the API, for
example for the first run:

  VIVA_API_KEY={key} {_viva()} serve --data-dir {data_dir}
  curl -H 'Authorization: Bearer {key}' http://127.0.0.1:8080{results[0].path}""",
        soft_wrap=True,
    )


def _viva() -> str:
    """How this command was started, so that it can be started again as it is printed."""
    return sys.argv[0] if sys.argv[0].endswith("viva") else "viva"


@contextlib.asynccontextmanager
async def _server(data_dir: Path, key: str) -> AsyncGenerator[str]:
    """``viva serve`` in a process of its own, as a user would start it; ends it whatever happens."""
    # The sample's order service is on this machine, which the guard refuses unless it is told otherwise.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("VIVA_", "OPENAI_"))},
        "VIVA_API_KEY": key,
        "VIVA_ALLOW_NETWORKS": "127.0.0.1/32",
        "VIVA_DEFAULT_MODEL": "scripted",
        "PYTHONUNBUFFERED": "1",
    }
    log = data_dir / "server.log"
    command = [sys.executable, "-c", "from vivavoce.cli.main import main; main()", "serve", "--port", "0"]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            "--data-dir",
            str(data_dir),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(START_S):
                line = (await process.stdout.readline()).decode()
        except TimeoutError:
            raise DemoFailed(f"the server did not start within {START_S:g} s; see {log}") from None
        if "http" not in line:
            raise DemoFailed(f"the server did not start; see {log}")
        yield line.split()[-1]
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(START_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _style(status: str) -> str:
    return {"passed": "green", "met": "green", "failed": "red", "unmet": "red", "error": "yellow"}.get(status, "dim")


def _report(console: Any, results: "Sequence[sample.Result]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Verdicts (judge: scripted)", title_justify="left")
    for heading in ("test", "criterion", "verdict", "evidence", "seconds"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left", overflow="fold")
    for result in results:
        test = Text(f"{result.test}\n")
        test.append(result.status, _style(result.status))
        for place, item in enumerate(result.items):
            table.add_row(
                test if place == 0 else "",
                item.name,
                Text(item.verdict, _style(item.verdict)),
                Text(item.evidence),
                f"{result.seconds:.3f}" if place == 0 else "",
                end_section=place == len(result.items) - 1,
            )
    console.print()
    console.print(table)
    passed = sum(result.status == "passed" for result in results)
    failed = [result.test for result in results if result.status != "passed"]
    console.print(f"{passed} of {len(results)} tests passed. Not passed: {', '.join(failed) or 'none'}.")
