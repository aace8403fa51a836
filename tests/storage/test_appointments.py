from dataclasses import replace

from tests.support.store import NOW, ORG, ids

from vivavoce.core.appointment import Appointment, Attempt, CallStatus, Standing
from vivavoce.core.scenario import Medium
from vivavoce.storage import appointments
from vivavoce.storage.appointments import AppointmentFilter
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window

OTHER = "org-b"
_new_id = ids()


def an_appointment(**given: object) -> Appointment:
    chosen = {
        "id": _new_id(),
        "assistant_id": "assistant-1",
        "medium": Medium.SMS_CHAT,
        "agent_target": "+15550100001",
        "user_target": "+15550100002",
        "due_at": NOW + 1000,
        "created_at": NOW,
        "text": "Hi",
    }
    return Appointment(**chosen | given)  # type: ignore[arg-type]


async def test_an_appointment_is_kept_whole_and_overwritten(database: Database) -> None:
    whole = an_appointment(
        metadata={"flag": True, "count": 1, "text": "1"},
        variables={"name": "Ann"},
        attempts=(Attempt(1, NOW, CallStatus.NO_ANSWER, None, "call-1"),),
        errors=("one",),
    )

    def work(tx: Tx) -> None:
        appointments.add(tx, ORG, whole)
        found = appointments.get(tx, ORG, whole.id)
        assert found == appointments.get(tx, ORG, whole.id, lock=True) == whole
        assert found is not None
        assert [type(value) for value in found.metadata.values()] == [bool, int, str]
        changed = replace(whole, standing=Standing.FAILED, due_at=NOW + 5000)
        appointments.put(tx, OTHER, changed)
        assert appointments.get(tx, ORG, whole.id) == whole
        appointments.put(tx, ORG, changed)
        assert appointments.get(tx, ORG, whole.id) == changed
        assert appointments.get(tx, OTHER, whole.id) is None
        assert not appointments.drop(tx, OTHER, whole.id)
        assert appointments.drop(tx, ORG, whole.id)
        assert appointments.get(tx, ORG, whole.id) is None

    await database.write(work)


async def test_a_page_is_filtered_and_newest_first(database: Database) -> None:
    one, two = an_appointment(), an_appointment(medium=Medium.PHONE_CALL, due_at=NOW + 2000, text=None)
    three = an_appointment(due_at=NOW + 500)

    def work(tx: Tx) -> None:
        for each in (one, two, three, an_appointment(assistant_id="assistant-2")):
            appointments.add(tx, ORG, each)

        def found(org: str = ORG, **given: object) -> list[Appointment]:
            wanted = AppointmentFilter("assistant-1", **given)  # type: ignore[arg-type]
            page = appointments.get_page(tx, org, wanted, Window())
            assert page.total == len(page.items)
            return list(page.items)

        assert found() == [three, two, one]
        assert found(medium=Medium.PHONE_CALL) == [two]
        assert found(first=NOW + 1000) == [two, one]
        assert found(first=NOW + 1000, last=NOW + 1000) == [one]
        assert found(last=NOW + 499) == []
        assert found(OTHER) == []

    await database.write(work)
