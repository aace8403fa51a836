"""Answers kept for requests that carry an idempotency key (contract, section 1.5)."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import answers

KEPT_MS = 24 * 60 * 60 * 1000
"""How long an answer is replayed."""
IN_FLIGHT_MS = 60 * 1000
"""How long a request without an answer counts as running; after that its server is presumed dead."""


@dataclass(frozen=True, slots=True)
class Request:
    """What identifies a keyed request; ``digest`` is over query and body."""

    org: str
    key: str
    method: str
    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of it: ``status`` None while it is in flight."""

    digest: str
    status: int | None
    body: str | None


class KeyTaken(Exception):
    """Somebody else claimed the key first."""


def _mine(request: Request) -> list[ColumnElement[bool]]:
    return [
        answers.c.org == request.org,
        answers.c.key == request.key,
        answers.c.method == request.method,
        answers.c.path == request.path,
    ]


def begin(tx: Tx, request: Request, now: Millis) -> Kept | None:
    """Claim the key: None when this request may go on, otherwise what is known of an earlier one.

    Raises ``KeyTaken`` when another server claims it at the same moment.
    """
    tx.execute(delete(answers).where(answers.c.created_at < now - KEPT_MS))
    tx.execute(
        delete(answers).where(
            *_mine(request),
            answers.c.status.is_(None),
            answers.c.created_at < now - IN_FLIGHT_MS,
        )
    )
    row = tx.execute(select(answers).where(*_mine(request))).first()
    if row is not None:
        return Kept(row.digest, row.status, row.body)
    claim = insert(answers).values(
        org=request.org,
        key=request.key,
        method=request.method,
        path=request.path,
        digest=request.digest,
        created_at=now,
    )
    try:
        tx.execute(claim)
    except IntegrityError as failure:
        raise KeyTaken(request.key) from failure
    return None


def finish(tx: Tx, request: Request, status: int, body: str) -> None:
    """Keep the answer, in the transaction that did the work."""
    tx.execute(update(answers).where(*_mine(request)).values(status=status, body=body))


def forget(tx: Tx, request: Request) -> None:
    """The request failed; the key may be used again."""
    tx.execute(delete(answers).where(*_mine(request), answers.c.status.is_(None)))
