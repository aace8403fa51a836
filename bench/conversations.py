"""N simulated conversations against an endpoint with a fixed latency: how near to the ideal, at what price.

    python -m bench.conversations --conversations 50 200 --latency 0.1

A conversation is 10 turns of tester and assistant, and a judge: its model calls come one after another, so nothing can
be faster than (2 * turns + 1) * latency. The server is ``viva serve`` in a process of its own, driven over HTTP, on
SQLite or PostgreSQL, with every turn durable; the endpoint is another process. CPU and memory are the server's own,
read from the operating system: CPU from just before the suite is triggered to its last verdict, memory as the peak of
the process.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.postgres import new_postgres
from tests.support.server import Server, serving

from bench.database import durable

TURNS = 10
POLL_S = 0.25
FINAL = ("passed", "failed", "error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--latency", type=float, default=0.1, help="seconds")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], nargs="+", default=["sqlite"])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON lines")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if "postgresql" in arguments.database:
            stack.enter_context(durable())
        for count in arguments.conversations:
            for database in arguments.database:
                figures = measure(count, arguments.latency, database)
                print(json.dumps(figures) if arguments.json else line(figures), flush=True)


def line(figures: dict[str, Any]) -> str:
    return (
        f"{figures['database']:10} N={figures['conversations']:<5} latency {figures['latency_s'] * 1000:.0f} ms   "
        f"wall {figures['wall_s']:.2f} s   ideal {figures['ideal_s']:.2f} s   ratio {figures['ratio']:.2f}   "
        f"CPU {figures['cpu_ms_per_call']:.2f} ms a model call   peak {figures['peak_mb']:.0f} MB   "
        f"model calls {figures['model_calls']}   statuses {figures['statuses']}"
    )


def measure(count: int, latency: float, database: str) -> dict[str, Any]:
    """One measurement on a fresh server and a fresh database."""
    endpoint = subprocess.Popen(
        [sys.executable, "tests/support/endpoint.py", "--latency", str(latency)], stdout=subprocess.PIPE, text=True
    )
    assert endpoint.stdout is not None
    try:
        port = int(endpoint.stdout.readline().split()[-1])
        settings = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "OPENAI_API_KEY": "bench",
            "VIVA_DEFAULT_MODEL": "openai/bench",
            "VIVA_WORKER_CONCURRENCY": str(max(count, 1)),
            "VIVA_PROVIDERS": json.dumps(
                {"openai": {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "bench", "concurrency": count}}
            ),
        }
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            if database == "postgresql":
                settings |= {"VIVA_DATABASE_URL": stack.enter_context(new_postgres()), "VIVA_SECRET_KEY": "bench"}
            server = stack.enter_context(serving(Path(directory), settings, dev=False))
            figures = asyncio.run(drive(server, f"http://127.0.0.1:{port}", count, latency))
            return {"database": database, **figures}
    finally:
        endpoint.terminate()
        endpoint.wait()


async def drive(server: Server, endpoint: str, count: int, latency: float) -> dict[str, Any]:
    async with aiohttp.ClientSession(headers=server.headers) as http:
        base = f"{server.url}/v2/ai"
        # Bodies are not kept: at this rate the endpoint would measure its own memory.
        await post(http, f"{endpoint}/_control", {"recording": False})
        assistant = await post(http, f"{base}/assistants", {"name": "bench", "instructions": "Answer."})
        for number in range(count):
            test = {
                "name": f"bench {number}",
                "destination": assistant["id"],
                "instructions": f"You are caller {number}.",
                "rubric": [{"name": "polite", "criteria": "The assistant is polite."}],
                "test_suite": "bench",
            }
            await post(http, f"{base}/assistants/tests", test)
        # Let what starting up still does come to rest.
        await asyncio.sleep(1)
        cpu, began = cpu_s(server.process.pid), time.monotonic()
        await post(http, f"{base}/assistants/tests/test-suites/bench/runs", {})
        while True:
            await asyncio.sleep(POLL_S)
            waiting = 0
            for status in ("pending", "starting", "running"):
                page = await get(http, f"{base}/assistants/tests/test-suites/bench/runs?status={status}&page[size]=1")
                waiting += page["meta"]["total_results"]
                if waiting:
                    break
            if not waiting:
                break
        seen, cpu = time.monotonic() - began, cpu_s(server.process.pid) - cpu
        wall, statuses = await outcome(http, base)
        calls = (await get(http, f"{endpoint}/_control"))["count"]
        ideal = (2 * TURNS + 1) * latency
        return {
            "conversations": count,
            "latency_s": latency,
            "wall_s": wall,
            "seen_s": seen,
            "ideal_s": ideal,
            "ratio": wall / ideal if ideal else 0.0,
            "cpu_ms_per_call": cpu * 1000 / max(calls, 1),
            "peak_mb": peak_mb(server.process.pid),
            "model_calls": calls,
            "statuses": statuses,
        }


async def outcome(http: aiohttp.ClientSession, base: str) -> tuple[float, dict[str, int]]:
    """Seconds from the trigger to the last verdict, by the server's own record, and how the runs came out."""
    from datetime import datetime

    statuses: dict[str, int] = {}
    first, last, number = None, None, 1
    while True:
        page = await get(http, f"{base}/assistants/tests/test-suites/bench/runs?page[number]={number}&page[size]=100")
        for run in page["data"]:
            statuses[run["status"]] = statuses.get(run["status"], 0) + 1
            created, completed = (datetime.fromisoformat(run[name]) for name in ("created_at", "completed_at"))
            first = min(first or created, created)
            last = max(last or completed, completed)
        if number >= page["meta"]["total_pages"]:
            assert first is not None
            assert last is not None
            return (last - first).total_seconds(), statuses
        number += 1


async def post(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Any:
    async with http.post(url, json=body) as answer:
        answer.raise_for_status()
        return await answer.json(content_type=None)


async def get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as answer:
        answer.raise_for_status()
        return await answer.json(content_type=None)


def cpu_s(pid: int) -> float:
    """User and system seconds of a process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(text.split()[1]) / 1024 for text in lines if text.startswith("VmHWM"))


if __name__ == "__main__":
    main()
