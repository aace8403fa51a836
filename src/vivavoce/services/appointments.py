"""Calls and messages that go out at their time (contract, section 6.6)."""

from dataclasses import replace

from vivavoce.channels.dialer import CallOrder, CallResult
from vivavoce.core.appointment import Appointment, CallStatus, Standing, after_call, dispatched, failed
from vivavoce.core.scenario import Medium
from vivavoce.core.text import Text, TextStatus
from vivavoce.engine.duties import TRIES
from vivavoce.services import messaging
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound, Rejected
from vivavoce.services.messaging import Draft, Wish
from vivavoce.storage import appointments, assistants, duties
from vivavoce.storage.appointments import AppointmentFilter
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.insisting import insist
from vivavoce.storage.page import Page, Window

KIND = "appointment"
INTERRUPTED = "the server stopped while the call was under way, and does not know what became of it"
_UNTIL_SENT_MS = 30_000


def create(ctx: Context, tx: Tx, org: str, draft: Appointment) -> Appointment:
    """Keep an appointment (its id and creation time are set here), and the duty to keep it: whoever calls wakes the
    duties after the commit. Raises ``NotFound`` for an unknown assistant."""
    _known(tx, org, draft.assistant_id)
    appointment = replace(draft, id=ctx.new_id(), created_at=ctx.clock.now())
    appointments.add(tx, org, appointment)
    duties.want(tx, Wanted(ctx.new_id(), org, KIND, appointment.id, appointment.due_at))
    return appointment


async def retrieve(ctx: Context, org: str, assistant_id: str, appointment_id: str) -> Appointment:
    """One appointment. Raises ``NotFound``, also where it is another assistant's."""
    return await ctx.database.read(lambda tx: _get(tx, org, assistant_id, appointment_id))


async def get_page(ctx: Context, org: str, wanted: AppointmentFilter, window: Window) -> Page[Appointment]:
    """A page of appointments, newest first. Raises ``NotFound`` for an unknown assistant."""

    def work(tx: Tx) -> Page[Appointment]:
        if wanted.assistant_id is not None:
            _known(tx, org, wanted.assistant_id)
        return appointments.get_page(tx, org, wanted, window)

    return await ctx.database.read(work)


async def delete(ctx: Context, org: str, assistant_id: str, appointment_id: str) -> None:
    """Cancel an appointment that is pending; one that was begun or kept only leaves the record. Raises ``NotFound``."""

    def work(tx: Tx) -> None:
        appointment = _get(tx, org, assistant_id, appointment_id, lock=True)
        appointments.drop(tx, org, appointment.id)
        duties.forget(tx, KIND, appointment.id)
        if appointment.standing is Standing.IN_PROGRESS and appointment.text_id:
            # What is kept goes out, also when whoever sends it now dies; that one is given the time to be done first.
            due_at = ctx.clock.now() + _UNTIL_SENT_MS
            duties.want(tx, Wanted(ctx.new_id(), org, messaging.SEND, appointment.text_id, due_at))

    await ctx.database.write(work)


async def perform(ctx: Context, duty: Duty) -> None:
    """Send it, or call; ``duty.subject`` is the appointment's id. Raises where it should be tried again."""
    appointment = await ctx.database.read(lambda tx: appointments.get(tx, duty.org, duty.subject))
    if appointment is None or appointment.standing.final:
        return
    if appointment.medium is Medium.PHONE_CALL:
        await _call(ctx, duty, appointment)
    else:
        await _text(ctx, duty, appointment)


async def _text(ctx: Context, duty: Duty, appointment: Appointment) -> None:
    if appointment.standing is Standing.PENDING:
        wish = Wish(
            appointment.agent_target,
            appointment.user_target,
            appointment.text,
            {key: _as_metadata(value) for key, value in appointment.metadata.items()},
            anew=True,
            medium=appointment.medium,
            variables=appointment.variables or None,
            templated=True,
        )
        try:
            draft = await messaging.compose(ctx, duty.org, appointment.assistant_id, wish)
        except (NotFound, Rejected, Broken) as failure:
            if isinstance(failure, Broken) and duty.attempts < TRIES:
                raise
            reason = str(failure)
            await ctx.database.write(lambda tx: _change(tx, duty.org, failed(appointment, reason)))
            return
        found = await ctx.database.write(lambda tx: _keep_text(ctx, tx, duty.org, appointment.id, draft))
        if found is None:
            return
        appointment = found
    assert appointment.text_id is not None
    text = await messaging.deliver(ctx, duty.org, appointment.text_id, last=duty.attempts >= TRIES)
    settled = _after_text(appointment, text)
    await ctx.database.write(lambda tx: _change(tx, duty.org, settled))


