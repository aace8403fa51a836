"""Assistants: created, changed (every change is a version), promoted, copied, deleted and brought back."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from vivavoce.core.assistant import Assistant, Cast, Form, Origin, Version
from vivavoce.core.tool import HandoffTool
from vivavoce.services import engines
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.maker import Maker
from vivavoce.storage import assistants, duties, rollouts, tools
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.page import Page, Window

MAX_VERSIONS = 10
"""Main included; the oldest others are removed for good (contract, section 6.1)."""

MOST_CAST = 50
"""How many assistants a conversation can be handed to, one after another."""

RESTORABLE_MS = 30 * 24 * 3600 * 1000
"""How long a deleted assistant can be brought back (contract, section 5.1)."""

ERASE = "erase"
"""The kind of the duty that erases a deleted assistant when its time is over; the subject is its id."""

_MOST_NAMED = 5

Check = Callable[[Version], None]
"""Raises where a version, completed with its shared tools, cannot be kept."""

Change = Callable[[Version], Version]


def create(
    ctx: Maker,
    tx: Tx,
    org: str,
    draft: Version,
    check: Check,
    *,
    tags: Sequence[str] = (),
    origin: Origin | None = None,
) -> Assistant:
    """Keep an assistant whose first version, and main, is the draft (its ids are set here). Raises what ``check`` does,
    and ``Rejected`` where it names a shared tool or an assistant that does not exist."""
    return _create(ctx, tx, org, draft, check, tags, origin)


def _create(
    ctx: Maker,
    tx: Tx,
    org: str,
    draft: Version,
    check: Check,
    tags: Sequence[str],
    origin: Origin | None = None,
    before: Version | None = None,
) -> Assistant:
    now = ctx.clock.now()
    id_ = f"assistant-{ctx.new_id()}"
    main = replace(draft, id=ctx.new_id(), assistant_id=id_, created_at=now, number=0, library={})
    complete = checked(tx, org, main, check, before)
    assistant = Assistant(id_, main, now, tuple(dict.fromkeys(tags)), origin)
    assistants.add(tx, org, assistant)
    return replace(assistant, main=complete)


def checked(tx: Tx, org: str, version: Version, check: Check, before: Version | None = None) -> Version:
    """The version completed with its library, if it can be kept.

    Only what it names and ``before`` did not has to exist: somebody who changes the greeting is not to blame for a tool
    that was deleted meanwhile. Its tools stay as they are until the commit, or one could be changed in this moment into
    what the version cannot have.
    """
    tools.hold(tx, org, version.library_ids())
    complete = tools.completed(tx, org, replace(version, library={}))
    known = {*(before.library_ids() if before else ()), *complete.library}
    missing = [id_ for id_ in version.library_ids() if id_ not in known]
    if missing:
        part = "tool_ids" if missing[0] in version.shared else "flow"
        raise Rejected(f"There is no shared tool {missing[0]!r}.", part)
    check(complete)
    known = {version.assistant_id, *(tools.completed(tx, org, before).referred() if before else ())}
    for id_ in complete.referred():
        if id_ not in known and assistants.get(tx, org, id_) is None:
            raise Rejected(
                f"There is no assistant {id_!r} to hand over to.", "tools" if _hands_to(complete, id_) else "flow"
            )
    return complete


def _hands_to(version: Version, assistant_id: str) -> bool:
    """Whether one of its tools, rather than its flow, leads to the assistant."""
    found = (tool for tool in (*version.tools, *version.library.values()) if isinstance(tool, HandoffTool))
    return any(target.assistant_id == assistant_id for tool in found for target in tool.targets)


async def retrieve(ctx: Context, org: str, assistant_id: str) -> Assistant:
    """The assistant with its main version, completed with its shared tools. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _completed(tx, org, get(tx, org, assistant_id)))


def _completed(tx: Tx, org: str, assistant: Assistant) -> Assistant:
    return replace(assistant, main=tools.completed(tx, org, assistant.main))


async def get_all(ctx: Context, org: str) -> tuple[Assistant, ...]:
    """Every assistant, newest first."""
    return await ctx.database.read(lambda tx: tuple(_completed(tx, org, one) for one in assistants.get_all(tx, org)))


async def update(
    ctx: Context,
    org: str,
    assistant_id: str,
    change: Change,
    check: Check,
    *,
    promote: bool,
    tags: Sequence[str] | None = None,
) -> Assistant:
    """Write a new version, main with the change applied; it becomes main where ``promote`` says so.

    Returns the assistant with the version that was written, whether it is main or not. Raises ``NotFound``, and what
    ``change``, ``check`` and ``create`` raise. ``tags`` None leaves them.
    """
    return await ctx.database.write(
        lambda tx: write(ctx, tx, org, get(tx, org, assistant_id, lock=True), change, check, promote=promote, tags=tags)
    )


