"""Documents that assistants search: taken in, listed, removed, and searched."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import structlog

from vivavoce.core.clock import Clock
from vivavoce.core.document import Document
from vivavoce.core.ids import NewId
from vivavoce.core.model import ModelFailure
from vivavoce.core.passage import Passage
from vivavoce.core.telemetry import plainly
from vivavoce.core.waiting import deadline
from vivavoce.models.embeddings import AT_ONCE, Embedder, embedder
from vivavoce.outbound.answer import storable
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import documents
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.documents import Piece
from vivavoce.tools import passages
from vivavoce.tools import search as ranking
from vivavoce.tools.passages import Unreadable

log = structlog.get_logger(__name__)

MOST = 5
"""How many passages a search gives when nobody says."""

AT_MOST = 20
"""How many passages a search gives at all."""

PATIENCE_S = 3.0
"""How long a search waits for the query's vector; a caller is waiting too."""

LONGEST_QUERY = 2000
"""Characters of a query; the rest is not looked at."""

_KEPT = 8
_NAME = 255


@dataclass(frozen=True, slots=True)
class Listed:
    """A document, how many passages it has, and how many of them can be found by the model that embeds here."""

    document: Document
    passages: int
    embedded: int


@dataclass(frozen=True, slots=True)
class _Corpus:
    """What is searched, made ready once. ``vectors`` None where some passage has none of the model."""

    pieces: tuple[Piece, ...]
    sources: tuple[str, ...]
    index: ranking.Index
    vectors: "list[ranking.array[float]] | None"


# By what they hold, so that nothing in here can be out of date; the longest unused is forgotten first.
_corpora: OrderedDict[tuple[object, ...], _Corpus] = OrderedDict()


async def add(
    database: Database,
    clock: Clock,
    new_id: NewId,
    org: str,
    bucket: str,
    name: str,
    data: bytes,
    embeds: Embedder | None = None,
) -> Document | None:
    """Take a file in; one of the same name in the bucket is replaced. None where its text is there already.

    Raises ``Rejected`` for what cannot be read, and ``ModelFailure`` where it cannot be embedded: nothing is kept then.
    """
    for part, given in (("bucket", bucket), ("file", name)):
        if not 0 < len(given) <= _NAME or storable(given) != given:
            raise Rejected(f"{given[:_NAME]!r} is no name for a {part}: 1 to {_NAME} characters of Unicode", part)
    try:
        text = passages.text_of(name, data)
    except Unreadable as failure:
        raise Rejected(str(failure), "file") from None
    digest = sha256(text.encode()).hexdigest()
    before = await database.read(lambda tx: documents.find(tx, org, bucket, name))
    if before is not None and before.digest == digest:
        return None
    texts = passages.cut(text)
    vectors = [ranking.packed(each) for each in await embeds.embed(texts)] if embeds else None
    document = Document(new_id(), bucket, name, digest, clock.now())

    def work(tx: Tx) -> None:
        old = documents.find(tx, org, bucket, name)
        if old is not None:
            documents.drop(tx, org, old.id)
        documents.add(tx, org, document, texts, embeds.name if embeds else None, vectors)

    await database.write(work)
    return document


async def get_all(database: Database, org: str, bucket: str | None = None, model: str | None = None) -> list[Listed]:
    """All documents, or those of one bucket, oldest first."""

    def work(tx: Tx) -> list[Listed]:
        found = documents.get_all(tx, org, None if bucket is None else [bucket])
        counts = documents.counted(tx, org, [one.id for one in found], model)
        return [Listed(one, *counts.get(one.id, (0, 0))) for one in found]

    return await database.read(work)


async def remove(database: Database, org: str, bucket: str, name: str) -> None:
    """Remove a document. Raises ``NotFound``."""

    def work(tx: Tx) -> bool:
        found = documents.find(tx, org, bucket, name)
        return found is not None and documents.drop(tx, org, found.id)

    if not await database.write(work):
        raise NotFound("document", f"{bucket}/{name}")


