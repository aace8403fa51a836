"""Lists with a million runs stored: how long each of their pages takes, and how long over HTTP.

    python -m bench.lists                                     # SQLite, in a directory that is removed
    python -m bench.lists --database-url postgresql://…       # an empty database, which is filled
    python -m bench.lists --keep DIR                          # filled once, measured as often as you like

What is in it: ``bench/filling.py``. Each figure is of one call of the service that answers the request, over the first
page, one in the middle and the last; the same pages are then asked for over HTTP, one request at a time.
"""

import argparse
import asyncio
import json
import math
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr
from tests.support.server import serving

from bench.filling import BIG, NOW, Made, count, fill
from vivavoce.cli.process import settle_memory
from vivavoce.core.filter import AnyOf, Comparison, Field, Filter, Op, Order
from vivavoce.core.status import Status
from vivavoce.core.times import iso
from vivavoce.house import database, house
from vivavoce.services import (
    assistants,
    batches,
    comparing,
    conversations,
    history,
    messaging,
    overview,
    runs,
    scenarios,
    talks,
)
from vivavoce.services.context import Context
from vivavoce.settings import Settings
from vivavoce.storage.conversations import TalkFilter
from vivavoce.storage.page import Slice, Span, Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.storage.texts import TextFilter

ORG = "default"
SIZE = 20
AIM_MS = 50.0
MOST_S = 20.0
"""How long one page is asked for at most."""
Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Look:
    """One page of one list: what it is called, the service's call, and the path that asks for the same."""

    name: str
    call: Call
    path: str | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100, help="how often each page is asked for")
    parser.add_argument("--database-url", help="an empty PostgreSQL database; SQLite where none is given")
    parser.add_argument("--keep", type=Path, help="a directory to fill, or that was filled before")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON lines")
    parser.add_argument("--only", default="", help="lists whose names hold this")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(arguments, arguments.keep or Path(directory)))


async def measure(arguments: argparse.Namespace, directory: Path) -> None:
    url = SecretStr(arguments.database_url) if arguments.database_url else None
    secret = SecretStr("bench")
    settings = Settings(data_dir=directory, database_url=url, secret_key=secret, api_key=SecretStr("viva_test_key"))
    note = directory / "made.json"
    if note.exists():
        made = Made(**json.loads(note.read_text("utf-8")))
    else:
        async with database(settings) as opened:
            made = await fill(opened, settings.url, arguments.runs, _say)
            await count(opened, _say)
        note.write_text(json.dumps(asdict(made)), "utf-8")
    settle_memory()  # as a server does: what the filling left would be looked through for garbage again and again
    async with house(settings, works=False) as opened:
        wanted = [look for look in await looks(opened.context, made) if arguments.only in look.name]
        alone = {look.name: await timed(look.call, arguments.times) for look in wanted}
    given = {"VIVA_RATE_LIMIT": "0", "VIVA_SECRET_KEY": "bench"}
    given |= {"VIVA_DATABASE_URL": arguments.database_url} if arguments.database_url else {}
    asked: dict[str, tuple[float, float]] = {}
    with serving(directory, given, dev=False) as server:
        async with aiohttp.ClientSession(headers=server.headers) as http:
            for look in wanted:
                if look.path:
                    asked[look.name] = await timed(_get(http, server.url + look.path), arguments.times)
    report(alone, asked, as_json=arguments.json)


def _say(words: str) -> None:
    print(words, flush=True)


def _get(http: aiohttp.ClientSession, url: str) -> Call:
    async def call() -> None:
        async with http.get(url) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{url} answered with {answer.status}: {(await answer.text())[:300]}")
            await answer.read()

    return call


