"""The wiring: the only module that knows every room."""

import os
import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from vivavoce import __version__
from vivavoce.api.gate import Gate, Render
from vivavoce.api.rates import Rates
from vivavoce.api.retell import application as retell
from vivavoce.api.telnyx import application as telnyx
from vivavoce.api.telnyx import inbound, sample
from vivavoce.api.telnyx.messenger import ApiMessenger
from vivavoce.api.telnyx.wire.assistant import renewed
from vivavoce.api.viva import application as viva
from vivavoce.channels.messenger import Loopback, Messenger
from vivavoce.clock import SystemClock
from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId, uuid7
from vivavoce.directory import held
from vivavoce.engine.duties import Duties
from vivavoce.engine.queue import Queue
from vivavoce.engine.worker import Worker
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import Session, open_session
from vivavoce.outbound.guard import Guard, networks
from vivavoce.outbound.signing import Signer
from vivavoce.services import keys
from vivavoce.services.context import Context, Limits
from vivavoce.services.duties import perform
from vivavoce.services.errors import Rejected
from vivavoce.services.examinations import conduct
from vivavoce.services.turns import Turns
from vivavoce.settings import Settings
from vivavoce.storage.database import Database, connect
from vivavoce.storage.journal import Journal
from vivavoce.storage.migrate import migrate
from vivavoce.storage.seal import Seal, derived
from vivavoce.tools.code import open_sandbox

# The demo's sample is handed on from here, because only this module may name a vendor's room.
__all__ = ["House", "application", "database", "house", "sample", "sources"]


@dataclass(frozen=True, slots=True)
class House:
    """A server that is open for business. ``first_key`` is the secret of the key that was just made, if one was."""

    context: Context
    worker: Worker
    first_key: str | None


def sources() -> tuple[Clock, NewId]:
    """The clock, and ids made from it and from the operating system's randomness."""
    clock = SystemClock()
    return clock, uuid7(clock, os.urandom)


@asynccontextmanager
async def database(settings: Settings) -> AsyncGenerator[Database]:
    """The database with its schema up to date."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    opened = connect(settings.url)
    try:
        await migrate(opened, renewed)
        yield opened
    finally:
        opened.close()


@asynccontextmanager
async def house(settings: Settings) -> AsyncGenerator[House]:
    """Open everything, drive runs, and close it in the other order."""
    clock, new_id = sources()
    async with AsyncExitStack() as stack:
        key = _secret_key(settings)
        alone = settings.file is not None
        if settings.file is not None:
            # The queue's file is in the one, the runs are in the other.
            for directory in {settings.data_dir.resolve(), settings.file.resolve().parent}:
                stack.enter_context(held(directory))
        opened = await stack.enter_async_context(database(settings))
        first_key = await _first_key(settings, opened, clock, new_id)
        models = Models(settings.for_models())
        stack.push_async_callback(models.close)
        outbound = await stack.enter_async_context(open_session(Guard(networks(settings.allow_networks))))
        sandbox = await stack.enter_async_context(open_sandbox(settings.sandbox_url))
        duties = Duties(opened, clock, new_id, lambda duty: perform(context, duty))
        context = Context(
            opened,
            Journal(opened),
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
            ),
            settings.numbers,
            Turns(),
            Seal(key),
            signer(settings),
            _messenger(settings, outbound, new_id),
            duties.wake,
            secrets.SystemRandom().random,
            settings.import_urls,
            settings.embedding_model,
            sandbox=sandbox,
        )
        stack.push_async_callback(context.background.close)
        stack.push_async_callback(duties.stop)
        duties.start()
        queue = Queue(settings.url, settings.data_dir, settings.worker_concurrency, new_id())
        worker = Worker(opened, queue, lambda lease: conduct(context, lease), new_id, alone=alone)
        stack.push_async_callback(worker.stop)
        await worker.start()
        yield House(context, worker, first_key)


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


def application(settings: Settings, opened: House) -> Starlette:
    """Every API and the health checks, on one ASGI application."""
    context = opened.context

    async def healthz(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "version": __version__})

    async def readyz(_request: Request) -> JSONResponse:
        try:
            await context.database.ping()
        except Exception as failure:  # noqa: BLE001  # whatever the driver raises, the answer is: not ready
            return JSONResponse({"status": "unavailable", "reason": type(failure).__name__}, 503)
        return JSONResponse({"status": "ready", "version": __version__})

    def gated(api: FastAPI, render: Render) -> Gate:
        return Gate(
            api,
            check=lambda secret: keys.check(context.database, secret),
            rates=Rates(settings.rate_limit, context.clock),
            render=render,
            new_id=context.new_id,
            max_body=settings.max_body_bytes,
        )

    v2 = Mount("/v2", app=gated(telnyx.application(context, opened.worker.submit), telnyx.render))
    # An id may hold an encoded line break, which "." does not match; and lists under /v2 are the other API's, whose
    # paths begin at the root.
    v2.path_regex = re.compile(v2.path_regex.pattern.replace("^/v2", "^/v2(?!/list-)"), re.DOTALL)
    testing = Mount("", app=gated(retell.application(context, opened.worker.submit), retell.render))
    testing.path_regex = re.compile(testing.path_regex.pattern, re.DOTALL)
    own = Mount("/viva/v1", app=gated(viva.application(context), viva.render))
    # Signed by the carrier, who has no key; a route, because a mount would only take it with a slash at its end.
    texts = Route("/webhooks/messages", inbound.application(context, settings.messenger_public_key))
    served = Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), own, texts, v2, testing])
    served.router.redirect_slashes = False
    return served
