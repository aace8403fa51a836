"""Appointments, kept."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from vivavoce.core.appointment import Appointment
from vivavoce.core.event import Millis
from vivavoce.core.scenario import Medium
from vivavoce.storage.codec import Codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import appointments

_codec: Codec[Appointment] = Codec(Appointment)


@dataclass(frozen=True, slots=True)
class AppointmentFilter:
    """``first`` and ``last`` bound the time at which it is due, both included. None matches everything."""

    assistant_id: str | None = None
    medium: Medium | None = None
    first: Millis | None = None
    last: Millis | None = None


def _appointment(row: Row[Any]) -> Appointment:
    return _codec.loads(row.body)


def add(tx: Tx, org: str, appointment: Appointment) -> None:
    """Keep a new appointment."""
    tx.execute(
        insert(appointments).values(
            id=appointment.id,
            org=org,
            assistant_id=appointment.assistant_id,
            medium=appointment.medium.value,
            due_at=appointment.due_at,
            body=_codec.dumps(appointment),
            created_at=appointment.created_at,
        )
    )


def put(tx: Tx, org: str, appointment: Appointment) -> None:
    """Overwrite an appointment."""
    mine = (appointments.c.org == org, appointments.c.id == appointment.id)
    tx.execute(update(appointments).where(*mine).values(due_at=appointment.due_at, body=_codec.dumps(appointment)))


def get(tx: Tx, org: str, appointment_id: str, *, lock: bool = False) -> Appointment | None:
    """One appointment, or None. ``lock`` holds it against other writers until the commit."""
    query = select(appointments).where(appointments.c.org == org, appointments.c.id == appointment_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _appointment(row) if row else None


def get_page(tx: Tx, org: str, wanted: AppointmentFilter, window: Window) -> Page[Appointment]:
    """A page of appointments, newest first."""
    where: list[ColumnElement[bool]] = [appointments.c.org == org]
    where += [appointments.c.assistant_id == wanted.assistant_id] if wanted.assistant_id is not None else []
    where += [appointments.c.medium == wanted.medium.value] if wanted.medium is not None else []
    where += [appointments.c.due_at >= wanted.first] if wanted.first is not None else []
    where += [appointments.c.due_at <= wanted.last] if wanted.last is not None else []
    rows, total = fetch_page(tx, appointments, where, window, [appointments.c.id.desc()])
    return Page(tuple(_appointment(row) for row in rows), total, window)


def drop(tx: Tx, org: str, appointment_id: str) -> bool:
    """Remove an appointment. False when there is none."""
    mine = (appointments.c.org == org, appointments.c.id == appointment_id)
    return tx.execute(delete(appointments).where(*mine)).rowcount > 0
