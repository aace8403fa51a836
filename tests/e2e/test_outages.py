"""Whichever transaction of a run fails, the run comes out the same, and nothing is asked for twice."""

import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.chaos.drill import RUBRIC
from tests.chaos.plan import Faults
from tests.chaos.world import GREETING, JUDGE_PLACE, order_tool, tag, world
from tests.support.driving import ASSISTANTS, TESTS, Driver
from tests.support.outages import MOST, WHENS, Outage, When, weak_server
from tests.support.postgres import new_postgres
from tests.support.server import KEY, SECRET_KEY, Server

from vivavoce.settings import Settings


@pytest.mark.parametrize("when", WHENS)
async def test_a_run_comes_out_the_same_whichever_of_its_transactions_fails(tmp_path: Path, when: When) -> None:
    outage = Outage()
    async with contextlib.AsyncExitStack() as stack:
        outside = await stack.enter_async_context(world(Faults(7, rate=0.0), latency_s=0.0))
        given: dict[str, Any] = {name.removeprefix("VIVA_").lower(): value for name, value in outside.settings.items()}
        given["providers"] = json.loads(given["providers"])
        settings = Settings(
            **given,
            data_dir=tmp_path,
            database_url=SecretStr(stack.enter_context(new_postgres())),
            secret_key=SecretStr(SECRET_KEY),
            api_key=SecretStr(KEY),
        )
        logs = stack.enter_context(capture_logs())
        opening = contextlib.ExitStack()
        stack.push_async_callback(asyncio.to_thread, opening.close)
        base = await asyncio.to_thread(opening.enter_context, weak_server(settings, outage, of="runs"))
        server = Server(base, KEY, tmp_path, process=None)  # type: ignore[arg-type]
        driver = Driver(server, await stack.enter_async_context(aiohttp.ClientSession(headers=server.headers)))
        desk = {"name": "desk", "instructions": "You are the desk.", "tools": [order_tool(outside.shop_url)]}
        assistant = await driver.post(ASSISTANTS, {**desk, "greeting": GREETING})
        for at in range(1, MOST):
            test = await driver.post(
                TESTS,
                {
                    "name": tag(at),
                    "destination": assistant["id"],
                    "instructions": f"You wait for order A-1001. {tag(at)}.",
                    "rubric": [{"name": name, "criteria": words} for name, words in RUBRIC.items()],
                },
            )
            outage.begins(at, when)
            [run] = await driver.finished([await driver.post(f"{TESTS}/{test['test_id']}/runs")])
            struck = outage.ends()
            assert (run["status"], at) == ("passed", at)
            asked = Counter(one.place for one in outside.ledger if one.tag == tag(at))
            assert asked == Counter(range(1, JUDGE_PLACE + 1)), at
            if not struck:
                break
        else:
            pytest.fail("there is no end of transactions")
    assert at > JUDGE_PLACE
    assert not [one for one in logs if one["log_level"] == "error"]