def write(
    ctx: Maker,
    tx: Tx,
    org: str,
    assistant: Assistant,
    change: Change,
    check: Check,
    *,
    promote: bool = True,
    tags: Sequence[str] | None = None,
) -> Assistant:
    """The same within a transaction, for an assistant that is held."""
    before = assistant.main
    version = replace(change(before), id=ctx.new_id(), assistant_id=assistant.id, created_at=ctx.clock.now())
    complete = checked(tx, org, version, check, before)
    complete = replace(complete, number=assistants.add_version(tx, version).number)
    if tags is not None:
        assistant = _tagged(tx, assistant, tags)
    main_id = version.id if promote else before.id
    if promote:
        assistants.set_main(tx, assistant.id, version.id)
    _keep_few(tx, assistant.id, {main_id, version.id, *rollouts.served(tx, assistant.id)})
    return replace(assistant, main=complete)


def _tagged(tx: Tx, assistant: Assistant, tags: Sequence[str]) -> Assistant:
    tagged = replace(assistant, tags=tuple(dict.fromkeys(tags)))
    assistants.set_tags(tx, assistant.id, tagged.tags)
    return tagged


def _keep_few(tx: Tx, assistant_id: str, kept: set[str]) -> None:
    """Runs froze what they work on, so removing a version takes nothing from them."""
    everything = assistants.get_versions(tx, assistant_id)
    removable = [version for version in reversed(everything) if version.id not in kept]
    for version in removable[: max(0, len(everything) - MAX_VERSIONS)]:
        assistants.drop_version(tx, assistant_id, version.id)


def clone(ctx: Context, tx: Tx, org: str, assistant_id: str, change: Change, check: Check) -> Assistant:
    """A new assistant whose only version is main of another one with the change applied, and which has its tags.

    Where it was imported from is not copied: the next import overwrites the original only. Raises ``NotFound``, and
    what ``create`` raises.
    """
    original = _completed(tx, org, get(tx, org, assistant_id))
    return _create(ctx, tx, org, change(original.main), check, original.tags, before=original.main)


async def delete(ctx: Context, org: str, assistant_id: str, *, hard: bool) -> None:
    """Delete softly, or for good with every version; for good also what was deleted softly.

    Raises ``NotFound``, and ``Rejected`` where others hand conversations over to it, naming them.
    """

    def work(tx: Tx) -> None:
        found = assistants.get(tx, org, assistant_id, lock=True)
        if found is not None:
            _refuse_while_needed(tx, org, assistant_id)
        elif not hard or not _restorable(ctx, tx, org, assistant_id):
            raise NotFound("assistant", assistant_id)
        if hard:
            assistants.erase(tx, org, assistant_id)
            duties.forget(tx, ERASE, assistant_id)
        else:
            now = ctx.clock.now()
            assistants.set_deleted(tx, assistant_id, now)
            duties.want(tx, Wanted(ctx.new_id(), org, ERASE, assistant_id, now + RESTORABLE_MS))

    await ctx.database.write(work)


def _refuse_while_needed(tx: Tx, org: str, assistant_id: str) -> None:
    """Only versions that conversations can get count: main, and those that a rollout serves."""
    referrers = [
        one
        for one in assistants.get_all(tx, org)
        if one.id != assistant_id
        and any(assistant_id in tools.completed(tx, org, version).referred() for version in _in_use(tx, one))
    ]
    if referrers:
        named = ", ".join(f"{one.main.name!r} ({one.id})" for one in referrers[:_MOST_NAMED])
        more = f" and {len(referrers) - _MOST_NAMED} more" if len(referrers) > _MOST_NAMED else ""
        raise Rejected(f"Assistants hand conversations over to this one: {named}{more}.")


def _in_use(tx: Tx, assistant: Assistant) -> list[Version]:
    served = [assistants.get_version(tx, assistant.id, id_) for id_ in rollouts.served(tx, assistant.id)]
    return [assistant.main, *(version for version in served if version is not None)]


async def erase(ctx: Context, duty: Duty) -> None:
    """Erase a deleted assistant whose time is over; ``duty.subject`` is its id."""

    def work(tx: Tx) -> None:
        found = assistants.get(tx, duty.org, duty.subject, lock=True, deleted=True)
        if found is not None and not _in_time(ctx, found):
            assistants.erase(tx, duty.org, duty.subject)

    await ctx.database.write(work)


