"""Documents and the passages that they were cut into, kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, case, delete, func, insert, null, or_, select, update

from vivavoce.core.document import Document
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import documents, passages


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage. ``vector`` is little-endian 32-bit floats, of the model that was asked for, or None."""

    document_id: str
    position: int
    text: str
    vector: bytes | None = None


def _document(row: Row[Any]) -> Document:
    return Document(row.id, row.bucket, row.name, row.digest, row.created_at)


def add(
    tx: Tx, org: str, document: Document, texts: Sequence[str], model: str | None, vectors: Sequence[bytes] | None
) -> None:
    """Keep a new document with its passages, and where there are vectors, one for each, with those of ``model``."""
    values = {"id": document.id, "org": org, "bucket": document.bucket, "name": document.name}
    tx.execute(insert(documents).values(**values, digest=document.digest, created_at=document.created_at))
    rows = [
        {
            "document_id": document.id,
            "position": position,
            "text": text,
            "model": None if vectors is None else model,
            "vector": None if vectors is None else vectors[position],
        }
        for position, text in enumerate(texts)
    ]
    if rows:
        tx.execute(insert(passages), rows)


def find(tx: Tx, org: str, bucket: str, name: str) -> Document | None:
    """The document of this name in the bucket, or None."""
    mine = (documents.c.org == org, documents.c.bucket == bucket, documents.c.name == name)
    row = tx.execute(select(documents).where(*mine)).first()
    return _document(row) if row else None


def get_all(tx: Tx, org: str, buckets: Sequence[str] | None = None) -> tuple[Document, ...]:
    """All documents, or those in these buckets, oldest first."""
    query = select(documents).where(documents.c.org == org).order_by(documents.c.created_at, documents.c.id)
    if buckets is not None:
        query = query.where(documents.c.bucket.in_(buckets))
    return tuple(_document(row) for row in tx.execute(query))


def counted(tx: Tx, org: str, ids: Sequence[str], model: str | None) -> dict[str, tuple[int, int]]:
    """By document, how many passages it has, and how many of them have a vector of this model."""
    if not ids:
        return {}
    fits = and_(passages.c.model == model, passages.c.vector.is_not(None))
    query = (
        select(passages.c.document_id, func.count(), func.sum(case((fits, 1), else_=0)))
        .join(documents)
        .where(documents.c.org == org, documents.c.id.in_(ids))
        .group_by(passages.c.document_id)
    )
    return {id_: (total, ready) for id_, total, ready in tx.execute(query)}


def get_pieces(tx: Tx, org: str, ids: Sequence[str], model: str | None) -> tuple[Piece, ...]:
    """The passages of these documents, in the order of the ids and then of the text. Without a ``model``, without
    vectors."""
    vector = null() if model is None else case((passages.c.model == model, passages.c.vector), else_=null())
    query = (
        select(passages.c.document_id, passages.c.position, passages.c.text, vector.label("vector"))
        .join(documents)
        .where(documents.c.org == org, documents.c.id.in_(ids))
        .order_by(passages.c.position)
    )
    place = {id_: number for number, id_ in enumerate(ids)}
    found = [Piece(row.document_id, row.position, row.text, row.vector) for row in tx.execute(query)]
    return tuple(sorted(found, key=lambda piece: place[piece.document_id]))


def get_bare(tx: Tx, org: str, model: str, most: int, bucket: str | None = None) -> tuple[Piece, ...]:
    """Some passages that have no vector of this model, in one bucket or anywhere."""
    lacks = or_(passages.c.model.is_(None), passages.c.model != model, passages.c.vector.is_(None))
    query = select(passages.c.document_id, passages.c.position, passages.c.text).join(documents)
    query = query.where(documents.c.org == org, lacks).order_by(passages.c.document_id, passages.c.position)
    if bucket is not None:
        query = query.where(documents.c.bucket == bucket)
    return tuple(Piece(row.document_id, row.position, row.text) for row in tx.execute(query.limit(most)))


def put_vectors(tx: Tx, org: str, pieces: Sequence[Piece], model: str, vectors: Sequence[bytes]) -> None:
    """Give passages their vectors. Those of a document that is gone by now are passed over."""
    known = set(tx.execute(select(documents.c.id).where(documents.c.org == org)).scalars())
    for piece, vector in zip(pieces, vectors, strict=True):
        if piece.document_id in known:
            mine = (passages.c.document_id == piece.document_id, passages.c.position == piece.position)
            tx.execute(update(passages).where(*mine).values(model=model, vector=vector))


def drop(tx: Tx, org: str, document_id: str) -> bool:
    """Remove a document with its passages. False when there is none."""
    return tx.execute(delete(documents).where(documents.c.org == org, documents.c.id == document_id)).rowcount > 0


def drop_bucket(tx: Tx, org: str, bucket: str) -> None:
    """Remove all documents of a bucket with their passages."""
    tx.execute(delete(documents).where(documents.c.org == org, documents.c.bucket == bucket))
