"""Live events: whoever watches runs is told what happens to them, from any process of the installation.

The database is what all processes share, so it is what is watched. One watcher for each process looks there for all of
its clients at once, a few times a second and as soon as this process has written something; it looks only while
somebody watches. What it finds goes into the streams of the clients, each in a buffer with an end: whoever is too slow
for what happens is let go, and goes on where it was when it comes back.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from vivavoce.core.event import Millis
from vivavoce.engine.looking import keep_looking
from vivavoce.services.errors import NotFound
from vivavoce.services.looks import FAR_MS, NEAR_MS, Answer, Ask, Key, Wish, look
from vivavoce.services.news import END, Changed, Deleted, Item, News, RunPlace, Seen, counted, placed, story
from vivavoce.storage import runs, stopping
from vivavoce.storage.database import Database
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.watching import Mark

LOOK_S = 0.4
"""How long nobody looks, at most, when nobody was woken: other processes change runs too."""
PAUSE_S = 0.1
"""How long nobody looks, at least."""
FAR_S = 5.0
KEYS_S = 20.0
"""How long a key that was revoked may still be listened with."""
MOST_WAITING = 2_000
"""How much may wait for a client that is slow, unless it is what one look found."""
PER_KEY, PER_PROCESS = 100, 1_000
"""How many streams there can be."""


class TooMany(Exception):
    """There are as many streams as there can be: of this key, or of this process, which may also be about to stop."""

    def __init__(self, of: Literal["key", "process"]) -> None:
        super().__init__(of)
        self.of: Literal["key", "process"] = of


class Outbox:
    """What waits for one client. ``place`` is the one behind everything that was put in."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._waiting: deque[Item] = deque()
        self._stir = asyncio.Event()
        self.farewell: str | None = None

    def put(self, items: Sequence[Item]) -> None:
        """One more look's worth; what comes after the farewell is not kept."""
        if self.farewell is not None:
            return
        if self._waiting and len(self._waiting) + len(items) > MOST_WAITING:
            self.end("too slow")
        elif items:
            self._waiting.extend(items)
            self._stir.set()

    def end(self, farewell: str) -> None:
        """Nothing more comes; ``farewell`` says why, for a person."""
        if self.farewell is None:
            self.farewell = farewell
        self._stir.set()

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def ready(self) -> bool:
        """Whether it was all taken, and more may come."""
        return self.empty and self.farewell is None

    @property
    def over(self) -> bool:
        """Whether nothing waits and nothing more comes."""
        return self.empty and self.farewell is not None

    async def take(self, most: int, patience_s: float) -> tuple[Item, ...]:
        """What waits, up to so much; nothing where nothing came for so long, or the farewell did."""
        if self.empty and self.farewell is None:
            try:
                async with asyncio.timeout(patience_s):
                    await self._stir.wait()
            except TimeoutError:
                return ()
        self._stir.clear()
        return tuple(self._waiting.popleft() for _ in range(min(most, len(self._waiting))))


@dataclass(eq=False, slots=True)
class Stream:
    """What one client watches: a run, a batch, or an organisation's runs. ``since`` is where it goes on among changes
    of many runs (None: it begins), ``at`` the same in the story of one. One that does not ``follow`` is told what there
    is and no more."""

    org: str
    key_id: str
    run_id: str | None = None
    batch_id: str | None = None
    wish: Wish = field(default_factory=Wish)
    at: RunPlace = field(default_factory=RunPlace)
    since: Millis | None = None
    follow: bool = True
    outbox: Outbox = field(default_factory=lambda: Outbox(""))


@dataclass(slots=True)
class _Many:
    """Many runs that somebody watches. ``known`` is how they stood at the last look, None before the first."""

    key: Key
    known: dict[str, Mark] | None = None
    streams: list[Stream] = field(default_factory=list[Stream])
    joining: list[Stream] = field(default_factory=list[Stream])


