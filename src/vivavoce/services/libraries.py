"""Libraries of documents: made of texts, files and pages, and searched under their id as the bucket.

Texts and files are taken in while their author waits. Pages are fetched by a duty, which a crash does not lose; so is
everything embedded, where a model embeds here.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal
from urllib.parse import urljoin, urlsplit

import structlog

from vivavoce.core.document import Document
from vivavoce.core.event import Millis
from vivavoce.core.knowledge import Library, Source, Standing
from vivavoce.core.model import ModelFailure
from vivavoce.core.telemetry import plainly
from vivavoce.models.embeddings import embedder
from vivavoce.outbound.answer import storable, text_of
from vivavoce.outbound.fetch import Fetched, Unreachable, fetch
from vivavoce.outbound.guard import Refused
from vivavoce.services import documents
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import documents as shelves
from vivavoce.storage import duties, libraries
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.tools import passages
from vivavoce.tools.page import words_of

KIND = "library"
"""The duty that fetches a library's pages, embeds its passages, and fetches the pages again in time."""

MOST = 1000
"""How many libraries are listed: the newest."""
MOST_SOURCES = 500
"""How many sources a library has at most."""
REFRESH_MS = 12 * 60 * 60 * 1000
"""How long pages stay as they are in a library that refreshes."""

PAGE_BYTES = 2 * 1024 * 1024
"""Bytes of one page."""
PAGE_S = 30.0
"""How long a page may take."""
MOST_REDIRECTS = 5
LONGEST_NAME = 255
"""Characters of the title of a text and of the name of a file."""
LONGEST_ADDRESS = 2048

_AT_ONCE = 4
_PATIENCE = 3
"""How often something is tried that may work later."""
_OVERLAP = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Given:
    """What is to be taken in: texts with their titles, files with their names, and addresses of pages."""

    texts: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """Something that was read and cut; a page is neither yet."""

    kind: Literal["text", "file", "page"]
    name: str
    size: int = 0
    digest: str = ""
    pieces: tuple[str, ...] = ()


class _Unfetched(Exception):
    """A page was not taken in; the message goes on after "the page". ``passing``: it may work later."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class Unfinished(Exception):
    """Some of it is to be tried again."""


async def create(ctx: Context, org: str, draft: Library, given: Given) -> Library:
    """Keep a library of these sources. Raises ``Rejected`` for what cannot be taken in; nothing is kept then."""
    now = ctx.clock.now()
    read = await _read(given, draft)
    library = replace(draft, id=ctx.new_id(), created_at=now, changed_at=now)

    def work(tx: Tx) -> Library:
        libraries.add(tx, org, library)
        return _taken_in(ctx, tx, org, library, read)

    made = await ctx.database.write(work)
    ctx.wake()
    return made


async def add(ctx: Context, org: str, library_id: str, given: Given) -> Library:
    """Take more sources in. Raises ``NotFound``, and ``Rejected`` as ``create`` does."""
    before = await retrieve(ctx, org, library_id)
    read = await _read(given, before)
    changed = await ctx.database.write(lambda tx: _taken_in(ctx, tx, org, _get(tx, org, library_id, lock=True), read))
    ctx.wake()
    return changed


async def retrieve(ctx: Context, org: str, library_id: str) -> Library:
    """One library. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _get(tx, org, library_id))


async def get_all(ctx: Context, org: str) -> tuple[Library, ...]:
    """The newest ``MOST`` libraries, newest first."""
    return await ctx.database.read(lambda tx: libraries.get_all(tx, org, MOST))


async def delete(ctx: Context, org: str, library_id: str) -> None:
    """Remove a library with its documents; whoever searches it finds nothing. Raises ``NotFound``."""

    def work(tx: Tx) -> None:
        if not libraries.drop(tx, org, library_id):
            raise NotFound("library", library_id)
        shelves.drop_bucket(tx, org, library_id)
        duties.forget(tx, KIND, library_id)

    await ctx.database.write(work)


async def delete_source(ctx: Context, org: str, library_id: str, source_id: str) -> Library:
    """Remove a source with its document. Raises ``NotFound``."""

    def work(tx: Tx) -> Library:
        library = _get(tx, org, library_id, lock=True)
        left = tuple(source for source in library.sources if source.id != source_id)
        if len(left) == len(library.sources):
            raise NotFound("source", source_id)
        shelves.drop(tx, org, source_id)
        changed = replace(library, sources=left, changed_at=ctx.clock.now())
        changed = replace(changed, standing=library.standing if _moves(library) else _settled(changed))
        libraries.put(tx, org, changed)
        return changed

    return await ctx.database.write(work)


# --- taking in ------------------------------------------------------------------------------------------------------