async def embed(database: Database, org: str, embeds: Embedder, bucket: str | None = None) -> int:
    """Give every passage that has none, in one bucket or anywhere, a vector of this model; returns how many got one.
    Raises ``ModelFailure``; what was embedded before it is kept."""
    done = 0
    while pieces := await database.read(lambda tx: documents.get_bare(tx, org, embeds.name, AT_ONCE, bucket)):
        vectors = [ranking.packed(each) for each in await embeds.embed([piece.text for piece in pieces])]
        await database.write(
            lambda tx, pieces=pieces, vectors=vectors: documents.put_vectors(tx, org, pieces, embeds.name, vectors)
        )
        done += len(pieces)
    return done


async def search(ctx: Context, org: str, buckets: Sequence[str], query: str, most: int | None) -> tuple[Passage, ...]:
    """The passages in these buckets that fit the words best, at most so many (None is ``MOST``).

    They are ranked by the words that they share with the query. Where a model embeds here and all of these passages are
    embedded, they are ranked by their vectors; when the model fails, by words after all, and the log says so. Raises
    ``Rejected`` where there are no documents in these buckets.
    """
    model = ctx.embedding_model
    corpus = await _corpus(ctx, org, tuple(dict.fromkeys(buckets)), model)
    wanted = min(max(MOST if most is None else most, 1), AT_MOST)
    query = query[:LONGEST_QUERY]
    found = await _near(ctx, model, corpus, query, wanted) if model else None
    if found is None:
        found = ranking.by_words(corpus.index, query, wanted)
    return tuple(Passage(corpus.pieces[place].text, corpus.sources[place], score) for place, score in found)


async def _near(ctx: Context, model: str, corpus: _Corpus, query: str, most: int) -> list[ranking.Found] | None:
    """What is near to the query by vectors, or None where that cannot be said."""
    if corpus.vectors is None:
        log.warning("searched by words: some documents are not embedded; viva documents embed does it", model=model)
        return None
    try:
        async with deadline(PATIENCE_S):
            [vector] = await embedder(ctx.models, model).embed([query], max_attempts=1)
    except (ModelFailure, TimeoutError) as failure:
        log.warning("searched by words: the query could not be embedded", model=model, reason=plainly(failure))
        return None
    unit = ranking.unpacked(ranking.packed(vector))
    return await asyncio.to_thread(ranking.by_vectors, corpus.vectors, unit, most)


async def _corpus(ctx: Context, org: str, buckets: Sequence[str], model: str | None) -> _Corpus:
    def look(tx: Tx) -> tuple[tuple[Document, ...], dict[str, tuple[int, int]]]:
        found = documents.get_all(tx, org, buckets)
        return found, documents.counted(tx, org, [one.id for one in found], model) if model else {}

    found, counts = await ctx.database.read(look)
    if not found:
        raise Rejected(f"There are no documents in {', '.join(map(repr, buckets)) or 'no bucket'}.", "buckets")
    ready = all(total == embedded for total, embedded in counts.values()) if model else False
    key = (org, model if ready else None, *((one.id, one.digest, one.name) for one in found))
    if key not in _corpora:
        by_id = {one.id: one for one in found}
        wanted = model if ready else None
        pieces = await ctx.database.read(lambda tx: documents.get_pieces(tx, org, list(by_id), wanted))
        sources = tuple(by_id[piece.document_id].name for piece in pieces)
        corpus = await asyncio.to_thread(_prepared, pieces, sources, ready)
        _corpora[key] = corpus
        while len(_corpora) > _KEPT:
            _corpora.popitem(last=False)
        return corpus
    _corpora.move_to_end(key)
    return _corpora[key]


def _prepared(pieces: tuple[Piece, ...], sources: tuple[str, ...], ready: bool) -> _Corpus:
    vectors = [ranking.unpacked(piece.vector or b"") for piece in pieces] if ready else None
    bare = tuple(Piece(piece.document_id, piece.position, piece.text) for piece in pieces)
    return _Corpus(bare, sources, ranking.index([piece.text for piece in pieces]), vectors)
