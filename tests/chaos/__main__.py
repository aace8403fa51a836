"""The command: prints a report and every violation; the exit code is 1 where there is one."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.drill import Orders, drill
from tests.chaos.plan import KINDS, Faults, outages, strikes
from tests.chaos.verdict import report, violations
from tests.support import postgres


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the chaos lasts")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=24, help="places of each worker")
    parser.add_argument("--latency", type=float, default=0.8, help="seconds that an answer takes, in the mean")
    parser.add_argument("--rate", type=float, default=0.12, help="how many of the provider's requests fail")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="the kinds of strikes")
    parser.add_argument("--keep", action="store_true", help="keep the processes' logs, and say where")
    given = parser.parse_args()
    orders = Orders(
        given.seed,
        given.seconds,
        given.conversations,
        given.workers,
        given.concurrency,
        given.latency,
        strikes(given.seed, given.seconds, given.workers, given.only),
        Faults(given.seed, given.rate, outages(given.seed, given.seconds)),
    )
    directory = Path(tempfile.mkdtemp(prefix="viva-chaos-"))
    os.environ.setdefault(postgres.WANTED, "required")
    try:
        with postgres.session(), postgres.new_postgres() as url:
            outcome = asyncio.run(drill(orders, directory, url))
    finally:
        if given.keep:
            print(f"logs are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print(report(outcome))
    found = violations(outcome)
    for one in found[:50]:
        print(f"VIOLATION {one}")
    print(f"{len(found)} violations" if found else "nothing was lost, and nothing was paid for twice")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