async def _read(given: Given, library: Library) -> tuple[_Read, ...]:
    """Everything that needs no network, aside: cutting takes its time."""
    count = len(given.texts) + len(given.files) + len(given.pages)
    if len(library.sources) + count > MOST_SOURCES:
        raise Rejected(f"A library has at most {MOST_SOURCES} sources.", "sources")
    for title, _ in given.texts:
        _check_name(title, "title of a text")
    for name, _ in given.files:
        _check_name(name, "name of a file")
    for address in given.pages:
        _check_address(address)

    def work() -> tuple[_Read, ...]:
        texts = [_cut("text", title, len(text.encode()), _plain(title, text), library) for title, text in given.texts]
        files = [_cut("file", name, len(data), _file(name, data), library) for name, data in given.files]
        return (*texts, *files, *(_Read("page", address) for address in given.pages))

    return await asyncio.to_thread(work)


def _check_name(name: str, what: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME or storable(name) != name:
        raise Rejected(f"{name[:LONGEST_NAME]!r} is no {what}: 1 to {LONGEST_NAME} characters of Unicode.", "name")


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        fits = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and len(address) <= LONGEST_ADDRESS
            and storable(address) == address
        )
    except ValueError:
        fits = False
    if not fits:
        shown = address[:LONGEST_NAME]
        raise Rejected(
            f"{shown!r} is no address of a page: http or https, at most {LONGEST_ADDRESS} characters.", "page"
        )


def _plain(title: str, text: str) -> str:
    plain = storable(text.replace("\r\n", "\n").replace("\r", "\n"))
    if not plain.strip():
        raise Rejected(f"There is no text in {title!r}.", "text")
    return plain


def _file(name: str, data: bytes) -> str:
    """A file whose name does not say what it is counts as text."""
    try:
        return passages.text_of(name if "." in name else f"{name}.txt", data)
    except passages.Unreadable as failure:
        raise Rejected(str(failure), "file") from None