class Watcher:
    """One for each process. It is at work while there are streams."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self._runs: dict[str, list[Stream]] = {}
        self._many: dict[Key, _Many] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._last: Millis | None = None
        self._looked = self._far = self._checked = 0.0

    def admit(self, key_id: str) -> None:
        """Raises ``TooMany`` where there is no room for another stream."""
        if self._stopping or len(self._streams) >= PER_PROCESS:
            raise TooMany("process")
        if sum(stream.key_id == key_id for stream in self._streams) >= PER_KEY:
            raise TooMany("key")

    def join(self, database: Database, stream: Stream) -> None:
        """Begin to fill a stream. Whoever calls lets it ``leave`` in any case."""
        self._streams.add(stream)
        if stream.run_id is not None:
            stream.outbox.place = str(stream.at)
            self._runs.setdefault(stream.run_id, []).append(stream)
        else:
            key = (stream.org, stream.batch_id)
            self._many.setdefault(key, _Many(key)).joining.append(stream)
        if self._stopping:
            stream.outbox.end("the server stops")
        elif self._task is None:
            self._last, self._far, self._checked = None, 0.0, asyncio.get_running_loop().time()
            work = keep_looking(partial(self._look, database), self._woken, LOOK_S)
            # It is nobody's request that it works for.
            self._task = asyncio.create_task(work, context=contextvars.Context())
        self.wake()

    def leave(self, stream: Stream) -> None:
        """The client is gone."""
        self._streams.discard(stream)
        if stream.run_id is not None:
            mine = self._runs.get(stream.run_id, [])
            if stream in mine:
                mine.remove(stream)
            if not mine:
                self._runs.pop(stream.run_id, None)
        else:
            many = self._many.get((stream.org, stream.batch_id))
            for streams in (many.streams, many.joining) if many else ():
                if stream in streams:
                    streams.remove(stream)
            if many and not (many.streams or many.joining):
                del self._many[many.key]
        if not self._streams and self._task is not None:
            self._task.cancel()
            self._task = None

    def wake(self) -> None:
        """Something was committed that somebody may watch."""
        self._woken.set()

    async def stop(self) -> None:
        """End every stream: who watches goes on at another process."""
        self._stopping = True
        for stream in self._streams:
            stream.outbox.end("the server stops")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self, database: Database) -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._looked + PAUSE_S - loop.time()))
        # Whoever wakes from here on may have written what this look does not see.
        self._woken.clear()
        began = self._looked = loop.time()
        far = began - self._far >= FAR_S or any(many.known is None for many in self._many.values())
        first: dict[str, int] = {}
        for run_id, streams in self._runs.items():
            # Whoever has not taken what it was told is told more when it has.
            ready = [stream.at.turns for stream in streams if stream.outbox.ready]
            if ready:
                first[run_id] = min(ready)
        asked = [(many, tuple(many.joining)) for many in self._many.values()]
        asks = [_ask(many, joining, far=far) for many, joining in asked]
        keys = {stream.key_id for stream in self._streams if stream.key_id} if began - self._checked >= KEYS_S else None
        back = FAR_MS if far else NEAR_MS
        found = await database.read(partial(look, first=first, asks=asks, last=self._last, back=back, keys=keys))
        for run_id, turn in first.items():
            _tell_story(self._runs.get(run_id, ()), run_id, turn, found.seen.get(run_id))
        for (many, joining), ask, answer in zip(asked, asks, found.many, strict=True):
            _tell(many, joining, ask, answer, found.now)
        if found.good_keys is not None:
            self._checked = began
            for stream in self._streams:
                if stream.key_id in (keys or ()) and stream.key_id not in found.good_keys:
                    stream.outbox.end("the key was revoked")
        self._last = found.now
        if far:
            self._far = began
        return LOOK_S


def _ask(many: _Many, joining: Sequence[Stream], *, far: bool) -> Ask:
    whole = many.key[1] is not None and (far or bool(joining))
    return Ask(many.key, many.known, whole, tuple((stream.since, stream.wish) for stream in joining))


def _tell_story(streams: Sequence[Stream], run_id: str, first: int, seen: Seen | None) -> None:
    for stream in streams:
        # One that has joined since may want turns that this look was not asked for.
        if stream.at.turns < first or not stream.outbox.ready:
            continue
        if seen is None:
            stream.outbox.put([Item(END, Deleted(run_id))])
            stream.outbox.end(END)
            continue
        items, stream.at = story(stream.at, seen)
        stream.outbox.put(items)
        stream.outbox.place = str(stream.at)
        if seen.state.mark.final or not stream.follow:
            stream.outbox.end(END)


def _tell(many: _Many, joining: Sequence[Stream], ask: Ask, answer: Answer, now: Millis) -> None:
    """Note how the runs stand, and tell everybody what is new to them."""
    batch_id, before = many.key[1], many.known or {}
    marks = {mark.id: mark for mark in answer.marks}
    known = marks if ask.whole else {**before, **marks}
    if batch_id is None:
        known = {id_: mark for id_, mark in known.items() if mark.updated_at >= now - 2 * FAR_MS}
    many.known = known
    count = counted(batch_id, known.values()) if batch_id is not None else None
    over = count is not None and count.over
    counts = [count] if count is not None and not over else []
    gone = batch_id is not None and not before.keys() <= known.keys()
    for stream in tuple(many.streams):
        new: list[News] = [Changed(state) for state in answer.moved if stream.wish.covers(state)]
        _put(stream, [*new, *(counts if answer.moved or gone else ())], now)
    for stream, first in zip(joining, answer.first, strict=True):
        if stream in many.joining:  # and has not left meanwhile
            many.joining.remove(stream)
            many.streams.append(stream)
            _put(stream, [*first, *counts], now)
    if count is not None and over:
        last: News = count if known else Deleted(count.batch_id)
        for stream in many.streams:
            stream.outbox.put([Item(END, last)])
    for stream in many.streams:
        if over or not stream.follow:
            stream.outbox.end(END)


def _put(stream: Stream, news: Sequence[News], now: Millis) -> None:
    stream.outbox.put(placed(news, stream.since or 0, now))
    stream.since, stream.outbox.place = now, str(now)


async def find_run(database: Database, org: str, run_id: str) -> None:
    """Raises ``NotFound`` where there is no such run."""
    if await database.read(lambda tx: runs.get(tx, org, run_id)) is None:
        raise NotFound("test run", run_id)


async def find_batch(database: Database, org: str, batch_id: str) -> None:
    """Raises ``NotFound`` where no run was ever triggered with this batch."""
    if not await database.read(lambda tx: stopping.is_any(tx, org, RunFilter(batch_id=batch_id))):
        raise NotFound("batch", batch_id)
