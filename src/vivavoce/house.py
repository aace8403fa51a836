"""What servers and workers are made of: opened together, and closed in the other order."""

import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from vivavoce import __version__
from vivavoce.api.metrics import route as metrics_route
from vivavoce.channels.messenger import Loopback, Messenger
from vivavoce.clock import SystemClock
from vivavoce.core.assistant import Version
from vivavoce.core.budget import MICROS, Budget
from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId, uuid7
from vivavoce.directory import held
from vivavoce.engine.duties import Duties
from vivavoce.engine.leases import Ceilings
from vivavoce.engine.worker import Places, Worker
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import Session, open_session
from vivavoce.outbound.guard import Guard, networks
from vivavoce.outbound.signing import Signer
from vivavoce.services import keys
from vivavoce.services.context import Context, Limits
from vivavoce.services.duties import KINDS, begin, perform
from vivavoce.services.errors import Rejected
from vivavoce.services.examinations import conduct
from vivavoce.services.figures import Standing
from vivavoce.services.prices import Price
from vivavoce.services.shares import shared
from vivavoce.services.turns import Shared, Turns
from vivavoce.services.watching import Watcher
from vivavoce.settings import Settings
from vivavoce.storage.database import Database, connect
from vivavoce.storage.journal import Journal
from vivavoce.storage.migrate import migrate, revisions
from vivavoce.storage.seal import Seal, derived
from vivavoce.storage.workers import Presence
from vivavoce.telemetry.watching import Watching, watching
from vivavoce.tools.code import open_sandbox

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class House:
    """A server that is open for business. ``first_key`` is the secret of the key that was just made, if one was;
    ``worker_id`` is who drives runs here. ``rest`` takes no more work and hands over what is under way.
    ``metrics`` is where Prometheus reads, if it can."""

    context: Context
    first_key: str | None
    worker_id: str
    rest: Callable[[], Awaitable[None]]
    metrics: Route | None


def sources() -> tuple[Clock, NewId]:
    """The clock, and ids made from it and from the operating system's randomness."""
    clock = SystemClock()
    return clock, uuid7(clock, os.urandom)


@asynccontextmanager
async def database(settings: Settings) -> AsyncGenerator[Database]:
    """The database with its schema up to date."""
    if settings.file is not None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    opened = connect(settings.url, settings.database_connections)
    try:
        await migrate(opened, _renewed)
        yield opened
    finally:
        opened.close()


def _renewed(version: Version) -> tuple[Version, tuple[str, ...]]:
    # The API that wrote the versions of the first schema. Imported by the few starts that find one: whoever is no
    # server, a worker or a command, needs none of the APIs.
    from vivavoce.api.telnyx.wire.assistant import renewed

    return renewed(version)


@asynccontextmanager
async def house(
    settings: Settings, *, works: bool = True, serves: bool = True, metrics: bool = True
) -> AsyncGenerator[House]:
    """Open everything, drive runs and do duties if it ``works``, and close it in the other order.

    Keys are made and adopted only by one that ``serves``. Without ``metrics`` Prometheus finds none.
    """
    clock, new_id = sources()
    presence = Presence(
        new_id(), socket.gethostname(), os.getpid(), __version__, settings.worker_concurrency, clock.now()
    )
    async with AsyncExitStack() as stack:
        detailed = settings.log_level == "debug"
        observed = watching(
            __version__, presence.id, metrics=metrics, detailed=detailed, endpoint=settings.otlp_endpoint
        )
        watched = stack.enter_context(observed)
        if settings.file is not None:
            # The key's file is in the one, the runs are in the other.
            for directory in {settings.data_dir.resolve(), settings.file.resolve().parent}:
                stack.enter_context(held(directory))
        # Behind the lock: of two that start in one empty directory, one would seal with a key that the other replaces.
        key = _secret_key(settings)
        opened = await stack.enter_async_context(database(settings))
        if (found := await revisions(opened)).newer:
            log.warning("the database is of a newer release, and is left as it is", revision=found.database)
        first_key = await _first_key(settings, opened, clock, new_id) if serves else None
        models = Models(settings.for_models(), telemetry=watched.telemetry)
        stack.push_async_callback(models.close)
        outbound = await stack.enter_async_context(open_session(Guard(networks(settings.allow_networks))))
        sandbox = await stack.enter_async_context(open_sandbox(settings.sandbox_url))
        duties = Duties(opened, clock, new_id, lambda duty: perform(context, duty), watched.telemetry, KINDS)
        worker = Worker(
            opened,
            lambda lease, halting: conduct(context, lease, halting),
            new_id,
            presence,
            Places(settings.worker_concurrency, settings.grace_seconds, ceilings(settings)),
            alone=settings.file is not None,
        )

        watcher = Watcher()

        def wake() -> None:
            watcher.wake()
            if works:
                worker.wake()
                duties.wake()

        context = Context(
            opened,
            Journal(opened, told=watcher.wake, telemetry=watched.telemetry),
            clock,
            new_id,
            models,
            outbound,
            Limits(
                settings.turn_limit,
                settings.max_duration_seconds,
                settings.idle_minutes,
                settings.worker_concurrency,
                settings.utterance_limit,
                settings.repeat_limit,
                settings.run_timeout_seconds,
                settings.run_retries,
                settings.keep_runs_days,
                settings.keep_conversations_days,
            ),
            settings.numbers,
            # The servers of one PostgreSQL share its conversations.
            Turns(Shared(opened, new_id) if settings.file is None else None),
            Seal(key),
            signer(settings),
            _messenger(settings, outbound, new_id),
            wake,
            secrets.SystemRandom().random,
            settings.import_urls,
            settings.embedding_model,
            sandbox=sandbox,
            prices=prices(settings),
            budget=budget(settings),
            ceilings=ceilings(settings),
            watcher=watcher,
            telemetry=watched.telemetry,
        )
        stack.push_async_callback(context.background.close)
        to_stop: list[Callable[[], Awaitable[None]]] = []

        async def rest() -> None:
            while to_stop:
                await to_stop.pop()()

        stack.push_async_callback(rest)
        if settings.file is None and (models.limited or not works):
            # Before it works: it must not begin with all that the providers allow. A server that does not work is seen
            # by this alone.
            await stack.enter_async_context(shared(opened, presence, models.share, works=works))
        if works:
            to_stop.append(duties.stop)
            await begin(context)
            duties.start()
            to_stop.append(worker.stop)
            await worker.start()
        # Before all others: clients that watch would keep the server from closing their connections.
        to_stop.append(watcher.stop)
        yield House(context, first_key, presence.id, rest, _metrics(settings, context, watched))