def _cut(kind: Literal["text", "file", "page"], name: str, size: int, text: str, library: Library) -> _Read:
    overlap = min(_OVERLAP, library.longest // 6)
    pieces = tuple(passages.cut(text, library.longest, overlap))
    return _Read(kind, name, size, sha256(text.encode()).hexdigest(), pieces)


def _taken_in(ctx: Context, tx: Tx, org: str, library: Library, read: Sequence[_Read]) -> Library:
    if len(library.sources) + len(read) > MOST_SOURCES:
        raise Rejected(f"A library has at most {MOST_SOURCES} sources.", "sources")
    now = ctx.clock.now()
    sources: list[Source] = []
    for one in read:
        source = Source(ctx.new_id(), one.kind, one.name)
        if one.kind != "page":
            source = replace(source, size=one.size, taken_at=now)
            _shelve(tx, org, library, source.id, one, now)
        sources.append(source)
    changed = replace(library, sources=(*library.sources, *sources), changed_at=now)
    if any(source.waits for source in sources) or (sources and ctx.embedding_model is not None):
        changed = replace(changed, standing=Standing.TAKING_IN)
        duties.want(tx, Wanted(ctx.new_id(), org, KIND, library.id, now))
    libraries.put(tx, org, changed)
    return changed


def _keep(tx: Tx, org: str, library: Library, source_id: str, read: _Read, now: Millis) -> None:
    """The source's document, unless it is there already: it keeps its vectors then."""
    before = next((one for one in shelves.get_all(tx, org, [library.id]) if one.id == source_id), None)
    if before is not None and before.digest == read.digest:
        return
    shelves.drop(tx, org, source_id)
    _shelve(tx, org, library, source_id, read, now)


def _shelve(tx: Tx, org: str, library: Library, source_id: str, read: _Read, now: Millis) -> None:
    document = Document(source_id, library.id, read.name, read.digest, now)
    shelves.add(tx, org, document, read.pieces, None, None)


# --- the duty -------------------------------------------------------------------------------------------------------


async def perform(ctx: Context, duty: Duty) -> None:
    """Fetch what is to be fetched of the library whose id is ``duty.subject``, and embed what is not embedded.

    Raises ``Unfinished`` where something may work later.
    """
    library = await ctx.database.read(lambda tx: libraries.get(tx, duty.org, duty.subject))
    if library is None:
        return
    stale = _stale(library, ctx.clock.now())
    pages = [source for source in library.sources if source.kind == "page" and (stale or source.waits)]
    if stale:
        await _change(ctx, duty, lambda one: replace(one, standing=Standing.REFRESHING))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(source: Source) -> bool:
        async with gate:
            return await _take_page(ctx, duty, library, source)

    done = [*await asyncio.gather(*(one(source) for source in pages)), await _embed(ctx, duty)]
    if not all(done):
        raise Unfinished(f"library {library.id}")

    def settle(tx: Tx) -> None:
        current = libraries.get(tx, duty.org, duty.subject, lock=True)
        # Where more came meanwhile, it is wanted anew already.
        if current is None or any(source.waits for source in current.sources):
            return
        now = ctx.clock.now()
        first = current.refreshes and current.refreshed_at is None and bool(pages)
        refreshed_at = now if stale or first else current.refreshed_at
        libraries.put(tx, duty.org, replace(current, standing=_settled(current), refreshed_at=refreshed_at))
        if current.refreshes and any(source.kind == "page" for source in current.sources):
            due_at = (refreshed_at or current.created_at) + REFRESH_MS
            duties.want(tx, Wanted(ctx.new_id(), duty.org, KIND, current.id, due_at))

    await ctx.database.write(settle)


def _stale(library: Library, now: Millis) -> bool:
    return library.refreshes and now >= (library.refreshed_at or library.created_at) + REFRESH_MS


def _moves(library: Library) -> bool:
    """Whether a duty will say how it stands."""
    return library.standing in (Standing.TAKING_IN, Standing.REFRESHING)


def _settled(library: Library) -> Standing:
    return Standing.BROKEN if any(source.fault for source in library.sources) else Standing.READY


async def _embed(ctx: Context, duty: Duty) -> bool:
    """False where it is to be tried again. What stays without vectors is found by its words."""
    if ctx.embedding_model is None:
        return True
    try:
        await documents.embed(ctx.database, duty.org, embedder(ctx.models, ctx.embedding_model), duty.subject)
    except ModelFailure as failure:
        log.warning("a library could not be embedded", library=duty.subject, reason=plainly(failure))
        return duty.attempts >= _PATIENCE
    return True


async def _take_page(ctx: Context, duty: Duty, library: Library, source: Source) -> bool:
    """False where it is to be tried again."""
    try:
        size, text = await _page(ctx, source.name)
    except _Unfetched as failure:
        if failure.passing and duty.attempts < _PATIENCE:
            return False
        fault = f"The page {failure}."
        log.warning("a page was not taken in", library=library.id, source=source.id, reason=fault)
        await _change(ctx, duty, lambda one: _with_source(one, source.id, None, 0, fault))
        return True
    read = await asyncio.to_thread(_cut, "page", source.name, size, text, library)

    def keep(tx: Tx) -> None:
        current = libraries.get(tx, duty.org, library.id, lock=True)
        if current is not None and any(one.id == source.id for one in current.sources):
            now = ctx.clock.now()
            _keep(tx, duty.org, current, source.id, read, now)
            libraries.put(tx, duty.org, _with_source(current, source.id, now, size, ""))

    await ctx.database.write(keep)
    return True


def _with_source(library: Library, source_id: str, taken_at: Millis | None, size: int, fault: str) -> Library:
    """What is None or 0 stays as it was."""
    sources = tuple(
        replace(one, taken_at=taken_at or one.taken_at, size=size or one.size, fault=fault)
        if one.id == source_id
        else one
        for one in library.sources
    )
    return replace(library, sources=sources)


async def _change(ctx: Context, duty: Duty, change: Callable[[Library], Library]) -> None:
    def work(tx: Tx) -> None:
        current = libraries.get(tx, duty.org, duty.subject, lock=True)
        if current is not None:
            libraries.put(tx, duty.org, change(current))

    await ctx.database.write(work)


async def _page(ctx: Context, address: str) -> tuple[int, str]:
    """The bytes of a page, and its words. Raises ``_Unfetched``."""
    for _ in range(MOST_REDIRECTS + 1):
        try:
            answer = await fetch(
                ctx.outbound,
                "GET",
                address,
                headers={"accept": "text/html, text/*;q=0.9, application/json;q=0.8"},
                body=None,
                timeout_s=PAGE_S,
                max_bytes=PAGE_BYTES,
            )
        except Refused:
            raise _Unfetched("may not be fetched from here") from None
        except Unreachable as failure:
            raise _Unfetched(_REASONS[failure.kind], passing=failure.kind in ("timeout", "connect")) from None
        onward = answer.headers.get("location")
        if not 300 <= answer.status < 400 or onward is None:
            break
        try:
            address = urljoin(address, onward)
        except ValueError:
            raise _Unfetched("leads on to something that is no address") from None
    else:
        raise _Unfetched(f"leads on more than {MOST_REDIRECTS} times")
    if not 200 <= answer.status < 300:
        passing = answer.status >= 500 or answer.status in (408, 429)
        raise _Unfetched(f"answered with HTTP status {answer.status}", passing=passing)
    text = await asyncio.to_thread(_words, answer)
    if not text.strip():
        raise _Unfetched("has no text")
    return len(answer.body), text


_REASONS = {
    "timeout": f"did not come within {PAGE_S:g} seconds",
    "connect": "cannot be reached",
    "too_large": f"is larger than {PAGE_BYTES // (1024 * 1024)} MiB",
    "protocol": "cannot be fetched in HTTP",
}


def _words(answer: Fetched) -> str:
    named = answer.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    text = text_of(answer)
    if named in ("text/html", "application/xhtml+xml"):
        return words_of(text)
    if named.startswith("text/") or named == "application/json" or named.endswith(("+json", "+xml")):
        return text.replace("\r\n", "\n").replace("\r", "\n")
    raise _Unfetched(f"is no text, but {named[:100]}")


def _get(tx: Tx, org: str, library_id: str, *, lock: bool = False) -> Library:
    library = libraries.get(tx, org, library_id, lock=lock)
    if library is None:
        raise NotFound("library", library_id)
    return library