def _keep_text(ctx: Context, tx: Tx, org: str, appointment_id: str, draft: Draft) -> Appointment | None:
    """The message and the note that it is on its way stand or fall together."""
    current = appointments.get(tx, org, appointment_id, lock=True)
    if current is None or current.standing is not Standing.PENDING:
        return None
    text = messaging.keep(ctx, tx, org, draft, sends=False)
    begun = replace(dispatched(current, ctx.clock.now()), conversation_id=text.conversation_id, text_id=text.id)
    appointments.put(tx, org, begun)
    return begun


def _after_text(appointment: Appointment, text: Text | None) -> Appointment:
    if text is None or text.status is TextStatus.FAILED:
        return failed(appointment, f"the message was not sent: {text.reason if text else 'it is gone'}")
    return replace(appointment, standing=Standing.COMPLETED)


async def _call(ctx: Context, duty: Duty, appointment: Appointment) -> None:
    if appointment.standing is Standing.IN_PROGRESS:
        result = CallResult(CallStatus.FAILED, reason=INTERRUPTED)
    else:
        begun = await ctx.database.write(lambda tx: _begin_call(ctx, tx, duty.org, appointment.id))
        if begun is None:
            return
        order = CallOrder(
            duty.org,
            begun.assistant_id,
            begun.agent_target,
            begun.user_target,
            f"{begun.id}:{len(begun.attempts) + 1}",
            begun.region,
            begun.variables,
            {key: _as_metadata(value) for key, value in begun.metadata.items()},
        )
        result = await ctx.dialer.dial(order)
    # What is not known to have ended well is tried again, and somebody's telephone rings twice.
    await insist(ctx.database, lambda tx: _end_call(ctx, tx, duty, result))
    ctx.wake()


def _begin_call(ctx: Context, tx: Tx, org: str, appointment_id: str) -> Appointment | None:
    current = appointments.get(tx, org, appointment_id, lock=True)
    if current is None or current.standing is not Standing.PENDING:
        return None
    if assistants.get(tx, org, current.assistant_id) is None:
        appointments.put(tx, org, failed(current, f"assistant {current.assistant_id!r} was not found"))
        return None
    begun = dispatched(current, ctx.clock.now())
    appointments.put(tx, org, begun)
    return begun


def _end_call(ctx: Context, tx: Tx, duty: Duty, result: CallResult) -> None:
    current = appointments.get(tx, duty.org, duty.subject, lock=True)
    if current is None or current.standing is not Standing.IN_PROGRESS:
        return
    after = after_call(
        current,
        ctx.clock.now(),
        result.status,
        result.reason,
        duration_s=result.duration_s,
        call_id=result.call_id,
    )
    if result.conversation_id:
        after = replace(after, conversation_id=result.conversation_id)
    appointments.put(tx, duty.org, after)
    if after.standing is Standing.PENDING:
        duties.want(tx, Wanted(ctx.new_id(), duty.org, KIND, after.id, after.due_at))


def _as_metadata(value: str | int | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _change(tx: Tx, org: str, appointment: Appointment) -> None:
    """Overwrite it, unless it was deleted meanwhile."""
    if appointments.get(tx, org, appointment.id, lock=True) is not None:
        appointments.put(tx, org, appointment)


def _known(tx: Tx, org: str, assistant_id: str) -> None:
    if assistants.get(tx, org, assistant_id) is None:
        raise NotFound("assistant", assistant_id)


def _get(tx: Tx, org: str, assistant_id: str, appointment_id: str, *, lock: bool = False) -> Appointment:
    _known(tx, org, assistant_id)
    appointment = appointments.get(tx, org, appointment_id, lock=lock)
    if appointment is None or appointment.assistant_id != assistant_id:
        raise NotFound("scheduled event", appointment_id)
    return appointment
