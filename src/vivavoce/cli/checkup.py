"""What ``viva doctor`` looks at. Nothing is changed: what a server would make is not there afterwards either."""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_settings import SettingsError

from vivavoce import house
from vivavoce.clock import SystemClock
from vivavoce.models.config import OTHER_VENDORS
from vivavoce.models.resolve import SCRIPTED, Models
from vivavoce.services import roles
from vivavoce.services.errors import Rejected
from vivavoce.settings import Settings
from vivavoce.storage.database import DatabaseFailure, DatabaseUnreachable, connect, without_password
from vivavoce.storage.migrate import Revisions, revisions
from vivavoce.storage.times import read_clock

LITTLE_BYTES = 100 * 1024**2
FEW_BYTES = 1024**3
"""With less room than the first a server will soon stop writing; with less than the second somebody should know."""
APART_MS = 5_000
"""Clocks of hosts that share a database may be so far apart (docs/guide/scaling.md)."""
SHORT_KEY = 16
ANCIENT_MS = 1_700_000_000_000
_OF_OTHERS = frozenset({"VIVA_SERVER"})
"""Variables of the commands that are no settings of a server."""

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``advice`` is what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


async def look(given: Mapping[str, Any], *, probe: bool) -> tuple[Check, ...]:
    """Everything, with these settings over those of the environment. Without usable settings nothing else can be looked
    at."""
    found = [*_unknown(os.environ)]
    try:
        settings = Settings(**given)
    except (ValidationError, SettingsError) as failure:
        return (*found, *_mistakes(failure))
    found += _settings(settings)
    found += _room(settings)
    found += _secret_key(settings)
    found += await _database(settings)
    found += await _models(settings, probe=probe)
    found += _extras(settings)
    found.append(_port(settings))
    return tuple(found)


def _unknown(environment: Mapping[str, str]) -> Iterator[Check]:
    known = {f"VIVA_{name}".upper() for name in Settings.model_fields} | _OF_OTHERS
    for name in sorted(environment):
        if name.startswith("VIVA_") and name.upper() not in known:
            yield Check("settings", "warn", f"{name} is no setting", "docs/reference/settings.md has all of them.")


def _mistakes(failure: ValidationError | SettingsError) -> Iterator[Check]:
    advice = "docs/reference/settings.md tells what it should be."
    if isinstance(failure, SettingsError):
        yield Check("settings", "fail", str(failure), advice)
        return
    for error in failure.errors(include_url=False, include_input=False):
        name, *inner = map(str, error["loc"])
        place = f" ({'.'.join(inner)})" if inner else ""
        yield Check("settings", "fail", f"VIVA_{name.upper()}{place}: {error['msg']}", advice)


def _settings(settings: Settings) -> Iterator[Check]:
    try:
        house.budget(settings)
    except Rejected as failure:
        yield Check("settings", "fail", str(failure), "Set VIVA_PRICES, or unset VIVA_BATCH_MONEY_LIMIT.")
    else:
        yield Check("settings", "ok", "every setting can be used")
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if key and len(key) < SHORT_KEY:
        yield Check("API key", "warn", "VIVA_API_KEY is short", "Take a long random one: it opens everything.")


def _room(settings: Settings) -> Iterator[Check]:
    directory = settings.file.parent if settings.file is not None else settings.data_dir
    whole = directory.absolute()
    advice = "Give VIVA_DATA_DIR a directory that this user may write to."
    try:
        # A link that leads nowhere is in the way of a directory as well.
        there = next(one for one in (whole, *whole.parents) if one.exists() or one.is_symlink())
        is_one, usable = there.is_dir(), os.access(there, os.W_OK | os.X_OK)
        free = shutil.disk_usage(there).free
    except OSError as failure:
        yield Check("data directory", "fail", f"{directory}: {failure.strerror or failure}", advice)
        return
    if not is_one:
        yield Check("data directory", "fail", f"{there} is no directory", advice)
        return
    if not usable:
        yield Check("data directory", "fail", f"{there} cannot be written to", advice)
    else:
        missing = "" if there == whole else ", which is made at the first start"
        yield Check("data directory", "ok", f"{directory}{missing}")
    state: State = "fail" if free < LITTLE_BYTES else "warn" if free < FEW_BYTES else "ok"
    advice = "" if state == "ok" else "Make room, or keep less: VIVA_KEEP_RUNS_DAYS, VIVA_KEEP_CONVERSATIONS_DAYS."
    yield Check("disk", state, f"{free / 1024**3:.1f} GiB free", advice)


def _secret_key(settings: Settings) -> Iterator[Check]:
    name = "secret key"
    if settings.secret_key is not None and settings.secret_key.get_secret_value().strip():
        yield Check(name, "ok", "VIVA_SECRET_KEY is set")
        return
    if settings.file is None:
        yield Check(name, "fail", "there is none", "Set VIVA_SECRET_KEY: all servers of a database share it.")
        return
    path = settings.data_dir / "secret.key"
    try:
        yield _kept(name, path)
    except OSError as failure:
        yield Check(name, "fail", f"{path}: {failure.strerror or failure}", "Let this user read it.")