def _in_time(ctx: Context, deleted: Assistant) -> bool:
    return (deleted.deleted_at or 0) > ctx.clock.now() - RESTORABLE_MS


def _restorable(ctx: Context, tx: Tx, org: str, assistant_id: str, *, lock: bool = False) -> Assistant | None:
    """A deleted assistant whose time is not over, also when nobody came to erase it yet."""
    found = assistants.get(tx, org, assistant_id, lock=lock, deleted=True)
    return found if found is not None and _in_time(ctx, found) else None


async def get_deleted_page(ctx: Context, org: str, window: Window) -> Page[Assistant]:
    """A page of the deleted assistants that can be brought back, the last deleted first."""

    def work(tx: Tx) -> Page[Assistant]:
        found = assistants.get_deleted(tx, org, ctx.clock.now() - RESTORABLE_MS, window)
        return replace(found, items=tuple(_completed(tx, org, one) for one in found.items))

    return await ctx.database.read(work)


async def retrieve_deleted(ctx: Context, org: str, assistant_id: str) -> Assistant:
    """A deleted assistant that can be brought back. Raises ``NotFound``."""

    def work(tx: Tx) -> Assistant:
        found = _restorable(ctx, tx, org, assistant_id)
        if found is None:
            raise NotFound("deleted assistant", assistant_id)
        return _completed(tx, org, found)

    return await ctx.database.read(work)


async def restore(ctx: Context, org: str, assistant_id: str) -> Assistant:
    """Bring a deleted assistant back, with its versions. Raises ``NotFound``, also where it is not deleted."""

    def work(tx: Tx) -> Assistant:
        found = _restorable(ctx, tx, org, assistant_id, lock=True)
        if found is None:
            raise NotFound("deleted assistant", assistant_id)
        assistants.set_deleted(tx, assistant_id, None)
        duties.forget(tx, ERASE, assistant_id)
        return _completed(tx, org, replace(found, deleted_at=None))

    return await ctx.database.write(work)


async def get_tags(ctx: Context, org: str) -> tuple[str, ...]:
    """Every tag that an assistant has, in order."""
    return await ctx.database.read(lambda tx: assistants.get_tags(tx, org))


async def tag(ctx: Context, org: str, assistant_id: str, added: str) -> tuple[str, ...]:
    """Add a tag, if it is not there; no version is written. Returns the assistant's tags. Raises ``NotFound``."""

    def work(tx: Tx) -> tuple[str, ...]:
        assistant = get(tx, org, assistant_id, lock=True)
        return _tagged(tx, assistant, (*assistant.tags, added)).tags

    return await ctx.database.write(work)


async def untag(ctx: Context, org: str, assistant_id: str, removed: str) -> tuple[str, ...]:
    """Remove a tag; no version is written. Returns the tags that are left. Raises ``NotFound``, also for the tag."""

    def work(tx: Tx) -> tuple[str, ...]:
        assistant = get(tx, org, assistant_id, lock=True)
        if removed not in assistant.tags:
            raise NotFound("tag", removed)
        return _tagged(tx, assistant, [one for one in assistant.tags if one != removed]).tags

    return await ctx.database.write(work)


async def get_versions(ctx: Context, org: str, assistant_id: str) -> tuple[Assistant, tuple[Version, ...]]:
    """The assistant, and all its versions, newest first. Raises ``NotFound``."""

    def work(tx: Tx) -> tuple[Assistant, tuple[Version, ...]]:
        assistant = get(tx, org, assistant_id)
        found = assistants.get_versions(tx, assistant_id)
        return assistant, tuple(tools.completed(tx, org, version) for version in found)

    return await ctx.database.read(work)


async def get_version(ctx: Context, org: str, assistant_id: str, version_id: str) -> tuple[Assistant, Version]:
    """The assistant, and one of its versions. Raises ``NotFound``."""

    def work(tx: Tx) -> tuple[Assistant, Version]:
        assistant = get(tx, org, assistant_id)
        return assistant, tools.completed(tx, org, _version(tx, assistant_id, version_id))

    return await ctx.database.read(work)