async def timed(call: Call, times: int) -> tuple[float, float]:
    """p50 and p99 in milliseconds, after one call that warms up; what takes very long is asked for less often."""
    await call()
    took: list[float] = []
    ends = time.monotonic() + MOST_S
    while len(took) < times and (not took or time.monotonic() < ends):
        began = time.perf_counter()
        await call()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    # The nearest rank: at most one of a hundred took longer.
    return took[len(took) // 2], took[math.ceil(len(took) * 0.99) - 1]


def report(alone: dict[str, tuple[float, float]], asked: dict[str, tuple[float, float]], *, as_json: bool) -> None:
    for name, (p50, p99) in alone.items():
        http50, http99 = asked.get(name, (0.0, 0.0))
        if as_json:
            print(json.dumps({"list": name, "p50": p50, "p99": p99, "http_p50": http50, "http_p99": http99}))
            continue
        over = f"   HTTP {http50:7.1f} {http99:7.1f}" if name in asked else ""
        late = "   over the aim" if p99 > AIM_MS else ""
        print(f"{name:<58} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms{over}{late}")


async def looks(ctx: Context, made: Made) -> Sequence[Look]:
    found: list[Look] = []
    for name, wanted, path in _run_lists(made):
        total = (await runs.get_page(ctx, ORG, wanted, Window(1, SIZE))).total
        last = max(1, -(-total // SIZE))
        for place, number in (("first", 1), ("middle", max(1, last // 2)), ("last", last)):
            window, sign = Window(number, SIZE), "&" if path and "?" in path else "?"
            asked = f"{path}{sign}page[number]={number}&page[size]={SIZE}" if path else None
            call = partial(runs.get_page, ctx, ORG, wanted, window)
            found.append(Look(f"{name}, {place} of {total}", call, asked))
    window = Window(40, SIZE)
    tests = "/v2/ai/assistants/tests"
    found += [
        Look("tests", (lambda: scenarios.get_page(ctx, ORG, ScenarioFilter(), Window()))),
        Look("tests, page 40", (lambda: scenarios.get_page(ctx, ORG, ScenarioFilter(), window)), tests),
        Look(
            "tests of a suite",
            (lambda: scenarios.get_page(ctx, ORG, ScenarioFilter(suite=BIG), Window())),
            f"{tests}?test_suite={BIG}",
        ),
        Look(
            "tests of a target",
            (lambda: scenarios.get_page(ctx, ORG, ScenarioFilter(target=made.target), window)),
            f"{tests}?destination={made.target}",
        ),
        Look("suites", (lambda: scenarios.get_suites(ctx, ORG)), f"{tests}/test-suites"),
        Look("assistants", (lambda: assistants.get_all(ctx, ORG)), "/v2/ai/assistants"),
    ]
    found += _readings(ctx, made)
    found += await _batch_lists(ctx, made)
    found += _talk_lists(ctx, made)
    return found


def _run_lists(made: Made) -> Sequence[tuple[str, RunFilter, str | None]]:
    tests = "/v2/ai/assistants/tests"
    passed, failed, error = (frozenset({one}) for one in (Status.PASSED, Status.FAILED, Status.ERROR))
    both = passed | failed
    found: list[tuple[str, RunFilter, str | None]] = [
        ("all runs", RunFilter(), None),
        ("all runs, failed", RunFilter(statuses=failed), None),
        ("all runs, pending", RunFilter(statuses=frozenset({Status.PENDING})), None),
    ]
    for name, suite in (("big suite", BIG), ("small suite", made.small_suite)):
        path = f"{tests}/test-suites/{quote(suite)}/runs"
        found += [
            (name, RunFilter(suite=suite), path),
            (f"{name}, passed", RunFilter(suite=suite, statuses=passed), f"{path}?status=passed"),
            (f"{name}, failed", RunFilter(suite=suite, statuses=failed), f"{path}?status=failed"),
            (f"{name}, error", RunFilter(suite=suite, statuses=error), f"{path}?status=error"),
            (f"{name}, completed", RunFilter(suite=suite, statuses=both), f"{path}?status=completed"),
            (
                f"{name}, pending",
                RunFilter(suite=suite, statuses=frozenset({Status.PENDING})),
                f"{path}?status=pending",
            ),
        ]
    run = f"{tests}/test-suites/{BIG}/runs?test_suite_run_id={made.suite_run}"
    found += [
        ("one run of the big suite", RunFilter(suite=BIG, batch_id=made.suite_run), run),
        (
            "one run of the big suite, failed",
            RunFilter(suite=BIG, batch_id=made.suite_run, statuses=failed),
            f"{run}&status=failed",
        ),
        ("runs of a batch", RunFilter(batch_id=made.batch_id), None),
    ]
    for name, test in (("big test", made.big_test), ("small test", made.small_test)):
        path = f"{tests}/{test}/runs"
        found += [
            (name, RunFilter(scenario_id=test), path),
            (f"{name}, passed", RunFilter(scenario_id=test, statuses=passed), f"{path}?status=passed"),
            (f"{name}, failed", RunFilter(scenario_id=test, statuses=failed), f"{path}?status=failed"),
            (f"{name}, completed", RunFilter(scenario_id=test, statuses=both), f"{path}?status=completed"),
        ]
    return found


def _readings(ctx: Context, made: Made) -> Sequence[Look]:
    api = "/viva/v1"
    return [
        Look("home", (lambda: overview.home(ctx, ORG, since=NOW - 86_400_000))),
        Look("suites with their last batch", (lambda: overview.get_suites(ctx, ORG, Window())), f"{api}/suites"),
        Look("history of the big suite, 50", (lambda: history.of_suite(ctx, ORG, BIG)), f"{api}/suites/{BIG}/history"),
        Look("history of a small suite, 50", (lambda: history.of_suite(ctx, ORG, made.small_suite))),
        Look("runs with names", (lambda: overview.get_runs(ctx, ORG, RunFilter(), Window())), f"{api}/runs"),
        Look("two batches of 1000 compared", (lambda: comparing.of_batches(ctx, ORG, made.batch_id, made.suite_run))),
    ]


async def _batch_lists(ctx: Context, made: Made) -> Sequence[Look]:
    ids: list[str] = []
    after: str | None = None
    while True:
        page = await batches.get_slice(ctx, ORG, made.assistant_id, made.version_number, Span(1000, after))
        ids += [one.batch.id for one in page.items]
        if not page.more:
            break
        after = ids[-1]
    deep = ids[len(ids) // 2]
    number = made.version_number
    return [
        Look("batches", (lambda: batches.get_slice(ctx, ORG, made.assistant_id, number, Span()))),
        Look("batches, 1000", (lambda: batches.get_slice(ctx, ORG, made.assistant_id, number, Span(1000)))),
        Look("batches, middle", (lambda: batches.get_slice(ctx, ORG, made.assistant_id, number, Span(50, deep)))),
        Look("a batch", (lambda: batches.retrieve(ctx, ORG, made.batch_id))),
        Look("a batch's runs with all of it", (lambda: batches.get_runs(ctx, ORG, made.batch_id, Span()))),
    ]


def _talk_lists(ctx: Context, made: Made) -> Sequence[Look]:
    def metadata(name: str, value: str) -> Comparison:
        return Comparison(Field(name, metadata=True), Op.EQ, value)

    created, last, named = Field("created_at"), Field("last_message_at"), Field("name")
    customer = Field("customer", metadata=True)
    channel = "conversation_channel"
    week = NOW - 7 * 86_400_000
    asked: list[tuple[str, Filter, str]] = [
        ("newest", Filter(), ""),
        ("oldest", Filter((), (Order(created, descending=False),)), "&order=created_at.asc"),
        ("last active", Filter((), (Order(last, descending=True),)), "&order=last_message_at.desc"),
        ("since a week", Filter((Comparison(created, Op.GTE, week),)), ""),
        ("before a month", Filter((Comparison(created, Op.LT, NOW - 30 * 86_400_000),)), ""),
        ("active since", Filter((Comparison(last, Op.GTE, NOW),)), ""),
        ("by id", Filter((Comparison(Field("id"), Op.EQ, made.talk_id),)), f"&id=eq.{made.talk_id}"),
        ("by name", Filter((Comparison(Field("name"), Op.EQ, "test 7"),)), "&name=eq.test%207"),
        ("by channel", Filter((metadata(channel, "web_chat"),)), f"&metadata->{channel}=eq.web_chat"),
        ("by a channel of nobody", Filter((metadata(channel, "none"),)), f"&metadata->{channel}=eq.none"),
        ("by assistant", Filter((metadata("assistant_id", made.assistant_id),)), ""),
        ("by customer", Filter((metadata("customer", made.customer),)), f"&metadata->customer=eq.{made.customer}"),
        (
            "by two customers",
            Filter((Comparison(customer, Op.IN, (made.customer, "7")),)),
            "&metadata->customer=in.(42,7)",
        ),
        (
            "by name or customer",
            Filter((AnyOf((Comparison(named, Op.EQ, "test 7"), metadata("customer", made.customer))),)),
            "&or=(name.eq.test%207,metadata->customer.eq.42)",
        ),
        ("names like most", Filter((Comparison(named, Op.LIKE, "test%"),)), "&name=like.test%25"),
        ("names like few", Filter((Comparison(named, Op.ILIKE, "%ST 12"),)), "&name=ilike.%25ST%2012"),
        ("names like nobody's", Filter((Comparison(named, Op.LIKE, "%nobody%"),)), "&name=like.%25nobody%25"),
        ("names that begin so", Filter((Comparison(named, Op.LIKE, "test 19%"),)), "&name=like.test%2019%25"),
        ("without a name", Filter((Comparison(named, Op.IS, None),)), "&name=is.null"),
        ("of other names", Filter((Comparison(named, Op.NEQ, "test 7"),)), "&name=neq.test%207"),
        ("of later names", Filter((Comparison(named, Op.GTE, "test 99"),)), "&name=gte.test%2099"),
        ("customers like few", Filter((Comparison(customer, Op.LIKE, "999%"),)), "&metadata->customer=like.999%25"),
        ("customers after", Filter((Comparison(customer, Op.GT, "9999"),)), "&metadata->customer=gt.9999"),
        ("order of names", Filter((), (Order(named),)), "&order=name.asc"),
        ("names backwards", Filter((), (Order(named, descending=True),)), "&order=name.desc"),
        (
            "order of names since a week",
            Filter((Comparison(created, Op.GTE, week),), (Order(named),)),
            f"&order=name.asc&created_at=gte.{iso(week)}",
        ),
        (
            "order of names, by assistant",
            Filter((metadata("assistant_id", made.assistant_id),), (Order(named),)),
            f"&order=name.asc&metadata->assistant_id=eq.{made.assistant_id}",
        ),
        ("order of customers", Filter((), (Order(customer),)), "&order=metadata->customer.asc"),
        ("order of channels", Filter((), (Order(Field(channel, metadata=True)),)), ""),
        ("customers backwards", Filter((), (Order(customer, descending=True),)), "&order=metadata->customer.desc"),
        ("order of ids", Filter((), (Order(Field("id")),)), "&order=id.asc"),
    ]
    found: list[Look] = []
    for size in (SIZE, 1000):
        for name, wanted, path in asked:
            given = Filter(wanted.conditions, wanted.orders, size)
            call = partial(conversations.get_filtered, ctx, ORG, given)
            url = f"/v2/ai/conversations?limit={size}{path}" if size == SIZE and (path or name == "newest") else None
            found.append(Look(f"{size} conversations, {name}", call, url))

    def chats(wanted: TalkFilter, *, skip: int = 0, ascending: bool = False) -> Call:
        async def call() -> tuple[Slice[object], int | None]:
            span = Span(50, None, ascending)
            page, total = await talks.get_slice(ctx, ORG, wanted, span, skip=skip, counted=True)
            return Slice(page.items, page.more), total

        return call

    agent = ((made.assistant_id, ()),)
    found += [
        Look("chats, counted", chats(TalkFilter())),
        Look("chats, oldest", chats(TalkFilter(), ascending=True)),
        Look("chats, 10000 skipped", chats(TalkFilter(), skip=10_000)),
        Look("chats of an agent", chats(TalkFilter(agents=agent))),
        Look("chats that failed", chats(TalkFilter(states=("failed",)))),
        Look("chats since a week", chats(TalkFilter(started=(("ge", week),)))),
        Look("texts", (lambda: messaging.get_page(ctx, ORG, TextFilter(), Window()))),
        Look("texts, page 1000", (lambda: messaging.get_page(ctx, ORG, TextFilter(), Window(1000)))),
        Look("texts of a number", (lambda: messaging.get_page(ctx, ORG, TextFilter(made.number), Window()))),
    ]
    return found


if __name__ == "__main__":
    os.environ.pop("VIVA_DATABASE_URL", None)
    main()
