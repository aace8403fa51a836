"""A database as it is after a million runs, made in a few minutes: seeded, skewed, written in bulk.

Three organisations, of which the first has most; 2,000 tests in 40 suites. One suite has 40 % of all runs and one test
10 %. Most runs passed, some failed, a few broke; the newest wait or are driven. They were triggered alone, as suites
and in batches, over 90 days. Each has its conversation; one in fifty has what was said as well. Beside them there are
conversations and chats that are no run's, and text messages.
"""

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import psycopg
from sqlalchemy import Column, Table

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.event import Message, Speaker
from vivavoce.core.ids import NewId, uuid7
from vivavoce.core.mind import Mind
from vivavoce.core.scenario import Criterion, Scenario
from vivavoce.core.verdict import Decision, Verdict
from vivavoce.storage import assistants, scenarios, tallies
from vivavoce.storage.codec import digest, event_codec, scenario_codec, verdicts_codec, version_codec
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.tables import batches, conversations, events, runs, snapshots, texts

NOW = 1_800_000_000_000
DAY = 86_400_000
ORGS = {"default": 0.8, "org-b": 0.15, "org-c": 0.05}
SUITES = 40
TESTS = 2_000
BIG = "nightly"
"""The suite with 40 % of all runs; its first test has a quarter of them."""
DRIVEN = 50
WAITING = 1_500
CHUNK = 20_000
_VERDICTS = verdicts_codec.dumps(
    tuple(Verdict(name, Decision.MET, "It was so from beginning to end.", "a judge") for name in ("kind", "right"))
)
_NEVER = NOW + 10_000 * DAY


@dataclass
class Hand:
    """The clock of what is made; it goes evenly from 90 days ago until now."""

    ms: float = NOW - 90 * DAY

    def now(self) -> int:
        return int(self.ms)

    def ticks(self) -> float:
        return self.ms / 1000


@dataclass
class Made:
    """What there is to look for."""

    assistant_id: str = ""
    version_number: int = 0
    big_test: str = ""
    small_test: str = ""
    small_suite: str = "suite 7"
    suite_run: str = ""
    batch_id: str = ""
    number: str = "+15550000007"
    target: str = ""
    customer: str = "42"
    talk_id: str = ""


@dataclass
class _World:
    chance: random.Random
    hand: Hand
    new_id: NewId
    made: Made = field(default_factory=Made)
    tests: dict[str, dict[str, list[Scenario]]] = field(default_factory=dict[str, dict[str, list[Scenario]]])
    versions: dict[str, Version] = field(default_factory=dict[str, Version])
    digests: dict[str, str] = field(default_factory=dict[str, str])


