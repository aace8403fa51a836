"""Schedules, kept."""

from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from vivavoce.core.schedule import Schedule
from vivavoce.core.status import FINAL
from vivavoce.storage.codec import Codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import runs
from vivavoce.storage.work import schedules

_codec: Codec[Schedule] = Codec(Schedule)


def _schedule(row: Row[Any]) -> Schedule:
    return _codec.loads(row.body)


def _columns(schedule: Schedule) -> dict[str, object]:
    return {"body": _codec.dumps(schedule), "next_at": schedule.next_at, "changed_at": schedule.changed_at}


def add(tx: Tx, org: str, schedule: Schedule) -> None:
    """Keep a new schedule."""
    tx.execute(insert(schedules).values(id=schedule.id, org=org, created_at=schedule.created_at, **_columns(schedule)))


def put(tx: Tx, org: str, schedule: Schedule) -> None:
    """Overwrite a schedule."""
    mine = (schedules.c.org == org, schedules.c.id == schedule.id)
    tx.execute(update(schedules).where(*mine).values(**_columns(schedule)))


def get(tx: Tx, org: str, schedule_id: str, *, lock: bool = False) -> Schedule | None:
    """One schedule, or None. ``lock`` holds it against other writers until the commit."""
    query = select(schedules).where(schedules.c.org == org, schedules.c.id == schedule_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _schedule(row) if row else None


def get_page(tx: Tx, org: str, window: Window) -> Page[Schedule]:
    """A page of schedules, newest first."""
    rows, total = fetch_page(tx, schedules, [schedules.c.org == org], window, [schedules.c.id.desc()])
    return Page(tuple(_schedule(row) for row in rows), total, window)


def drop(tx: Tx, org: str, schedule_id: str) -> bool:
    """Remove a schedule; its runs stay. False when there is none."""
    mine = (schedules.c.org == org, schedules.c.id == schedule_id)
    return tx.execute(delete(schedules).where(*mine)).rowcount > 0


def any_unfinished(tx: Tx, org: str, batch_id: str) -> bool:
    """Whether a run of this batch is not over."""
    mine = (runs.c.org == org, runs.c.batch_id == batch_id, runs.c.status.not_in(sorted(FINAL)))
    return tx.execute(select(runs.c.id).where(*mine).limit(1)).first() is not None
