"""Hooks, kept; and that runs are over, noted for those who want to be told.

Whoever ends a run notes it in the same transaction, as a duty of this run's own: many end at the same time, and nobody
waits for anybody. Whether a batch is over is found out when that duty is done.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from vivavoce.core.event import Millis
from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.status import FINAL
from vivavoce.storage import duties
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Wanted
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import duties as duty_rows
from vivavoce.storage.tables import runs
from vivavoce.storage.times import read_clock
from vivavoce.storage.work import hooks

COMPLETED = "completed"
"""The kind of the duty: its subject is a run's id, its body the batch's or empty."""
TOLD = "batch_told"
"""The kind of the mark that it was noted that a batch is over. It is a duty with nothing to do, so that it goes by
itself after a while."""
KEPT_MS = 30 * 86_400_000
"""How long such a mark stays: longer than any of the batch's other duties can."""

_KNOWN = frozenset(Occasion)


def _hook(row: Row[Any]) -> Hook:
    # A later server may know more kinds.
    return Hook(row.id, row.url, tuple(Occasion(kind) for kind in row.kinds if kind in _KNOWN), row.created_at)


def add(tx: Tx, org: str, hook: Hook) -> None:
    """Keep a new hook."""
    kinds = [kind.value for kind in hook.kinds]
    tx.execute(insert(hooks).values(id=hook.id, org=org, url=hook.url, kinds=kinds, created_at=hook.created_at))


def get(tx: Tx, org: str, hook_id: str) -> Hook | None:
    """One hook, or None."""
    row = tx.execute(select(hooks).where(hooks.c.org == org, hooks.c.id == hook_id)).first()
    return _hook(row) if row else None


def get_all(tx: Tx, org: str) -> tuple[Hook, ...]:
    """An organisation's hooks, oldest first."""
    return tuple(_hook(row) for row in tx.execute(select(hooks).where(hooks.c.org == org).order_by(hooks.c.id)))


def get_page(tx: Tx, org: str, window: Window) -> Page[Hook]:
    """A page of an organisation's hooks, newest first."""
    rows, total = fetch_page(tx, hooks, [hooks.c.org == org], window, [hooks.c.id.desc()])
    return Page(tuple(_hook(row) for row in rows), total, window)


def drop(tx: Tx, org: str, hook_id: str) -> bool:
    """Remove a hook. False when there is none."""
    return tx.execute(delete(hooks).where(hooks.c.org == org, hooks.c.id == hook_id)).rowcount > 0


def is_any(tx: Tx, org: str) -> bool:
    """Whether the organisation has a hook."""
    return tx.execute(select(hooks.c.id).where(hooks.c.org == org).limit(1)).first() is not None


def get_hooked(tx: Tx, orgs: Sequence[str]) -> Mapping[str, bool]:
    """Those of these organisations that have a hook."""
    query = select(hooks.c.org).where(hooks.c.org.in_(sorted(set(orgs)))).distinct()
    return dict.fromkeys(tx.execute(query).scalars(), True)


def wanted(org: str, run_id: str, batch_id: str | None, at: Millis) -> Wanted:
    """The duty of a run that is over. Its id is the run's, which no other duty has."""
    return Wanted(run_id, org, COMPLETED, run_id, at, batch_id or "")


def completed(tx: Tx, org: str, over: Mapping[str, str | None]) -> None:
    """Note that these runs are over, each with its batch, where the organisation has a hook. For whoever ends runs that
    it does not drive."""
    if not over or not is_any(tx, org):
        return
    now = read_clock(tx)
    new = [wanted(org, run_id, batch_id, now) for run_id, batch_id in sorted(over.items())]
    rows = [
        {
            "id": one.id,
            "org": one.org,
            "kind": one.kind,
            "subject": one.subject,
            "due_at": one.due_at,
            "attempts": 0,
            "body": one.body,
        }
        for one in new
    ]
    tx.execute(_insert_new(tx), rows)


def shrunk(tx: Tx, org: str, batch_ids: Sequence[str]) -> None:
    """Note that unfinished runs of these batches are gone: one may be over by that."""
    if batch_ids and is_any(tx, org):
        now = read_clock(tx)
        for batch_id in sorted(set(batch_ids)):
            # Anew, if it is just being found out: whoever does that has not seen this yet.
            duties.want(tx, Wanted(batch_id, org, COMPLETED, f"batch {batch_id}", now, batch_id))


def any_unfinished(tx: Tx, org: str, batch_id: str) -> bool:
    """Whether a run of this batch is not over."""
    mine = (runs.c.org == org, runs.c.batch_id == batch_id, runs.c.status.not_in(sorted(FINAL)))
    # The last ones are taken last: while there are any, the first look finds one.
    return tx.execute(select(runs.c.id).where(*mine).order_by(runs.c.id.desc()).limit(1)).first() is not None


def is_told(tx: Tx, batch_id: str) -> bool:
    """Whether the end of this batch was told before."""
    mine = (duty_rows.c.kind == TOLD, duty_rows.c.subject == batch_id)
    return tx.execute(select(duty_rows.c.id).where(*mine)).first() is not None


def mark_told(tx: Tx, org: str, batch_id: str, mark_id: str, now: Millis) -> bool:
    """Mark that the end of this batch is told in this transaction. False where it was before; somebody who does it at
    this moment is waited for."""
    row = {"id": mark_id, "org": org, "kind": TOLD, "subject": batch_id, "due_at": now + KEPT_MS}
    query = _insert_new(tx).values(**row, attempts=0, body="")
    return tx.execute(query.returning(duty_rows.c.id)).first() is not None


def _insert_new(tx: Tx) -> Any:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    return dialect.insert(duty_rows).on_conflict_do_nothing()
