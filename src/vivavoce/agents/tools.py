"""The tools, over a client of the server's own API."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from vivavoce import __version__
from vivavoce.agents import telling, tests
from vivavoce.client import ApiError, AsyncClient, Unreachable
from vivavoce.client.answers import Batch, Run
from vivavoce.client.stream import BatchEnded, Counted

_PAGE = 100
_MOST_PAGES = 20
"""How many pages of runs in error are read, however many of them were cancelled."""

Request = Any
"""What the transport knows of a request, None on stdio."""
Opening = Callable[[Request], AbstractAsyncContextManager[AsyncClient]]
"""A client for whoever sent the request."""

INSTRUCTIONS = """\
Viva Voce examines AI assistants: a simulated caller talks to an assistant, and a judge decides each criterion of a test
with evidence. To see what is wrong, call list_suites and list_failures, then get_run for the verdicts and the
conversation. After a change to an assistant run its suite with run_suite and compare the two batches. Write a new test
with propose_test first, which saves nothing; save_test keeps it."""

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_RUNS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)

Name = Annotated[str, Field(min_length=1, max_length=256)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Called = Context[Any, Any]
Document = Annotated[
    dict[str, Any],
    Field(
        description="A test as a suite's file has it: name, suite, assistant or destination, scenario (what the caller"
        " wants), optionally persona, turns, criteria (what must hold), checks (what is computed), mocks, variables."
    ),
]


def server(opening: Opening) -> MCPServer:
    """A server with all tools. ``opening`` is asked for a client for each call."""
    made = MCPServer("viva", title="Viva Voce", version=__version__, instructions=INSTRUCTIONS, log_level="ERROR")

    @asynccontextmanager
    async def client_of(called: Called) -> AsyncGenerator[AsyncClient]:
        try:
            async with opening(called.request_context.request) as client:
                yield client
        except (ApiError, Unreachable) as failure:
            raise ToolError(str(failure)) from failure

    @made.tool(annotations=_READS)
    async def list_suites(
        called: Called,
        page: Annotated[int, Field(ge=1, le=100_000)] = 1,
    ) -> dict[str, Any]:
        """The suites of tests, in alphabetical order, 50 a page, each with how its last run came out."""
        async with client_of(called) as client:
            found = await client.get_suites(page=page, size=50)
        return {"suites": [telling.suite(one) for one in found.items], "total": found.total}

    @made.tool(annotations=_READS)
    async def get_suite(called: Called, name: Name) -> dict[str, Any]:
        """A suite with all of its tests, as the document that a file of it would hold."""
        async with client_of(called) as client:
            return await client.get_suite(name)

    @made.tool(annotations=_RUNS)
    async def run_suite(
        called: Called,
        name: Name,
        only: Annotated[
            list[str] | None, Field(description="Names of tests; all of them where it is left out.")
        ] = None,
        repeats: Annotated[int | None, Field(ge=1, le=100)] = None,
        version_id: Annotated[str | None, Field(description="Of the assistant; its main version otherwise.")] = None,
        timeout_seconds: Annotated[Seconds, Field(description="How long to wait for the end.")] = 300,
    ) -> dict[str, Any]:
        """Run the tests of a suite and wait for the end. Answers with what did not pass, and why. What is not over in
        time goes on: get_batch tells of it later."""
        async with client_of(called) as client:
            chosen = None if only is None else await _chosen(client, name, only)
            batch = await client.start_batch(
                suite=name if chosen is None else None, test_ids=chosen, version_id=version_id, repeats=repeats
            )
            return await _awaited(client, called, batch, timeout_seconds)

    @made.tool(annotations=_READS)
    async def get_batch(
        called: Called,
        batch_id: Name,
        wait_seconds: Annotated[Seconds, Field(description="How long to wait for its end.")] = 0,
    ) -> dict[str, Any]:
        """How runs stand that were begun together, with what did not pass and why."""
        async with client_of(called) as client:
            return await _awaited(client, called, await client.get_batch(batch_id), wait_seconds)

    @made.tool(annotations=_READS)
    async def get_run(
        called: Called,
        run_id: Name,
        transcript: Annotated[bool, Field(description="Whether to tell the conversation.")] = True,
    ) -> dict[str, Any]:
        """One examination: every verdict with its reason and evidence, and the conversation with its tool calls. The
        number of a line is the turn that evidence names."""
        async with client_of(called) as client:
            told = telling.run(await client.get_run(run_id))
            if transcript:
                told["transcript"] = telling.transcript(await client.get_transcript(run_id))
            return told

    @made.tool(annotations=_READS)
    async def list_failures(
        called: Called,
        suite: str | None = None,
        batch_id: str | None = None,
        limit: Annotated[int, Field(ge=1, le=telling.MOST_TOLD)] = 20,
    ) -> dict[str, Any]:
        """The newest runs that failed or could not be decided, with the criteria that were not met and why; of one
        suite or batch, or of all. Those that were cancelled are left out. `more` says that there are others, or may
        be."""
        async with client_of(called) as client:
            failed = await client.get_runs(suite=suite, batch_id=batch_id, status="failed", size=limit)
            broken, all_of_them = await _in_error(client, suite, batch_id, limit)
        # Ids are made in the order of time.
        runs = sorted((*failed.items, *broken), key=lambda run: run.id, reverse=True)
        more = not all_of_them or failed.total + len(broken) > limit
        return {"failures": [telling.brief(run) for run in runs[:limit]], "more": more}

    @made.tool(annotations=_READS)
    async def propose_test(called: Called, document: Document) -> dict[str, Any]:
        """Check a test and tell what save_test would do with it. Saves nothing."""
        wrong = tests.mistakes(document)
        if wrong:
            return {"valid": False, "problems": [asdict(one) for one in wrong]}
        after = tests.normal(document)
        async with client_of(called) as client:
            before = await tests.find(client, after["suite"], after["name"])
        if before is None:
            return {"valid": True, "would": "create", "test": after}
        changes = tests.differing(before, after)
        return {"valid": True, "would": "change" if changes else "leave", "id": before["id"], "changes": changes}

    @made.tool(annotations=_WRITES)
    async def save_test(called: Called, document: Document) -> dict[str, Any]:
        """Keep a test: the one of its suite that has its name is replaced, or a new one is made."""
        wrong = tests.mistakes(document)
        if wrong:
            raise ToolError("; ".join(f"{one.at or 'the document'}: {one.message}" for one in wrong))
        async with client_of(called) as client:
            before = await tests.find(client, document.get("suite"), document["name"])
            if before is None:
                return {"change": "created", "test": await client.create_test(document)}
            return {"change": "replaced", "test": await client.put_test(before["id"], document)}

    @made.tool(annotations=_READS)
    async def compare(
        called: Called, kind: Literal["batches", "runs", "versions"], left: Name, right: Name
    ) -> dict[str, Any]:
        """What changed from the left to the right, by ids: criteria that broke come first, then those that were fixed.
        Of two versions of an assistant also the fields that differ."""
        async with client_of(called) as client:
            return dict((await client.compare(kind, left, right)).document)

    return made


async def _in_error(client: AsyncClient, suite: str | None, batch_id: str | None, most: int) -> tuple[list[Run], bool]:
    """The newest runs in error that were not cancelled, at least ``most`` where there are so many, and whether these
    are all of them."""
    found: dict[str, Run] = {}  # what a new run moves to the next page comes again
    for number in range(1, _MOST_PAGES + 1):
        page = await client.get_runs(suite=suite, batch_id=batch_id, status="error", page=number, size=_PAGE)
        # The server lists those that were cancelled among them.
        found.update((run.id, run) for run in page.items if run.status != "cancelled")
        if number * _PAGE >= page.total:
            return list(found.values()), True
        if len(found) >= most:
            break
    return list(found.values()), False


async def _chosen(client: AsyncClient, suite: str, names: list[str]) -> list[str]:
    """The ids of the tests of the suite that have these names."""
    found = [await tests.find(client, suite, name) for name in names]
    missing = [name for name, one in zip(names, found, strict=True) if one is None]
    if missing:
        raise ToolError(f"The suite {suite!r} has no test {', '.join(map(repr, missing))}.")
    return [one["id"] for one in found if one is not None]


async def _awaited(client: AsyncClient, called: Called, batch: Batch, seconds: float) -> dict[str, Any]:
    """How the batch stands when it is over, or when the time is."""

    async def progress(many: int, total: int) -> None:
        await called.report_progress(many, total, f"{many} of {total} runs are over")

    if not batch.over and seconds:
        try:
            async with asyncio.timeout(seconds):
                await _follow(client, batch.id, progress)
        except TimeoutError:
            pass
    batch = await client.get_batch(batch.id)
    return telling.batch(batch, await _runs(client, batch))


async def _follow(client: AsyncClient, batch_id: str, progress: Callable[[int, int], Awaitable[None]]) -> None:
    async with aclosing(client.follow_batch(batch_id)) as news:
        async for one in news:
            match one:
                case Counted() as counted:
                    pass
                case BatchEnded(counted):
                    pass
                case _:
                    continue
            over = sum(counted.counts.get(status, 0) for status in ("passed", "failed", "error", "cancelled"))
            await progress(over, counted.total)


async def _runs(client: AsyncClient, batch: Batch) -> list[Run]:
    """The runs of the batch, the oldest first."""
    found: list[Run] = []
    for page in range(1, -(-batch.total // 100) + 1):
        found += (await client.get_batch_runs(batch.id, page=page, size=100)).items
    return found[::-1]
