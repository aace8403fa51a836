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
PREPARED_MS = 10 * IN_FLIGHT_MS
"""The same for work that waits for somebody else first: clients give up after 60 s (contract, section 1.1) and ask
again, and the work must not be begun anew while it goes on."""


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
    """Somebody else claimed the key."""


def _mine(request: Request) -> list[ColumnElement[bool]]:
    return [
        answers.c.org == request.org,
        answers.c.key == request.key,
        answers.c.method == request.method,
        answers.c.path == request.path,
    ]


def begin(tx: Tx, request: Request, now: Millis, running_ms: Millis = IN_FLIGHT_MS) -> Kept | None:
    """Claim the key: None when this request may go on, otherwise what is known of an earlier one, which counts as
    running for ``running_ms``.

    Raises ``KeyTaken`` when another server claims it at the same moment.
    """
    tx.execute(delete(answers).where(answers.c.created_at < now - KEPT_MS))
    tx.execute(
        delete(answers).where(
            *_mine(request),
            answers.c.status.is_(None),
            answers.c.created_at < now - running_ms,
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


def finish(tx: Tx, request: Request, begun: Millis, status: int, body: str) -> None:
    """Keep the answer, in the transaction that did the work; ``begun`` is when the key was claimed.

    Raises ``KeyTaken`` where the claim was given up meanwhile: somebody else does the work, and it must be undone here.
    """
    claim = (*_mine(request), answers.c.status.is_(None), answers.c.created_at == begun)
    if not tx.execute(update(answers).where(*claim).values(status=status, body=body)).rowcount:
        raise KeyTaken(request.key)


def forget(tx: Tx, request: Request, begun: Millis) -> None:
    """The request failed; the key may be used again, unless it is somebody else's by now."""
    tx.execute(delete(answers).where(*_mine(request), answers.c.status.is_(None), answers.c.created_at == begun))
