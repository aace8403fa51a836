"""Assistants: created, changed (every change is a version), promoted, deleted."""

from collections.abc import Callable
from dataclasses import replace

from vivavoce.core.assistant import Assistant, Version
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants
from vivavoce.storage.database import Tx

MAX_VERSIONS = 10
"""Main included; the oldest others are removed for good (contract, section 6.1)."""


def create(ctx: Context, tx: Tx, org: str, draft: Version) -> Assistant:
    """Keep an assistant whose first version, and main, is the draft (its ids are set here)."""
    now = ctx.clock.now()
    id_ = f"assistant-{ctx.new_id()}"
    main = replace(draft, id=ctx.new_id(), assistant_id=id_, created_at=now)
    assistant = Assistant(id_, main, now)
    assistants.add(tx, org, assistant)
    return assistant


async def retrieve(ctx: Context, org: str, assistant_id: str) -> Assistant:
    """The assistant with its main version. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _get(tx, org, assistant_id))


async def get_all(ctx: Context, org: str) -> tuple[Assistant, ...]:
    """Every assistant, newest first."""
    return await ctx.database.read(lambda tx: assistants.get_all(tx, org))


async def update(
    ctx: Context, org: str, assistant_id: str, change: Callable[[Version], Version], *, promote: bool
) -> Assistant:
    """Write a new version, main with the change applied; it becomes main where ``promote`` says so.

    Returns the assistant with the version that was written, whether it is main or not. Raises ``NotFound``, and what
    ``change`` raises.
    """

    def work(tx: Tx) -> Assistant:
        assistant = _get(tx, org, assistant_id, lock=True)
        version = replace(
            change(assistant.main), id=ctx.new_id(), assistant_id=assistant_id, created_at=ctx.clock.now()
        )
        assistants.add_version(tx, version)
        main_id = version.id if promote else assistant.main.id
        if promote:
            assistants.set_main(tx, assistant_id, version.id)
        _keep_few(tx, assistant_id, {main_id, version.id})
        return replace(assistant, main=version)

    return await ctx.database.write(work)


def _keep_few(tx: Tx, assistant_id: str, kept: set[str]) -> None:
    """Runs froze what they work on, so removing a version takes nothing from them."""
    everything = assistants.get_versions(tx, assistant_id)
    removable = [version for version in reversed(everything) if version.id not in kept]
    for version in removable[: max(0, len(everything) - MAX_VERSIONS)]:
        assistants.drop_version(tx, assistant_id, version.id)


async def delete(ctx: Context, org: str, assistant_id: str, *, hard: bool) -> None:
    """Delete softly, or for good with every version. Raises ``NotFound``."""

    def work(tx: Tx) -> None:
        if not hard:
            _get(tx, org, assistant_id, lock=True)
            assistants.set_deleted(tx, assistant_id, ctx.clock.now())
        elif not assistants.erase(tx, org, assistant_id):
            raise NotFound("assistant", assistant_id)

    await ctx.database.write(work)


async def get_versions(ctx: Context, org: str, assistant_id: str) -> tuple[Assistant, tuple[Version, ...]]:
    """The assistant, and all its versions, newest first. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: (_get(tx, org, assistant_id), assistants.get_versions(tx, assistant_id)))


async def get_version(ctx: Context, org: str, assistant_id: str, version_id: str) -> tuple[Assistant, Version]:
    """The assistant, and one of its versions. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: (_get(tx, org, assistant_id), _version(tx, assistant_id, version_id)))


async def promote(ctx: Context, org: str, assistant_id: str, version_id: str) -> Assistant:
    """Make a version main. Raises ``NotFound``."""

    def work(tx: Tx) -> Assistant:
        assistant = _get(tx, org, assistant_id, lock=True)
        version = _version(tx, assistant_id, version_id)
        assistants.set_main(tx, assistant_id, version_id)
        return replace(assistant, main=version)

    return await ctx.database.write(work)


def choose(tx: Tx, org: str, assistant_id: str, version_id: str | None) -> Version | None:
    """The version an examination works on: the one that is named, or main; None when there is no such assistant.

    Raises ``Rejected`` when the assistant exists and the named version does not (contract, section 6.5).
    """
    assistant = assistants.get(tx, org, assistant_id)
    if assistant is None:
        return None
    if version_id is None:
        return assistant.main
    version = assistants.get_version(tx, assistant_id, version_id)
    if version is None:
        raise Rejected(f"Assistant {assistant_id!r} has no version {version_id!r}.", "version_id")
    return version


def _get(tx: Tx, org: str, assistant_id: str, *, lock: bool = False) -> Assistant:
    assistant = assistants.get(tx, org, assistant_id, lock=lock)
    if assistant is None:
        raise NotFound("assistant", assistant_id)
    return assistant


def _version(tx: Tx, assistant_id: str, version_id: str) -> Version:
    version = assistants.get_version(tx, assistant_id, version_id)
    if version is None:
        raise NotFound("version", version_id)
    return version
