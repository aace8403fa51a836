"""Failures behind runs that were cancelled, on a server that has very many of those."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client

from vivavoce.agents.tools import server
from vivavoce.client import AsyncClient


def _runs(state: str, first: int, many: int) -> list[dict[str, Any]]:
    """So many runs, the newest of them first."""
    base = {"test_id": "t", "conversation_id": "c", "created_at": "2027-01-15T00:00:00Z", "status": state}
    return [{**base, "id": f"run-{number:05}"} for number in range(first + many - 1, first - 1, -1)]


async def failures(listed: dict[str, list[dict[str, Any]]], **given: Any) -> tuple[list[str], bool, int]:
    """The ids of what is told, whether there is more, and how many pages were read for it."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        query = request.url.params
        asked.append(str(request.url))
        page, size, mine = int(query["page"]), int(query["size"]), listed[query["status"]]
        shown = mine[(page - 1) * size : page * size]
        return httpx2.Response(200, json={"data": shown, "page": page, "size": size, "total": len(mine)})

    @asynccontextmanager
    async def opening(_request: object) -> AsyncGenerator[AsyncClient]:
        async with AsyncClient("http://viva.test", "k", transport=httpx2.MockTransport(answer)) as client:
            yield client

    async with Client(server(opening)) as agent:
        result = await agent.call_tool("list_failures", given)
        assert not result.is_error, result.content
        told: Any = result.structured_content
        return [one["run_id"] for one in told["failures"]], told["more"], len(asked)


async def test_an_error_behind_runs_that_were_cancelled_is_found() -> None:
    broken = [*_runs("cancelled", 500, 250), *_runs("error", 400, 1)]
    found = await failures({"failed": _runs("failed", 300, 2), "error": broken})
    assert found == (["run-00400", "run-00301", "run-00300"], False, 4)


async def test_nothing_is_told_of_what_was_cancelled() -> None:
    assert await failures({"failed": [], "error": _runs("cancelled", 0, 3)}) == ([], False, 2)


@pytest.mark.parametrize(("limit", "more"), [(3, True), (4, False)])
async def test_more_is_what_was_left_out(limit: int, more: bool) -> None:
    listed = {"failed": _runs("failed", 0, 2), "error": [*_runs("cancelled", 20, 5), *_runs("error", 10, 2)]}
    ids, told, _ = await failures(listed, limit=limit)
    assert (len(ids), told) == (limit, more)
    assert ids[:2] == ["run-00011", "run-00010"]


async def test_reading_goes_no_further_than_what_is_asked_for() -> None:
    ids, more, pages = await failures({"failed": [], "error": _runs("error", 0, 1000)}, limit=20)
    assert (ids[0], len(ids), more, pages) == ("run-00999", 20, True, 2)


async def test_reading_has_an_end() -> None:
    found = await failures({"failed": _runs("failed", 0, 1), "error": _runs("cancelled", 10, 9000)})
    assert found == (["run-00000"], True, 21)
