"""What is too old is removed, a little at a time: whoever finds it only reads, whoever removes it looks once more.

These look over all organisations: how long things are kept is for the whole installation to say.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, select, update

from vivavoce.core.event import Millis
from vivavoce.core.status import FINAL
from vivavoce.storage import answers, tallies, workers
from vivavoce.storage.database import Tx
from vivavoce.storage.snapshots import FREEZING, drop_loose
from vivavoce.storage.tables import answers as answer_rows
from vivavoce.storage.tables import batches, conversations, runs, scenarios, texts
from vivavoce.storage.work import budgets


@dataclass(frozen=True, slots=True)
class Found:
    """The ids that are too old in one stretch of a table; ``last`` is where the stretch ends, None at the table's."""

    ids: tuple[str, ...]
    last: str | None


_old_run = runs.c.status.in_(sorted(FINAL))


def find_runs(tx: Tx, before: Millis, after: str, most: int) -> Found:
    """Final runs that ended before this time, among the next ``most`` runs after that id."""
    ended = func.coalesce(runs.c.completed_at, runs.c.updated_at)
    old = and_(_old_run, ended < before).label("old")
    rows = tx.execute(select(runs.c.id, old).where(runs.c.id > after).order_by(runs.c.id).limit(most)).all()
    return Found(tuple(row.id for row in rows if row.old), rows[-1].id if len(rows) == most else None)


def drop_runs(tx: Tx, ids: Collection[str]) -> int:
    """Remove these runs, as far as they are final and nobody holds them, with all that belongs to them alone: their
    conversations, what was found in these, and what they froze. Returns how many were removed.

    A batch gets smaller by them. One of which nothing is left goes as well, and so does its budget.
    """
    gone = tallies.lock(tx, and_(runs.c.id.in_(sorted(ids)), _old_run), skip_locked=True)
    if not gone:
        return 0
    mine = runs.c.id.in_([row.id for row in gone])
    digests = {digest for row in tx.execute(select(*FREEZING).where(mine).distinct()) for digest in row if digest}
    _drop_talks(tx, [row.conversation_id for row in gone])
    tx.execute(delete(runs).where(mine))
    drop_loose(tx, digests)
    _shrink_batches(tx, [row.batch_id for row in gone if row.batch_id is not None])
    _drop_retired(tx, {row.scenario_id for row in gone})
    tallies.subtract(tx, gone)
    return len(gone)


def _shrink_batches(tx: Tx, batch_ids: Collection[str]) -> None:
    many = Counter(sorted(batch_ids))
    left = select(runs.c.id)
    for batch_id, fewer in many.items():
        tx.execute(update(batches).where(batches.c.id == batch_id).values(total=batches.c.total - fewer))
    tx.execute(delete(batches).where(batches.c.id.in_(many), ~left.where(runs.c.batch_id == batches.c.id).exists()))
    spent = left.where(runs.c.batch_id == budgets.c.batch_id).exists()
    tx.execute(delete(budgets).where(budgets.c.batch_id.in_(many), ~spent))


def _drop_retired(tx: Tx, scenario_ids: Collection[str]) -> None:
    """One that was taken out of every list was kept for its runs only."""
    held = select(runs.c.id).where(runs.c.scenario_id == scenarios.c.id).exists()
    mine = (scenarios.c.id.in_(sorted(scenario_ids)), scenarios.c.retired_at.is_not(None))
    # Whoever deletes a scenario holds it before its runs: nobody waits for it who holds these.
    query = select(scenarios.c.id).where(*mine, ~held).order_by(scenarios.c.id)
    loose = tx.execute(query.with_for_update(skip_locked=True, of=scenarios)).scalars().all()
    # Looked at again now that it is held: a run may have been triggered in between.
    tx.execute(delete(scenarios).where(scenarios.c.id.in_(loose), ~held))


def find_talks(tx: Tx, before: Millis, after: str, most: int) -> Found:
    """Conversations in which nobody has said anything since this time and that belong to no run, among the next
    ``most`` conversations after that id."""
    old = _old_talk(before).label("old")
    query = select(conversations.c.id, old).where(conversations.c.id > after).order_by(conversations.c.id)
    rows = tx.execute(query.limit(most)).all()
    return Found(tuple(row.id for row in rows if row.old), rows[-1].id if len(rows) == most else None)


def drop_talks(tx: Tx, ids: Collection[str], before: Millis) -> int:
    """Remove these conversations with all that was said in them, as far as they are still so old and nobody holds
    them; their text messages go as well. Returns how many were removed."""
    mine = (conversations.c.id.in_(sorted(ids)), _old_talk(before))
    query = select(conversations.c.id).where(*mine).order_by(conversations.c.id)
    gone = tx.execute(query.with_for_update(skip_locked=True, of=conversations)).scalars().all()
    _drop_talks(tx, gone)
    return len(gone)


def _old_talk(before: Millis) -> ColumnElement[bool]:
    held = select(runs.c.id).where(runs.c.conversation_id == conversations.c.id).exists()
    return and_(conversations.c.last_message_at < before, ~held)


def _drop_talks(tx: Tx, ids: Collection[str]) -> None:
    tx.execute(delete(texts).where(texts.c.conversation_id.in_(ids)))
    tx.execute(delete(conversations).where(conversations.c.id.in_(ids)))


def drop_stale(tx: Tx, now: Millis) -> None:
    """Remove what is of no use after a while, however long anything else is kept: answers that are replayed no more,
    and workers that have not been heard of for long."""
    tx.execute(delete(answer_rows).where(answer_rows.c.created_at < now - answers.KEPT_MS))
    workers.drop_silent(tx)