def _metrics(settings: Settings, context: Context, watched: Watching) -> Route | None:
    """Where Prometheus reads."""
    metrics = watched.metrics
    if metrics is None:
        return None
    standing = Standing(context.database, context.clock.ticks)

    async def exposed() -> bytes:
        figures = await standing.now()
        return metrics.exposition(figures, context.models.standing())

    check = keys.Checker(context.database, context.clock)
    return metrics_route(check, exposed, metrics.media_type, is_open=settings.metrics_open)


def prices(settings: Settings) -> dict[str, Price]:
    """What models cost."""
    return {name: Price(one.input, one.output) for name, one in settings.prices.items()}


def budget(settings: Settings) -> Budget:
    """What every batch may spend that is given no budget of its own. Raises ``Rejected`` for money without prices."""
    money = settings.batch_money_limit
    if money is not None and not settings.prices:
        raise Rejected("VIVA_BATCH_MONEY_LIMIT needs prices: set VIVA_PRICES.")
    return Budget(settings.batch_token_limit, None if money is None else max(1, round(money * MICROS)))


def ceilings(settings: Settings) -> Ceilings:
    """How many runs may be driven at the same time by all workers together."""
    return Ceilings(settings.total_concurrency, settings.destination_concurrency, settings.destination_limits)


def _secret_key(settings: Settings) -> str:
    """The server's key: the one that was given, or on SQLite one that is made and kept beside the data.

    Raises ``Rejected`` with PostgreSQL, where it must be given: all servers of a database share it.
    """
    given = settings.secret_key.get_secret_value().strip() if settings.secret_key else ""
    if given:
        return given
    if settings.file is None:
        raise Rejected("VIVA_SECRET_KEY must be set with PostgreSQL: all servers of a database share it.")
    path = settings.data_dir / "secret.key"
    if not path.exists():
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: a key that a crash left empty would seal everything with nothing.
        fresh = path.with_name(f"secret.key.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(32), encoding="ascii")
        fresh.rename(path)
    key = path.read_text(encoding="ascii").strip()
    if not key:
        raise Rejected(f"{path} is empty. Set VIVA_SECRET_KEY, or restore the file.")
    return key


def signer(settings: Settings) -> Signer:
    """Signs what the server sends. Raises ``Rejected`` where there is no key to make it from."""
    key = _secret_key(settings)
    return Signer(lambda: derived(key, "webhooks"))


def _messenger(settings: Settings, outbound: Session, new_id: NewId) -> Messenger:
    """Who carries text messages. Raises ``Rejected`` for one that is not known, or that has no key."""
    match settings.messenger:
        case "loopback":
            return Loopback(new_id)
        case "telnyx":
            key = settings.messenger_key.get_secret_value() if settings.messenger_key else ""
            if not key:
                raise Rejected("VIVA_MESSENGER_KEY must be set for the messenger telnyx.")
            from vivavoce.api.telnyx.messenger import ApiMessenger

            return ApiMessenger(outbound, settings.messenger_url, key)
        case other:
            raise Rejected(f"VIVA_MESSENGER is {other!r}, and should be loopback or telnyx.")


async def _first_key(settings: Settings, opened: Database, clock: Clock, new_id: NewId) -> str | None:
    """An empty database gets an admin key, shown once; a key from the settings is taken instead."""
    # Empty means unset, as in a file of settings; and white space around a key would never come back in a header.
    given = settings.api_key.get_secret_value().strip() if settings.api_key else ""
    if given:
        await keys.adopt_only(opened, clock, new_id, "VIVA_API_KEY", given)
        return None
    if await keys.any_active(opened):
        return None
    _, secret = await keys.create(opened, clock, new_id, secrets.token_urlsafe, "admin")
    return secret


def health(opened: House) -> Starlette:
    """The health checks and what Prometheus reads, for a process that serves no API."""
    return Starlette(routes=health_routes(opened))


def health_routes(opened: House) -> list[Route]:
    """The health checks, and where Prometheus reads."""

    async def healthz(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "version": __version__})

    async def readyz(_request: Request) -> JSONResponse:
        try:
            await opened.context.database.ping()
        except Exception as failure:  # noqa: BLE001  # whatever the driver raises, the answer is: not ready
            return JSONResponse({"status": "unavailable", "reason": type(failure).__name__}, 503)
        return JSONResponse({"status": "ready", "version": __version__})

    routes = [Route("/healthz", healthz), Route("/readyz", readyz)]
    return routes if opened.metrics is None else [*routes, opened.metrics]
