"""A server in a process of its own, on which a suite was run twice: the second time after a change for the worse."""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.server import environment

from vivavoce.client import AsyncClient
from vivavoce.client.stream import BatchEnded
from vivavoce.running.alone import beside

GOOD = """on hear "order": say "What is your order number?"
on hear /(A-\\d+)/: call find {"number": "$1"}
on result find: say "It arrives ${arrives}."
"""
CALLER = """on start: say "Where is my order?"
on hear "number": say "It is A-1001."
on hear "Friday": hang up
on hear "Monday": hang up
"""
FINDS = {
    "name": "finds it",
    "scenario": CALLER,
    "criteria": ['says "Friday"', {"name": "asks", "text": 'says "order number"'}],
    "mocks": [{"tool": "find", "output": {"arrives": "Friday"}}],
}
WARM = {"name": "warm", "scenario": CALLER, "criteria": ['says "welcome"'], "mocks": FINDS["mocks"]}


def suite(instructions: str = GOOD) -> dict[str, Any]:
    desk = {"name": "Desk", "instructions": instructions, "tools": [{"kind": "function", "name": "find"}]}
    return {"suite": "desk", "assistant": desk, "tests": [FINDS, WARM]}


@dataclass(frozen=True)
class Served:
    url: str
    key: str
    good: str
    """The batch before the change."""
    bad: str


async def _examined(client: AsyncClient, instructions: str) -> str:
    await client.put_suite(suite(instructions))
    batch = await client.start_batch(suite="desk")
    async for news in client.follow_batch(batch.id):
        if isinstance(news, BatchEnded):
            break
    return batch.id


async def _furnished(url: str, key: str) -> Served:
    async with AsyncClient(url, key) as client:
        good = await _examined(client, GOOD)
        return Served(url, key, good, await _examined(client, GOOD.replace("${arrives}", "Monday")))


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    directory: Path = tmp_path_factory.mktemp("agents")
    with beside(directory, environment({})) as (url, key):
        yield asyncio.run(_furnished(url, key))
