"""A provider's limit and a batch's budget, kept by several workers together."""

import asyncio
import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.support.driving import ASSISTANTS, TESTS, Driver
from tests.support.endpoint import serve
from tests.support.fleet import commanding
from tests.support.postgres import new_postgres

A_MINUTE = 900
WORKERS = 2
ALLOWED = A_MINUTE / 2 + A_MINUTE / 3
"""A minute, for both workers. The server has a part of its own; and the first worker may not have heard yet that there
is another one."""
PATIENCE_S = 60.0


async def over(driver: Driver, batch: Mapping[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await driver.get(f"/viva/v1/batches/{batch['id']}"))["over"]:
            await asyncio.sleep(0.05)
    return found


async def test_workers_keep_a_limit_and_a_budget_together(tmp_path: Path) -> None:
    with new_postgres() as url:
        async with serve() as endpoint:
            endpoint.behaviours = [{"role": "tester", "hang_up_after": 2}]
            provider = {"base_url": endpoint.base_url, "requests_per_minute": A_MINUTE}
            settings = {
                "VIVA_DATABASE_URL": url,
                "VIVA_PROVIDERS": json.dumps({"local": provider}),
                "VIVA_DEFAULT_MODEL": "local/m",
                "VIVA_WORKER_CONCURRENCY": "4",
            }
            async with commanding(tmp_path, settings, workers=WORKERS) as command:
                driver = command.driver
                assistant = await driver.post(ASSISTANTS, {"name": "desk", "instructions": "Help."})
                rubric = [{"name": "is polite", "criteria": "The assistant is polite"}]
                test = {"name": "a", "destination": assistant["id"], "instructions": "Say hello.", "rubric": rubric}
                test = await driver.post(TESTS, {**test, "test_suite": "many"})

                batch = await driver.post("/viva/v1/batches", {"suite": "many", "repeats": 8})
                single = await driver.post(f"{TESTS}/{test['test_id']}/runs")
                [single] = await driver.finished([single])
                found = await driver.get(f"/viva/v1/batches/{batch['id']}")
                assert not found["over"], "who waits for one run overtakes a batch"
                found = await over(driver, batch)
                assert found["counts"]["passed"] == 8
                times = [one["at"] for one in endpoint.requests]
                for first, last in combinations(range(len(times)), 2):
                    took_s = times[last] - times[first]
                    assert last - first + 1 <= ALLOWED * (1 / 20 + (took_s + 0.3) / 60) + WORKERS, took_s

                wish = {"suite": "many", "repeats": 8, "budget": {"tokens": 400}}
                batch = await driver.post("/viva/v1/batches", wish)
                found = await over(driver, batch)
                assert found["counts"]["cancelled"] >= 6
                assert found["budget"]["exhausted_at"] is not None
                runs = (await driver.get(f"/viva/v1/batches/{batch['id']}/runs"))["data"]
                reasons = {run["reason"] for run in runs if run["status"] == "cancelled"}
                assert all(one.startswith("cancelled: the batch's budget of 400 tokens is spent (") for one in reasons)
                spent = found["budget"]["spent_tokens"]
                assert sum(run["usage"]["input_tokens"] + run["usage"]["output_tokens"] for run in runs) == spent >= 400
