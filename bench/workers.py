"""How the throughput of runs grows with workers on one PostgreSQL database.

    python -m bench.workers --workers 1 2 4

The runs wait for nobody: tester, assistant and judge are the scripted model, which answers at once, so that a worker is
as fast as its core. Each number of workers gets a database of its own with a server that drives nothing, and the
suite is triggered when all workers are there. Workers, server, database and this program share the machine: on two
cores two workers cannot be twice as fast as one, which leaves the other core to the database.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.fleet import Member, fleet
from tests.support.postgres import new_postgres

from bench.conversations import cpu_s, get, outcome, peak_mb, post
from bench.database import durable

TURNS = 10
POLL_S = 1.0
"""How often it is asked whether all are over. Times are the server's own record, and whoever asks takes a part of two
cores that are busy."""
ANSWERS = 'on hear /Point (\\d+)/: say "Point $1 is noted. What else?"\nelse: say "How can I help?"'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--conversations", type=int, default=1500)
    parser.add_argument("--times", type=int, default=1, help="how often, in turns")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON lines")
    arguments = parser.parse_args()
    with durable():
        for _ in range(arguments.times):
            base = 0.0
            for workers in arguments.workers:
                figures = measure(workers, arguments.conversations)
                base = base or figures["runs_per_s"]
                figures["scale"] = figures["runs_per_s"] / base
                print(json.dumps(figures) if arguments.json else line(figures), flush=True)


def line(figures: dict[str, Any]) -> str:
    return (
        f"{figures['workers']} workers   {figures['runs_per_s']:.1f} runs/s   "
        f"{figures['calls_per_s']:.0f} model calls/s   "
        f"x {figures['scale']:.2f}   wall {figures['wall_s']:.2f} s   CPU of the workers {figures['cpu_s']:.1f} s   "
        f"peak {figures['peak_mb']:.0f} MB each   statuses {figures['statuses']}"
    )


def brief() -> str:
    """A caller who says ten things, each told by how often the assistant has answered."""
    lines = [f'once on hear /./: say "Point {number}: the parcel has not come."' for number in range(1, TURNS)]
    return "\n".join(['on start: say "Hello, I have a few points."', *lines, 'else: say "Thank you."; hang up'])


def measure(workers: int, count: int) -> dict[str, Any]:
    """One measurement on a fresh database."""
    with tempfile.TemporaryDirectory() as directory, new_postgres() as url:
        settings = {
            "VIVA_DATABASE_URL": url,
            "VIVA_DEFAULT_MODEL": "scripted",
            # Enough to keep a core busy; more would only be taken by whoever comes first.
            "VIVA_WORKER_CONCURRENCY": "32",
        }
        with fleet(Path(directory), settings, workers=workers) as crew:
            return asyncio.run(drive(crew, workers, count))


async def drive(crew: list[Member], workers: int, count: int) -> dict[str, Any]:
    server, *others = crew
    headers = {"Authorization": "Bearer viva_test_key"}
    async with aiohttp.ClientSession(headers=headers) as http:
        base = f"{server.url}/v2/ai"
        assistant = await post(http, f"{base}/assistants", {"name": "bench", "instructions": ANSWERS})
        for number in range(count):
            test = {
                "name": f"bench {number}",
                "destination": assistant["id"],
                "instructions": brief(),
                "rubric": [{"name": "polite", "criteria": 'The assistant says "noted".'}],
                "test_suite": "bench",
            }
            await post(http, f"{base}/assistants/tests", test)
        await asyncio.sleep(1)
        spent = sum(cpu_s(one.process.pid) for one in others)
        began = time.monotonic()
        await post(http, f"{base}/assistants/tests/test-suites/bench/runs", {})
        while await unfinished(http, base):
            await asyncio.sleep(POLL_S)
        seen = time.monotonic() - began
        wall, statuses = await outcome(http, base)
        return {
            "workers": workers,
            "conversations": count,
            "wall_s": wall,
            "seen_s": seen,
            "runs_per_s": count / wall,
            "calls_per_s": count * (2 * TURNS + 2) / wall,
            "cpu_s": sum(cpu_s(one.process.pid) for one in others) - spent,
            "peak_mb": max(peak_mb(one.process.pid) for one in others),
            "statuses": statuses,
        }


async def unfinished(http: aiohttp.ClientSession, base: str) -> bool:
    for status in ("pending", "starting", "running"):
        page = await get(http, f"{base}/assistants/tests/test-suites/bench/runs?status={status}&page[size]=1")
        if page["meta"]["total_results"]:
            return True
    return False


if __name__ == "__main__":
    main()
