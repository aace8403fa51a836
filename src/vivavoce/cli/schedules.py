"""``viva schedules``: tests that are run by the calendar."""

import asyncio
import json
from typing import Annotated, Any

import typer

from vivavoce.cli import options
from vivavoce.cli.keys import with_organisation
from vivavoce.core.schedule import GRACE_MS, Missed, Overlap

app = typer.Typer(
    help="Tests that are run by the calendar: list, create, delete, pause, resume, fire.", no_args_is_help=True
)
ScheduleId = Annotated[str, typer.Argument(help="The id that `viva schedules list` shows.")]
_LOOK_S = 0.1
_PAGE = 100


@app.command("list")
def get_all(
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """List schedules: when each fires next, and what its last firing came to.

    Example: viva schedules list
    """
    from vivavoce.api.viva.schedules import dump
    from vivavoce.services import schedules
    from vivavoce.storage.page import Window

    async def work(opened: Any, org_id: str) -> None:
        number = 1
        while True:
            page = await schedules.get_page(opened, org_id, Window(number, _PAGE))
            for one in page.items:
                typer.echo(json.dumps(dump(one)) if as_json else _line(one))
            if number * _PAGE >= page.total:
                return
            number += 1

    with_organisation(work, org, data_dir, database_url)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    cron: Annotated[str, typer.Option(help="Minute, hour, day, month, day of the week: '30 2 * * MON-FRI'.")],
    suite: Annotated[str | None, typer.Option(help="The suite that it runs.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="A test that it runs, by its id; may be repeated.")] = None,
    timezone: Annotated[str, typer.Option(help="An IANA time zone.")] = "UTC",
    version_id: Annotated[str | None, typer.Option(help="The version that is examined, instead of main.")] = None,
    missed: Annotated[Missed, typer.Option(help="What becomes of times at which no worker ran.")] = Missed.SKIP,
    grace: Annotated[int, typer.Option(min=0, max=86_400, help="How late, in seconds, is not missed.")] = GRACE_MS
    // 1000,
    overlap: Annotated[
        Overlap, typer.Option(help="Whether it fires while runs of the last firing go on.")
    ] = Overlap.ALLOW,
    paused: Annotated[bool, typer.Option("--paused", help="It rests until it is resumed.")] = False,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Make a schedule and print its id.

    Example: viva schedules create nightly --cron "30 2 * * *" --timezone Europe/Dublin --suite smoke
    """
    from vivavoce.api.viva.schedules import dump_outlook
    from vivavoce.core.schedule import Schedule
    from vivavoce.house import sources
    from vivavoce.services import schedules

    draft = Schedule(
        "",
        name,
        cron,
        0,
        0,
        timezone=timezone,
        suite=suite,
        scenario_ids=tuple(test or ()),
        version_id=version_id,
        missed=missed,
        grace_ms=grace * 1000,
        overlap=overlap,
        paused=paused,
    )

    async def work(opened: Any, org_id: str) -> None:
        made = await schedules.create(opened, *sources(), org_id, draft)
        typer.echo(json.dumps(dump_outlook(made)) if as_json else made.id)

    with_organisation(work, org, data_dir, database_url)


@app.command("delete")
def delete(
    schedule_id: ScheduleId,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Remove a schedule; the runs that it started stay.

    Example: viva schedules delete 0199c0de-…
    """
    from vivavoce.services import schedules

    async def work(opened: Any, org_id: str) -> None:
        await schedules.delete(opened, org_id, schedule_id)
        typer.echo(f"Deleted {schedule_id}.")

    with_organisation(work, org, data_dir, database_url)


@app.command("pause")
def pause(
    schedule_id: ScheduleId,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Have a schedule rest until it is resumed.

    Example: viva schedules pause 0199c0de-…
    """
    _pause(schedule_id, org, data_dir, database_url, as_json, paused=True)


@app.command("resume")
def resume(
    schedule_id: ScheduleId,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Have a schedule go on; what was due while it rested is not made up for.

    Example: viva schedules resume 0199c0de-…
    """
    _pause(schedule_id, org, data_dir, database_url, as_json, paused=False)


@app.command("fire")
def fire(
    schedule_id: ScheduleId,
    wait: Annotated[float, typer.Option(min=0, help="How long to wait, in seconds, until a worker has done it.")] = 10,
    org: options.Org = options.DEFAULT_ORG,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.Json = False,
) -> None:
    """Have the server or a worker of this database run a schedule's tests now, paused or not; print the batch.

    Ends with 1 where nothing could be run, and with 3 where nobody has done it yet; it is done as soon as somebody can.

    Example: viva schedules fire 0199c0de-…
    """
    from vivavoce.api.viva.schedules import dump_firing
    from vivavoce.core.schedule import Outcome
    from vivavoce.house import sources
    from vivavoce.services import schedules

    async def work(opened: Any, org_id: str) -> None:
        clock, new_id = sources()
        before = await schedules.retrieve(opened, org_id, schedule_id)
        await schedules.ask(opened, clock, new_id, org_id, schedule_id)
        until = clock.ticks() + wait
        firing = before.last
        while firing == before.last:
            if clock.ticks() >= until:
                typer.echo("No server or worker has done it yet. It is done as soon as one runs.", err=True)
                raise typer.Exit(3)
            await asyncio.sleep(_LOOK_S)
            firing = (await schedules.retrieve(opened, org_id, schedule_id)).last
        assert firing is not None
        if as_json:
            typer.echo(json.dumps(dump_firing(firing)))
        elif firing.outcome is Outcome.STARTED:
            typer.echo(f"Batch {firing.batch_id}: {firing.runs} runs. {firing.reason}".rstrip())
        else:
            typer.echo(firing.reason, err=True)
        if firing.outcome is not Outcome.STARTED:
            raise typer.Exit(1)

    with_organisation(work, org, data_dir, database_url)


def _pause(schedule_id: str, org: str, data_dir: Any, database_url: str | None, as_json: bool, *, paused: bool) -> None:
    from vivavoce.api.viva.schedules import dump_outlook
    from vivavoce.house import sources
    from vivavoce.services import schedules

    async def work(opened: Any, org_id: str) -> None:
        changed = await schedules.pause(opened, *sources(), org_id, schedule_id, paused=paused)
        typer.echo(json.dumps(dump_outlook(changed)) if as_json else _line(changed))

    with_organisation(work, org, data_dir, database_url)


def _line(schedule: Any) -> str:
    from vivavoce.services import schedules

    times = schedules.outlook(schedule)
    state = "paused" if schedule.paused else times[0] if times else "never"
    last = schedule.last
    came_to = f"{last.outcome}{': ' + last.reason if last.reason else ''}" if last else "not fired yet"
    what = f"suite {schedule.suite}" if schedule.suite else f"{len(schedule.scenario_ids)} tests"
    return f"{schedule.id}  {state}  {schedule.cron}  {schedule.timezone}  {what}  {schedule.name}  ({came_to})"