async def fill(database: Database, url: str, many: int, say: Callable[[str], None]) -> Made:
    """Fill a database that has the schema and nothing in it with ``many`` runs."""
    chance, hand = random.Random(7), Hand()
    world = _World(chance, hand, uuid7(hand, chance.randbytes))
    began = time.monotonic()
    await database.write(partial(_definitions, world=world))
    where = url.replace("postgresql+psycopg://", "postgresql://")
    put = partial(_copy, where) if not database.sqlite else partial(_insert, url.removeprefix("sqlite:///"))
    big = (runs, conversations, events, batches, texts)
    await database.write(lambda tx: [index.drop(tx) for table in big for index in table.indexes])
    rows = _everything(world, many)
    while chunk := list(islice(rows, CHUNK)):
        for table in big:
            put(table, [row for owner, row in chunk if owner is table])
    say(f"{many} runs written in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    for table in big:
        for index in table.indexes:
            await database.write(lambda tx, index=index: index.create(tx))
    if not database.sqlite:
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    say(f"indexes made in {time.monotonic() - began:.0f} s")
    return world.made


async def count(database: Database, say: Callable[[str], None]) -> None:
    """What a server does in the background after an upgrade: count what is final."""
    began, counted = time.monotonic(), 0
    while (new := await database.write(lambda tx: tallies.count_new(tx, 5_000))) != 0:
        counted += new or 0
    took = time.monotonic() - began
    say(f"{counted} runs counted in {took:.0f} s, {took * 1e6 / max(counted, 1):.0f} µs each")


def _definitions(tx: Tx, world: _World) -> None:
    chance, made = world.chance, world.made
    bodies: dict[str, str] = {}

    def freeze(one: str, body: str) -> None:
        world.digests[one] = digest(body)
        bodies[digest(body)] = body

    for org, share in ORGS.items():
        id_ = world.new_id()
        version = Version(world.new_id(), id_, "clerk", "Be kind.", world.hand.now(), mind=Mind("some/model"))
        assistants.add(tx, org, Assistant(id_, version, version.created_at))
        world.versions[org] = version
        freeze(version.id, version_codec.dumps(version))
        suites: dict[str, list[Scenario]] = {}
        for number in range(round(TESTS * share)):
            suite = BIG if number % 10 == 0 else f"suite {chance.randrange(SUITES - 1)}"
            scenario = Scenario(
                world.new_id(),
                f"test {number}",
                id_,
                "Ask where the order is, then for the opening hours. " * 4,
                (Criterion("kind", "is kind"), Criterion("right", "says what is right")),
                world.hand.now(),
                suite=suite,
            )
            scenarios.add(tx, org, scenario)
            suites.setdefault(suite, []).append(scenario)
            freeze(scenario.id, scenario_codec.dumps(scenario))
        world.tests[org] = suites
    tx.execute(snapshots.insert(), [{"digest": key, "body": body} for key, body in bodies.items()])
    mine = world.tests["default"]
    made.assistant_id = made.target = world.versions["default"].assistant_id
    made.big_test, made.small_test = mine[BIG][0].id, mine[made.small_suite][0].id


_Row = tuple[Table, tuple[Any, ...]]


def _everything(world: _World, many: int) -> Iterator[_Row]:
    chance, made = world.chance, world.made
    step, done = 90 * DAY / many, 0
    orgs, shares = list(ORGS), list(ORGS.values())
    while done < many:
        org = chance.choices(orgs, shares)[0]
        kind = chance.choices(("alone", "suite", "batch"), (10, 2, 1))[0]
        suite = BIG if chance.random() < 0.4 else chance.choice(list(world.tests[org]))
        size = 1 if kind == "alone" else min(chance.choice((20, 60, 200, 1000)), many - done)
        batch_id = world.new_id() if kind != "alone" else None
        if kind == "suite" and org == "default" and suite == BIG and size == 1000:
            made.suite_run = batch_id or ""
        if kind == "batch":
            if org == "default" and size == 1000:
                made.batch_id = batch_id or ""
            version = world.versions[org]
            yield (
                batches,
                (batch_id, org, version.assistant_id, version.id, version.number, size, world.hand.now()),
            )
        for _ in range(size):
            pool = world.tests[org][suite]
            scenario = pool[0] if suite == BIG and chance.random() < 0.25 else chance.choice(pool)
            yield from _run(world, org, scenario, batch_id, left=many - done - 1)
            done += 1
            world.hand.ms += step
        if chance.random() < 0.2:
            yield from _talk(world, org)


def _run(world: _World, org: str, scenario: Scenario, batch_id: str | None, left: int) -> Iterator[_Row]:
    chance, now, version = world.chance, world.hand.now(), world.versions[org]
    id_, talk_id = world.new_id(), world.new_id()
    status = chance.choices(("passed", "failed", "error"), (80, 15, 5))[0]
    if left < DRIVEN + WAITING:
        status = "running" if left >= WAITING else "pending"
    over = status not in ("running", "pending")
    verdicts = _VERDICTS if over else None
    story = f"run {id_}\n" + "00:01 the caller asks, the assistant answers\n" * 8 if over else ""
    ended = now + 60_000 if over else None
    given: dict[str, Any] = {
        "id": id_,
        "org": org,
        "scenario_id": scenario.id,
        "batch_id": batch_id,
        "suite": scenario.suite,
        "conversation_id": talk_id,
        "status": status,
        "trigger": "manual",
        "scenario_digest": world.digests[scenario.id],
        "version_digest": world.digests[version.id],
        "version_id": version.id,
        "criteria": '["kind", "right"]',
        "verdicts": verdicts,
        "ending": "goodbye" if over else None,
        "fault": "infrastructure" if status == "error" else None,
        "reason": "",
        "story": story,
        "talked_ms": 40_000 if over else 0,
        "response_ms": "[900, 1400, 700, 2100]" if over else None,
        "tokens": '{"some/model": [4000, 300]}' if over else None,
        "created_at": now,
        "updated_at": ended or now,
        "started_at": now + 1_000 if status != "pending" else None,
        "completed_at": ended,
        "dispatch": 1,
        "progress": 0,
        "stalls": 0,
        "lease_until": _NEVER if status == "running" else None,
        "lease_token": "nobody" if status == "running" else None,
        "target": scenario.target,
        "priority": 10,
        "due_at": _NEVER if not over else 0,
        "format": 1,
        "attempts": 1,
        "setbacks": "[]",
    }
    yield runs, tuple(given.get(column.name) for column in _stored(runs))
    prefix = version.templating.prefix
    metadata = {
        f"{prefix}conversation_channel": scenario.medium.value,
        "assistant_id": version.assistant_id,
        "assistant_version_id": version.id,
        f"{prefix}agent_target": scenario.target,
        "run_id": id_,
        "customer": str(chance.randrange(100_000)),
    }
    yield _conversation(talk_id, org, scenario.name, metadata, now, ended or now, ended)
    if chance.random() < 0.02:
        world.made.talk_id = talk_id
        for turn in range(10):
            speaker = Speaker.CALLER if turn % 2 else Speaker.ASSISTANT
            words = "Good day. Where is my order, please? I have waited for it since Monday."
            yield events, (talk_id, turn, event_codec.dumps(Message(speaker, words, now + turn * 1_000)))


def _conversation(
    id_: str,
    org: str,
    name: str | None,
    metadata: dict[str, str],
    now: int,
    last: int,
    ended: int | None,
    assistant_id: str | None = None,
    extra: dict[str, Any] | None = None,
) -> _Row:
    given: dict[str, Any] = {
        "id": id_,
        "org": org,
        "name": name,
        "metadata": json.dumps(metadata),
        "created_at": now,
        "last_message_at": last,
        "opening": json.dumps({"variables": metadata, "memory": "", "sealed": {}}),
        "ended_at": ended,
        "assistant_id": assistant_id,
        "extra": json.dumps(extra) if extra is not None else None,
    }
    return conversations, tuple(given.get(column.name) for column in _stored(conversations))


def _talk(world: _World, org: str) -> Iterator[_Row]:
    chance, now, version = world.chance, world.hand.now(), world.versions[org]
    id_ = world.new_id()
    channel = f"{version.templating.prefix}conversation_channel"
    metadata = {channel: "web_chat", "assistant_id": version.assistant_id}
    last = now + chance.randrange(20 * DAY)
    if chance.random() < 0.5:
        extra = {"version": 0, "ending": chance.choice(("goodbye", "idle", "infrastructure_fault"))}
        yield _conversation(id_, org, None, metadata, now, last, last, version.assistant_id, extra)
        return
    yield _conversation(id_, org, None, metadata, now, last, None)
    ours, theirs = f"+1555000000{chance.randrange(10)}", f"+1666{chance.randrange(10**6):07}"
    for turn in range(4):
        out = bool(turn % 2)
        sender, recipient = (ours, theirs) if out else (theirs, ours)
        given: dict[str, Any] = {
            "id": world.new_id(),
            "org": org,
            "conversation_id": id_,
            "direction": "outbound" if out else "inbound",
            "medium": "sms_chat",
            "sender": sender,
            "recipient": recipient,
            "body": "Hello there.",
            "status": "sent",
            "reason": "",
            "created_at": now,
        }
        yield texts, tuple(given.get(column.name) for column in _stored(texts))


def _stored(table: Table) -> list[Column[Any]]:
    """The columns that are written: some are worked out."""
    return [column for column in table.columns if column.computed is None]


def _copy(where: str, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    names = ", ".join(column.name for column in _stored(table))
    copying = f"COPY {table.name} ({names}) FROM STDIN"
    with psycopg.connect(where) as connection, connection.cursor() as cursor, cursor.copy(copying.encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _insert(path: str, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    places = ", ".join("?" for _ in _stored(table))
    names = ", ".join(f'"{column.name}"' for column in _stored(table))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", rows)
    connection.close()
