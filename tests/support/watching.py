"""Clients of live events in this process, and what they are told."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.support.store import ORG, PATIENCE_S
from vivavoce.services import watching
from vivavoce.services.context import Context
from vivavoce.services.news import (
    Changed,
    Item,
    Recorded,
)
from vivavoce.services.watching import Stream, Watcher
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.journal import Journal


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    monkeypatch.setattr(watching, "PAUSE_S", 0.0)


@pytest.fixture
def elsewhere(ctx: Context, database_url: str) -> Generator[Context]:
    """Another process on the same database."""
    opened = connect(database_url)
    yield replace(ctx, database=opened, journal=Journal(opened), watcher=Watcher())
    opened.close()


@asynccontextmanager
async def watched(ctx: Context, **given: Any) -> AsyncGenerator[Stream]:
    chosen: dict[str, Any] = {"org": ORG, "key_id": ""}
    stream = Stream(**chosen | given)
    ctx.watcher.join(ctx.database, stream)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield stream
    finally:
        ctx.watcher.leave(stream)


async def some(stream: Stream, many: int) -> list[Item]:
    """So many items, and no more."""
    items: list[Item] = []
    while len(items) < many:
        items += await stream.outbox.take(many - len(items), PATIENCE_S)
    assert stream.outbox.empty
    return items


async def rest(stream: Stream) -> list[Item]:
    """All items up to the end."""
    items: list[Item] = []
    while not stream.outbox.over:
        items += await stream.outbox.take(50, PATIENCE_S)
    return items


async def told(ctx: Context, **given: Any) -> list[Item]:
    """What somebody is told who does not wait for more."""
    async with watched(ctx, follow=False, **given) as stream:
        return await rest(stream)


def kinds(items: Sequence[Item]) -> list[str]:
    def name(item: Item) -> str:
        match item.news:
            case Changed(state):
                return state.mark.state
            case Recorded(_, turn, _):
                return str(turn)
            case other:
                return type(other).__name__

    return [name(item) for item in items]


@contextmanager
def held_open(ctx: Context, work: Callable[[Tx], object]) -> Generator[None]:
    """A transaction of a writer that is committed when the block ends."""
    begun, may_end = threading.Event(), threading.Event()

    def doing(tx: Tx) -> None:
        work(tx)
        begun.set()
        assert may_end.wait(PATIENCE_S)

    opened = ctx.database

    def transact() -> None:
        with opened._writers.begin() as connection:
            doing(connection)

    thread = threading.Thread(target=transact)
    thread.start()
    try:
        assert begun.wait(PATIENCE_S)
        yield
    finally:
        may_end.set()
        thread.join()
