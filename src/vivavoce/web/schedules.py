"""Schedules: tests that are run by the calendar; and the calls and text messages that are to go out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.appointment import Standing
from vivavoce.core.run import Priority
from vivavoce.core.schedule import GRACE_MS, Missed, Overlap, Schedule
from vivavoce.services import appointments, scenarios, schedules
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage.appointments import AppointmentFilter
from vivavoce.web import asked
from vivavoce.web.assistants import options
from vivavoce.web.gate import Form, form
from vivavoce.web.pages import Pages, part
from vivavoce.web.places import Errors
from vivavoce.web.visitor import visitor

MISSED = (
    (Missed.SKIP.value, "lost, unless they are only a little late"),
    (Missed.ONCE.value, "made up for by one run of the tests"),
    (Missed.ALL.value, "made up for one by one"),
)
OVERLAP = (
    (Overlap.ALLOW.value, "run the tests all the same"),
    (Overlap.SKIP.value, "leave this time out"),
)
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Typed:
    """A schedule as it was typed; ``tests`` are ids, one on each line."""

    name: str = ""
    cron: str = "0 6 * * *"
    timezone: str = "UTC"
    suite: str = ""
    tests: str = ""
    version: str = ""
    missed: str = Missed.SKIP.value
    grace: str = str(GRACE_MS // 60_000)
    overlap: str = Overlap.SKIP.value


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """Schedules with their buttons and forms, and what is to go out."""

    async def show_all(request: Request) -> Response:
        found = await schedules.get_page(ctx.database, visitor(request).org, asked.window(request))
        return pages.render(request, "schedules.html", found=found)

    async def show(request: Request) -> Response:
        one = await schedules.retrieve(ctx.database, visitor(request).org, request.path_params["id"])
        return pages.render(
            request,
            "schedule.html",
            one=one,
            outlook=schedules.outlook(one),
            missed=dict(MISSED),
            overlap=dict(OVERLAP),
        )

    async def draft(request: Request) -> Response:
        return await _form(request, None, Typed(suite=asked.text(request, "suite") or ""), {})

    async def create(request: Request) -> Response:
        org, typed = visitor(request).org, _typed(form(request))
        errors = _wrong(typed)
        if errors:
            return await _form(request, None, typed, errors, 422)
        wanted = _laid(typed, Schedule("", "", "", 0, 0))
        try:
            made = await schedules.create(ctx.database, ctx.clock, ctx.new_id, org, wanted)
        except Rejected as failure:
            return await _form(request, None, typed, _to_blame(failure), 422)
        ctx.wake()
        return RedirectResponse(f"/ui/schedules/{part(made.id)}?said=saved", 303)

    async def edit(request: Request) -> Response:
        one = await schedules.retrieve(ctx.database, visitor(request).org, request.path_params["id"])
        return await _form(request, one, _as_is(one), {})

    async def save(request: Request) -> Response:
        org, id_, typed = visitor(request).org, request.path_params["id"], _typed(form(request))
        one = await schedules.retrieve(ctx.database, org, id_)
        errors = _wrong(typed)
        if errors:
            return await _form(request, one, typed, errors, 422)
        try:
            await schedules.update(ctx.database, ctx.clock, ctx.new_id, org, id_, lambda now: _laid(typed, now))
        except Rejected as failure:
            return await _form(request, one, typed, _to_blame(failure), 422)
        ctx.wake()
        return RedirectResponse(f"/ui/schedules/{part(id_)}?said=saved", 303)

    async def pause(request: Request) -> Response:
        id_, paused = request.path_params["id"], request.url.path.endswith("/pause")
        await schedules.pause(ctx.database, ctx.clock, ctx.new_id, visitor(request).org, id_, paused=paused)
        ctx.wake()
        return RedirectResponse(f"/ui/schedules/{part(id_)}?said={'paused' if paused else 'resumed'}", 303)

    async def fire(request: Request) -> Response:
        id_ = request.path_params["id"]
        await schedules.fire(ctx, visitor(request).org, id_)
        return RedirectResponse(f"/ui/schedules/{part(id_)}?said=started", 303)

    async def delete(request: Request) -> Response:
        await schedules.delete(ctx.database, visitor(request).org, request.path_params["id"])
        return RedirectResponse("/ui/schedules?said=deleted", 303)

    async def _form(
        request: Request, one: Schedule | None, typed: Typed, errors: Errors, status: int = 200
    ) -> Response:
        return pages.render(
            request,
            "schedule_edit.html",
            status,
            one=one,
            typed=typed,
            errors=errors,
            suites=(
                ("", "none: tests by their ids"),
                *((one, one) for one in await scenarios.get_suites(ctx, visitor(request).org)),
            ),
            missed=MISSED,
            overlap=OVERLAP,
        )

    async def show_scheduled(request: Request) -> Response:
        org = visitor(request).org
        assistant = asked.text(request, "assistant")
        chosen = await options(ctx, org, assistant or "")
        try:
            found = await appointments.get_page(ctx, org, AppointmentFilter(assistant), asked.window(request))
        except NotFound as failure:
            raise NotFound("assistant", assistant or "") from failure
        return pages.render(
            request,
            "scheduled.html",
            found=found,
            names=dict(chosen),
            assistant=assistant or "",
            assistants=(("", "any"), *chosen),
            pending=Standing.PENDING,
        )

    async def cancel(request: Request) -> Response:
        sent = form(request)
        await appointments.delete(ctx, visitor(request).org, sent.get("assistant", ""), request.path_params["id"])
        ctx.wake()
        return RedirectResponse("/ui/scheduled?said=deleted", 303)

    return [
        Route("/ui/schedules", show_all, methods=["GET"]),
        Route("/ui/schedules/new", draft, methods=["GET"]),
        Route("/ui/schedules/new", create, methods=["POST"]),
        Route("/ui/schedules/{id}", show, methods=["GET"]),
        Route("/ui/schedules/{id}/edit", edit, methods=["GET"]),
        Route("/ui/schedules/{id}/edit", save, methods=["POST"]),
        Route("/ui/schedules/{id}/fire", fire, methods=["POST"]),
        Route("/ui/schedules/{id}/delete", delete, methods=["POST"]),
        *(Route("/ui/schedules/{id}/" + act, pause, methods=["POST"]) for act in ("pause", "resume")),
        Route("/ui/scheduled", show_scheduled, methods=["GET"]),
        Route("/ui/scheduled/{id}/delete", cancel, methods=["POST"]),
    ]


def _typed(sent: Form) -> Typed:
    return Typed(*(sent.get(name, "").strip() for name in Typed.__slots__))


def _as_is(one: Schedule) -> Typed:
    return Typed(
        one.name,
        one.cron,
        one.timezone,
        one.suite or "",
        "\n".join(one.scenario_ids),
        one.version_id or "",
        one.missed.value,
        f"{one.grace_ms / 60_000:g}",
        one.overlap.value,
    )


def _wrong(typed: Typed) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not typed.name:
        errors["name"] = "A schedule needs a name."
    for name in ("name", "cron", "version"):
        if len(getattr(typed, name)) > _LONGEST:
            errors[name] = f"At most {_LONGEST} characters."
    if not typed.cron:
        errors["cron"] = "Say when: minute, hour, day, month, day of the week."
    if not typed.timezone:
        errors["timezone"] = "Name a time zone such as UTC or Europe/Dublin."
    if bool(typed.suite) == bool(_tests(typed)):
        errors["suite"] = "Choose a suite, or write the ids of tests, and not both."
    if typed.missed not in dict(MISSED):
        errors["missed"] = "Choose one of these."
    if typed.overlap not in dict(OVERLAP):
        errors["overlap"] = "Choose one of these."
    if _grace_ms(typed) is None:
        errors["grace"] = "A number of minutes from 0 to 1440."
    return errors


def _to_blame(failure: Rejected) -> Errors:
    """The field that a refusal is about."""
    names = {"suite": "suite", "test_ids": "tests", "cron": "cron", "timezone": "timezone"}
    return {names.get(failure.part or "", ""): str(failure)}


def _tests(typed: Typed) -> Sequence[str]:
    return tuple(dict.fromkeys(typed.tests.split()))


def _grace_ms(typed: Typed) -> int | None:
    try:
        minutes = float(typed.grace)
    except ValueError:
        return None
    return round(minutes * 60_000) if 0 <= minutes <= 1440 else None


def _laid(typed: Typed, one: Schedule) -> Schedule:
    return replace(
        one,
        name=typed.name,
        cron=typed.cron,
        timezone=typed.timezone,
        suite=typed.suite or None,
        scenario_ids=tuple(_tests(typed)),
        version_id=typed.version or None,
        missed=Missed(typed.missed),
        grace_ms=_grace_ms(typed) or 0,
        overlap=Overlap(typed.overlap),
        priority=one.priority if one.id else Priority.SCHEDULED,
    )
