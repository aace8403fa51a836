"""A batch of a thousand tests against an endpoint of fixed latency, with kill -9 in its middle.

Counts only ever grow, also across the death of the server, and every run comes out once.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tests.support.driving import Driver, driving
from tests.support.endpoint import serve
from tests.support.server import record

MANY = 1000
AT_ONCE = 50
COUNTS = ("pass_count", "fail_count", "error_count")
PATIENCE_S = 240.0


async def create(driver: Driver) -> tuple[dict[str, Any], list[str]]:
    """An engine, and a thousand definitions for it; every tenth is to fail."""
    llm = await driver.post("/create-retell-llm", {"begin_message": "Hello.", "general_prompt": "You are the desk."})
    engine = {"type": "retell-llm", "llm_id": llm["llm_id"]}
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> str:
        fact = "calls lookup_order" if number % 10 == 0 else "never calls lookup_order"
        definition = {
            "name": f"test {number}",
            "response_engine": engine,
            "user_prompt": f"You say that you are number {number}.",
            "metrics": [fact],
        }
        async with places:
            made = await driver.post("/create-test-case-definition", definition)
        return made["test_case_definition_id"]

    return engine, list(await asyncio.gather(*(one(number) for number in range(MANY))))


def done(batch: Mapping[str, Any]) -> int:
    return sum(batch[name] for name in COUNTS)


async def watch(driver: Driver, before: Mapping[str, Any], until: int) -> dict[str, Any]:
    """Look at the batch until so many runs are over; no count ever falls."""
    path = f"/get-batch-test/{before['test_case_batch_job_id']}"
    async with asyncio.timeout(PATIENCE_S):
        while True:
            now: dict[str, Any] = await driver.get(path)
            assert all(now[name] >= before[name] for name in COUNTS), (before, now)
            assert now["total_count"] == MANY
            assert (now["status"] == "complete") is (done(now) == MANY)
            if done(now) >= until:
                return now
            before = now
            await asyncio.sleep(0.05)


async def test_a_batch_of_1000_completes_and_survives_kill_9(tmp_path: Path) -> None:
    async with serve(latency=0.02) as endpoint:
        endpoint.recording = False
        endpoint.behaviours = [{"role": "tester", "say": ["Hello, I am here."], "hang_up_after": 1}]
        settings = {
            "OPENAI_BASE_URL": endpoint.base_url,
            "OPENAI_API_KEY": "sk-test",
            "VIVA_DEFAULT_MODEL": "openai/test-model",
            "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
            "VIVA_MODEL_FALLBACK": "default",
            "VIVA_RATE_LIMIT": "0",
        }
        async with driving(tmp_path, settings) as driver:
            engine, ids = await create(driver)
            wanted = {"test_case_definition_ids": ids, "response_engine": engine}
            batch = await driver.post("/create-batch-test", wanted)
            assert (batch["status"], batch["total_count"], done(batch)) == ("in_progress", MANY, 0)
            half_way = await watch(driver, batch, MANY // 4)
            assert half_way["status"] == "in_progress"
            await driver.kill()
        async with driving(tmp_path, settings) as driver:
            last = await watch(driver, half_way, MANY)
            runs = await driver.get(f"/list-test-runs/{batch['test_case_batch_job_id']}")
    assert [last[name] for name in COUNTS] == [MANY - MANY // 10, MANY // 10, 0]
    assert [run["test_case_definition_id"] for run in runs] == ids
    with record(tmp_path) as database:
        settled = database.execute(text("SELECT count(*) FROM runs WHERE completed_at IS NOT NULL")).scalar_one()
        turns = database.execute(text("SELECT count(*) FROM events")).scalar_one()
    assert settled == MANY
    assert endpoint.total < turns + 3 * MANY  # what was recorded was not asked for again
