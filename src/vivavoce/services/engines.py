"""Assistants whose versions are drafts until they are published: prompts and flows, and the agents that speak as them.

A draft is edited in its place; what is published never changes (contract, section 8, version rules). The newest
version, draft or not, is main.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from vivavoce.assistant.spread import spread
from vivavoce.core.assistant import Assistant, Form, Plays, Version
from vivavoce.core.event import Millis
from vivavoce.services import components
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.maker import Maker
from vivavoce.storage import assistants, tools
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span

ENGINES = (Form.PROMPTS, Form.FLOW)
"""What an agent can speak as."""

AGENTS = (Form.VOICE_AGENT, Form.CHAT_AGENT)

EXAMINABLE = (Form.ASSISTANT, *ENGINES)
"""What an examination can be of."""

PUBLISHED = "This version is published, and never changes again: make a draft from it, and edit that."

_MOST_NAMED = 5
_LEAST_READ = 100
"""How many are read at once where few of them may be wanted."""

Change = Callable[[Version], Version]


def create(ctx: Maker, tx: Tx, org: str, form: Form, draft: Version, *, plays: Collection[Form] = ENGINES) -> Assistant:
    """Keep an assistant whose first version, number 0, is the draft (its ids and times are set here).

    Where it plays another, that must have one of the forms ``plays``, and its version is set to the newest if none is
    named. Raises ``NotFound`` where there is no such thing to play.
    """
    now = ctx.clock.now()
    id_ = f"assistant-{ctx.new_id()}"
    main = replace(
        draft,
        id=ctx.new_id(),
        assistant_id=id_,
        number=0,
        base=None,
        published=False,
        created_at=now,
        changed_at=now,
        plays=_settled(tx, org, draft.plays, plays),
    )
    assistant = Assistant(id_, main, now, form=form)
    assistants.add(tx, org, assistant)
    return assistant


def _settled(tx: Tx, org: str, plays: Plays | None, forms: Collection[Form]) -> Plays | None:
    if plays is None:
        return None
    _, version = get(tx, org, plays.assistant_id, forms, plays.number, lock=True)
    return Plays(plays.assistant_id, version.number)


def get(
    tx: Tx, org: str, id_: str, forms: Collection[Form], number: int | None = None, *, lock: bool = False
) -> tuple[Assistant, Version]:
    """An assistant of one of these forms and its version with this number, or its newest. Raises ``NotFound``, whose
    noun is ``"version"`` where only that is missing."""
    assistant = assistants.get(tx, org, id_, forms=forms, lock=lock)
    if assistant is None:
        raise NotFound("assistant", id_)
    version = assistant.main if number is None else assistants.get_numbered(tx, id_, number)
    if version is None:
        raise NotFound("version", str(number))
    return assistant, version


async def retrieve(
    ctx: Context, org: str, id_: str, forms: Collection[Form], number: int | None = None
) -> tuple[Assistant, Version]:
    """The same in a transaction of its own."""
    return await ctx.database.read(lambda tx: get(tx, org, id_, forms, number))


async def edit(
    ctx: Context,
    org: str,
    id_: str,
    forms: Collection[Form],
    change: Change,
    number: int | None = None,
    *,
    plays: Collection[Form] = ENGINES,
) -> tuple[Assistant, Version]:
    """Change a draft in its place. Raises what ``change`` and ``create`` raise, ``NotFound``, and ``Rejected`` where
    the version is published."""
    return await ctx.database.write(lambda tx: edited(ctx, tx, org, id_, forms, change, number, plays=plays))


def edited(
    ctx: Maker,
    tx: Tx,
    org: str,
    id_: str,
    forms: Collection[Form],
    change: Change,
    number: int | None = None,
    *,
    plays: Collection[Form] = ENGINES,
) -> tuple[Assistant, Version]:
    """The same within a transaction."""
    assistant, before = get(tx, org, id_, forms, number, lock=True)
    if before.published:
        raise Rejected(PUBLISHED)
    changed = change(before)
    version = replace(
        changed,
        id=before.id,
        assistant_id=before.assistant_id,
        number=before.number,
        base=before.base,
        published=False,
        created_at=before.created_at,
        changed_at=ctx.clock.now(),
        # An agent whose engine is gone can still be given another name.
        plays=changed.plays if changed.plays == before.plays else _settled(tx, org, changed.plays, plays),
    )
    return _put(tx, assistant, version), version


def _put(tx: Tx, assistant: Assistant, version: Version) -> Assistant:
    assistants.put_version(tx, version)
    return replace(assistant, main=version) if version.id == assistant.main.id else assistant


async def delete(ctx: Context, org: str, id_: str, forms: Collection[Form], *, force: bool) -> None:
    """Delete for good, with all versions. Raises ``NotFound``, and ``Rejected`` where agents play it, naming them,
    unless ``force`` leaves those with nothing to say."""

    def work(tx: Tx) -> None:
        get(tx, org, id_, forms, lock=True)
        players = {one.assistant_id: one for one in assistants.get_players(tx, org, id_)}
        if players and not force:
            named = ", ".join(repr(one.name) for one in list(players.values())[:_MOST_NAMED])
            more = f" and {len(players) - _MOST_NAMED} more" if len(players) > _MOST_NAMED else ""
            raise Rejected(f"Agents speak as this one: {named}{more}.")
        assistants.erase(tx, org, id_)

    await ctx.database.write(work)


async def get_slice(
    ctx: Context,
    org: str,
    forms: Collection[Form],
    span: Span,
    keep: Callable[[Assistant], bool] | None = None,
) -> Slice[Assistant]:
    """A stretch of the assistants of these forms, with their newest versions; only those that ``keep`` says."""

    def work(tx: Tx) -> Slice[Assistant]:
        if keep is None:
            return assistants.get_slice(tx, org, forms, span)
        found: list[Assistant] = []
        after, more = span.after, True
        while more and len(found) <= span.size:
            rest = assistants.get_slice(tx, org, forms, replace(span, size=max(span.size, _LEAST_READ), after=after))
            found += [one for one in rest.items if keep(one)]
            after, more = rest.items[-1].id if rest.items else after, rest.more
        return Slice(tuple(found[: span.size]), len(found) > span.size)

    return await ctx.database.read(work)


async def get_every_version(
    ctx: Context,
    org: str,
    forms: Collection[Form],
    most: int = 1000,
    after: tuple[str, int | None] | None = None,
    *,
    newest: bool = False,
) -> tuple[tuple[Assistant, Version], ...]:
    """The versions of every assistant of these forms, or only the ``newest`` of each, the newest assistant and version
    first: at most so many, behind the assistant with this id, or behind its version with this number."""
    return await ctx.database.read(lambda tx: assistants.get_every_version(tx, org, forms, most, after, newest=newest))


def find(tx: Tx, org: str, id_: str, number: int | None) -> tuple[Assistant, Version] | None:
    """An assistant of any form that can be examined, and its version with this number, or main; None where either does
    not exist."""
    try:
        return get(tx, org, id_, EXAMINABLE, number)
    except NotFound:
        return None


# what is run


def completed(tx: Tx, org: str, version: Version) -> Version:
    """The version as it is run: with what it plays, with the components of its flow in their places, and with shared
    tools, all as they are now. What is gone is left out; an agent whose engine is gone has nothing to say. Raises
    ``Rejected`` where a shared component has made its flow too large."""
    playing = components.frozen(tx, org, _playing(tx, org, version))
    if playing.flow is not None:
        components.check_size(playing)
        playing = replace(playing, flow=spread(playing.flow, {}))
    return tools.completed(tx, org, playing)


def _playing(tx: Tx, org: str, version: Version) -> Version:
    """The agent is who speaks, and it speaks as its engine."""
    engine = _engine(tx, org, version.plays)
    if engine is None:
        return version
    return replace(
        engine,
        id=version.id,
        assistant_id=version.assistant_id,
        name=version.name,
        number=version.number,
        published=version.published,
        base=version.base,
        created_at=version.created_at,
        changed_at=version.changed_at,
        label=version.label,
        description=version.description,
        templating=replace(engine.templating, zone=version.templating.zone),
        idle_minutes=version.idle_minutes,
        opener=version.opener,
        insight_group=version.insight_group,
        insight_model=version.insight_model,
        keeps=version.keeps,
        reports=version.reports,
        extra={**engine.extra, **version.extra},
    )


def _engine(tx: Tx, org: str, plays: Plays | None) -> Version | None:
    assistant = assistants.get(tx, org, plays.assistant_id, forms=ENGINES) if plays else None
    if plays is None or assistant is None:
        return None
    if plays.number is None:
        return assistant.main
    return assistants.get_numbered(tx, assistant.id, plays.number)


# versions of agents


async def get_versions(
    ctx: Context, org: str, id_: str, forms: Collection[Form]
) -> tuple[Assistant, tuple[Version, ...]]:
    """The assistant, and all its versions, newest first. Raises ``NotFound``."""

    def work(tx: Tx) -> tuple[Assistant, tuple[Version, ...]]:
        assistant, _ = get(tx, org, id_, forms)
        return assistant, assistants.get_versions(tx, id_)

    return await ctx.database.read(work)


async def branch(ctx: Context, org: str, id_: str, forms: Collection[Form], base: int) -> tuple[Assistant, Version]:
    """A new draft, copied from the version with the number ``base``; of what that plays, too, so that the drafts of
    both can be edited. Raises ``NotFound``."""

    def work(tx: Tx) -> tuple[Assistant, Version]:
        assistant, version = get(tx, org, id_, forms, base, lock=True)
        return _branched(ctx, tx, org, assistant, version)

    return await ctx.database.write(work)


def _branched(ctx: Context, tx: Tx, org: str, assistant: Assistant, base: Version) -> tuple[Assistant, Version]:
    now = ctx.clock.now()
    plays = base.plays
    if plays is not None and assistants.get(tx, org, plays.assistant_id, forms=ENGINES, lock=True) is not None:
        engine = _engine(tx, org, plays)
        if engine is not None:
            draft = _add(tx, _copied(engine, ctx.new_id(), now))
            plays = Plays(draft.assistant_id, draft.number)
    draft = _add(tx, replace(_copied(base, ctx.new_id(), now), plays=plays))
    return replace(assistant, main=draft), draft


def _copied(base: Version, id_: str, now: Millis) -> Version:
    """A title and a description are of the version that they were given to."""
    return replace(
        base, id=id_, base=base.number, published=False, created_at=now, changed_at=now, label="", description=None
    )


def _add(tx: Tx, draft: Version) -> Version:
    added = assistants.add_version(tx, draft)
    assistants.set_main(tx, draft.assistant_id, draft.id)
    return added


async def publish(
    ctx: Context,
    org: str,
    id_: str,
    forms: Collection[Form],
    number: int | None,
    title: str | None = None,
    description: str | None = None,
    *,
    opens: bool = False,
) -> tuple[Assistant, Version]:
    """Freeze a version (None: the newest), and the version that it plays; where it is published already, only the title
    and the description change that are given. ``opens`` makes the next draft from it.

    Returns the version that was published. Raises ``NotFound``, and ``Rejected`` where what it plays is gone.
    """

    def work(tx: Tx) -> tuple[Assistant, Version]:
        assistant, before = get(tx, org, id_, forms, number, lock=True)
        now = ctx.clock.now()
        version = replace(
            before,
            published=True,
            label=before.label if title is None else title,
            description=before.description if description is None else description,
        )
        if version != before:
            if not before.published and version.plays is not None:
                _freeze(tx, org, version.plays, now)
            version = replace(version, changed_at=now)
            assistant = _put(tx, assistant, version)
        return _branched(ctx, tx, org, assistant, version)[0] if opens else assistant, version

    return await ctx.database.write(work)


def _freeze(tx: Tx, org: str, plays: Plays, now: Millis) -> None:
    """Its shared components are copied: they can change, and what is published cannot (contract, section 7.2)."""
    assistants.get(tx, org, plays.assistant_id, forms=ENGINES, lock=True)
    engine = _engine(tx, org, plays)
    if engine is None:
        raise Rejected("What this agent speaks as is gone, so it cannot be published: give it something else.")
    if engine.published:
        return
    assistants.put_version(tx, replace(components.frozen(tx, org, engine), published=True, changed_at=now))


async def drop_version(ctx: Context, org: str, id_: str, forms: Collection[Form], number: int) -> None:
    """Remove a version for good, and the draft that it plays where nobody else plays that. Raises ``NotFound``, and
    ``Rejected`` for the only version and for a published one."""

    def work(tx: Tx) -> None:
        _, version = get(tx, org, id_, forms, number, lock=True)
        others = [one for one in assistants.get_versions(tx, id_) if one.id != version.id]
        if not others:
            raise Rejected("This is the only version: delete the agent instead.")
        if version.published:
            raise Rejected("This version is published, so it cannot be deleted on its own.")
        _remove(tx, version, others)
        _drop_played(tx, org, version.plays)

    await ctx.database.write(work)


def _remove(tx: Tx, version: Version, others: list[Version]) -> None:
    assistants.drop_version(tx, version.assistant_id, version.id)
    assistants.set_main(tx, version.assistant_id, others[0].id)


def _drop_played(tx: Tx, org: str, plays: Plays | None) -> None:
    """A draft came into being with the agent's draft; left behind, the numbers of the two would drift apart."""
    if plays is None or assistants.get(tx, org, plays.assistant_id, forms=ENGINES, lock=True) is None:
        return
    engine = _engine(tx, org, plays)
    if engine is None or engine.published:
        return
    others = [one for one in assistants.get_versions(tx, plays.assistant_id) if one.id != engine.id]
    players = assistants.get_players(tx, org, plays.assistant_id)
    if others and not any(one.plays and one.plays.number in (None, engine.number) for one in players):
        _remove(tx, engine, others)