async def edit_version(
    ctx: Context,
    org: str,
    assistant_id: str,
    version_id: str,
    change: Change,
    check: Check,
    *,
    tags: Sequence[str] | None = None,
) -> tuple[Assistant, Version]:
    """Change a version in place. Raises ``NotFound``, what ``change``, ``check`` and ``create`` raise, and ``Rejected``
    for main and for a version that a rollout serves."""

    def work(tx: Tx) -> tuple[Assistant, Version]:
        assistant = get(tx, org, assistant_id, lock=True)
        before = _spare(tx, assistant, version_id)
        version = replace(change(before), id=version_id, assistant_id=assistant_id, created_at=before.created_at)
        complete = checked(tx, org, version, check, before)
        assistants.put_version(tx, version)
        return assistant if tags is None else _tagged(tx, assistant, tags), complete

    return await ctx.database.write(work)


async def delete_version(ctx: Context, org: str, assistant_id: str, version_id: str) -> None:
    """Remove a version for good. Raises ``NotFound``, and ``Rejected`` as ``edit_version`` does."""

    def work(tx: Tx) -> None:
        _spare(tx, get(tx, org, assistant_id, lock=True), version_id)
        assistants.drop_version(tx, assistant_id, version_id)

    await ctx.database.write(work)


def _spare(tx: Tx, assistant: Assistant, version_id: str) -> Version:
    """A version that no conversation can get, so that nobody notices when it changes."""
    version = _version(tx, assistant.id, version_id)
    if version_id == assistant.main.id:
        raise Rejected("This version is main: update the assistant, or promote another version first.")
    if version_id in rollouts.served(tx, assistant.id):
        raise Rejected("A rollout serves this version: delete the rollout, or have it serve other versions first.")
    return version


async def promote(ctx: Context, org: str, assistant_id: str, version_id: str) -> Assistant:
    """Make a version main and end the rollout: all conversations get this version. Raises ``NotFound``."""

    def work(tx: Tx) -> Assistant:
        assistant = get(tx, org, assistant_id, lock=True)
        version = _version(tx, assistant_id, version_id)
        assistants.set_main(tx, assistant_id, version_id)
        rollouts.drop(tx, assistant_id)
        return replace(assistant, main=tools.completed(tx, org, version))

    return await ctx.database.write(work)


def cast(tx: Tx, org: str, version: Version) -> Cast:
    """Everybody who can speak in a conversation that begins with this version, completed to be run.

    Whom it is handed to speaks with main as it is now, or with the version that is named; an assistant or a version
    that is gone is left out.
    """
    first = engines.completed(tx, org, version)
    others: dict[str, Version] = {}
    waiting = _heirs(first)
    while waiting and len(others) < MOST_CAST:
        id_, number = waiting.pop(0)
        found = None if id_ in others else _heir(tx, org, id_, number)
        if found is not None:
            others[id_] = engines.completed(tx, org, found)
            waiting += _heirs(others[id_])
    return Cast(first, others)


def _heirs(version: Version) -> list[tuple[str, int | None]]:
    """Whom it can be handed to, each with the number of its version where one is named."""
    flows = version.flow.own_tools() if version.flow else ()
    tools = (tool for tool in (*version.tools, *version.library.values(), *flows) if isinstance(tool, HandoffTool))
    named = {target.assistant_id: target.number for tool in tools for target in tool.targets}
    return [(id_, named.get(id_)) for id_ in version.referred()]


def _heir(tx: Tx, org: str, assistant_id: str, number: int | None) -> Version | None:
    found = assistants.get(tx, org, assistant_id, forms=tuple(Form))
    if found is None or number is None:
        return found.main if found else None
    return assistants.get_numbered(tx, assistant_id, number)


def choose(tx: Tx, org: str, assistant_id: str, version_id: str | None) -> Version | None:
    """The version an examination works on: the one that is named, or main; None when there is no such assistant.

    Raises ``Rejected`` when the assistant exists and the named version does not (contract, section 6.5).
    """
    assistant = assistants.get(tx, org, assistant_id, forms=tuple(Form))
    if assistant is None:
        return None
    if version_id is None:
        return assistant.main
    version = assistants.get_version(tx, assistant_id, version_id)
    if version is None:
        raise Rejected(f"Assistant {assistant_id!r} has no version {version_id!r}.", "version_id")
    return version


def get(tx: Tx, org: str, assistant_id: str, *, lock: bool = False) -> Assistant:
    """An assistant within a transaction. Raises ``NotFound``."""
    assistant = assistants.get(tx, org, assistant_id, lock=lock)
    if assistant is None:
        raise NotFound("assistant", assistant_id)
    return assistant


def _version(tx: Tx, assistant_id: str, version_id: str) -> Version:
    version = assistants.get_version(tx, assistant_id, version_id)
    if version is None:
        raise NotFound("version", version_id)
    return version