def _kept(name: str, path: Path) -> Check:
    if not path.exists():
        return Check(name, "ok", f"{path} is made at the first start")
    if not os.access(path, os.R_OK):
        return Check(name, "fail", f"{path} cannot be read", "Let this user read it.")
    if not path.read_text(encoding="ascii", errors="replace").strip():
        return Check(name, "fail", f"{path} is empty", "Restore the file, or set VIVA_SECRET_KEY.")
    if os.name != "nt" and path.stat().st_mode & 0o077:
        return Check(name, "warn", f"others may read {path}", f"chmod 600 {path}")
    return Check(name, "ok", str(path))


async def _database(settings: Settings) -> tuple[Check, ...]:
    name, shown = "database", without_password(settings.url)
    if settings.file is not None:
        try:
            missing = not settings.file.exists()
        except OSError as failure:
            why = failure.strerror or str(failure)
            return (Check(name, "fail", f"{shown}: {why}", "Let this user read it."), _clock(None))
        if missing:
            return (Check(name, "ok", f"{settings.file} is made at the first start"), _clock(None))
    opened = connect(settings.url)
    try:
        found = await revisions(opened)
        now = await opened.read(read_clock)
    except (DatabaseUnreachable, OSError, DatabaseFailure) as failure:
        why = str(failure) if isinstance(failure, DatabaseUnreachable) else type(failure).__name__
        return (Check(name, "fail", f"{shown}: {why}", "Is the server up, and the address right?"), _clock(None))
    finally:
        opened.close()
    return (_schema(shown, found), _clock(now))


def _schema(shown: str, found: Revisions) -> Check:
    revision = f"{shown}: revision {found.database or 'none'}, this release has {found.release}"
    if found.unknown and not found.newer:
        return Check("database", "fail", revision, "This is a database of another program, or of a branch.")
    if found.newer:
        return Check("database", "warn", revision, "It was made by a newer release: update this one.")
    if found.database != found.release:
        return Check("database", "warn", revision, "`viva db upgrade` brings it up to date, as does starting a server.")
    return Check("database", "ok", revision)


def _clock(database_ms: int | None) -> Check:
    now = SystemClock().now()
    if now < ANCIENT_MS:
        return Check("clock", "fail", "this host's clock is years behind", "Set it, and have it kept: chrony, ntpd.")
    if database_ms is not None and abs(now - database_ms) > APART_MS:
        apart = abs(now - database_ms) / 1000
        found = f"{apart:.1f} s apart from the database's"
        return Check("clock", "warn", found, "Have the clocks of all hosts kept by one source.")
    return Check("clock", "ok", "it goes as the database's does" if database_ms is not None else "it can be right")


async def _models(settings: Settings, *, probe: bool) -> tuple[Check, ...]:
    models = Models(settings.for_models())
    try:
        found = await roles.look_at(models, settings.embedding_model, SystemClock().ticks, probe=probe)
    finally:
        await models.close()
    # Most have one for everything, and what is true of it is said once.
    together: dict[tuple[str | None, bool, str], list[roles.Served]] = {}
    for one in found:
        together.setdefault((one.model, one.ok, one.reason), []).append(one)
    return tuple(_model(", ".join(one.role for one in same), same[0]) for same in together.values())


def _model(of: str, one: roles.Served) -> Check:
    name = "embeddings" if of == "embeddings" else "models"
    told = "" if name == of else f"{of}: "
    if not one.ok:
        return Check(name, "fail", told + one.reason, "docs/reference/settings.md tells how models are chosen.")
    if one.model == SCRIPTED:
        advice = "Set OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint of your own."
        return Check(name, "warn", f"{told}scripted: {one.reason}", advice)
    took = f", answered in {one.took_ms / 1000:.1f} s" if one.took_ms is not None else ""
    return Check(name, "ok", told + ", ".join(filter(None, (one.model, one.reason))) + took)


def _extras(settings: Settings) -> Iterator[Check]:
    needed = sorted(
        {vendor for vendor in OTHER_VENDORS for model in _named(settings) if model.startswith(f"{vendor}/")}
    )
    if find_spec("pydantic_ai") is None and needed:
        advice = "pip install 'vivavoce[providers]'"
        yield Check("extra providers", "fail", f"it is not installed, and {', '.join(needed)} needs it", advice)
    if settings.otlp_endpoint and find_spec("opentelemetry.sdk") is None:
        advice = "pip install 'vivavoce[telemetry]', or unset VIVA_OTLP_ENDPOINT."
        yield Check("extra telemetry", "fail", "it is not installed, and VIVA_OTLP_ENDPOINT needs it", advice)


def _named(settings: Settings) -> list[str]:
    own = (settings.default_model, settings.tester_model, settings.judge_model)
    return [*filter(None, own), *settings.model_aliases.values()]


def _port(settings: Settings) -> Check:
    place = f"{settings.host}:{settings.port}"
    if settings.port == 0:
        return Check("port", "ok", "a free one is taken")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as failure:
        advice = "Stop what listens there, unless it is the server itself, or choose another: VIVA_PORT."
        return Check("port", "warn", f"{place}: {failure.strerror or failure}", advice)
    return Check("port", "ok", f"{place} is free")
