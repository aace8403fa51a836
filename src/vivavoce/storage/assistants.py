"""Assistants and their versions, kept."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, and_, delete, false, func, insert, or_, select, update

from vivavoce.core.assistant import Assistant, Form, Origin, Version
from vivavoce.core.event import Millis
from vivavoce.storage.codec import text_codec, version_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Slice, Span, Window
from vivavoce.storage.tables import assistants, versions

MAX_NUMBER = 2**31 - 1
"""What a column of integers cannot hold is nobody's number."""


def _assistant(row: Row[Any]) -> Assistant:
    origin = Origin(row.origin, row.origin_id) if row.origin else None
    main = _version(row)
    return Assistant(row.id, main, row.created_at, tuple(row.tags), origin, row.deleted_at, Form(row.form))


def _version(row: Row[Any, Any, Any] | Row[Any, Any] | Row[Any]) -> Version:
    # Positions are counted from 1, and rows of earlier releases hold no number.
    return replace(version_codec.loads(row.body), number=row.position - 1)


def _plays(version: Version) -> str:
    return version.plays.assistant_id if version.plays else ""


_with_main = select(assistants, versions.c.body, versions.c.position).join(
    versions, (versions.c.assistant_id == assistants.c.id) & (versions.c.id == assistants.c.main_id)
)


def add(tx: Tx, org: str, assistant: Assistant) -> None:
    """Keep a new assistant with its first version."""
    main, origin = assistant.main, assistant.origin
    tx.execute(
        insert(assistants).values(
            id=assistant.id,
            org=org,
            main_id=main.id,
            created_at=assistant.created_at,
            tags=list(assistant.tags),
            origin=origin.provider if origin else None,
            origin_id=origin.id if origin else None,
            form=assistant.form.value,
        )
    )
    add_version(tx, main)


def add_version(tx: Tx, version: Version) -> Version:
    """Keep a new version of an assistant, as its newest. Returns it with its number."""
    newest = select(func.coalesce(func.max(versions.c.position), 0)).where(
        versions.c.assistant_id == version.assistant_id
    )
    position = tx.execute(newest).scalar_one() + 1
    numbered = replace(version, number=position - 1)
    tx.execute(
        insert(versions).values(
            assistant_id=version.assistant_id,
            id=version.id,
            position=position,
            body=version_codec.dumps(numbered),
            created_at=version.created_at,
            plays=_plays(version),
        )
    )
    return numbered


def get(
    tx: Tx,
    org: str,
    assistant_id: str,
    *,
    forms: Collection[Form] = (Form.ASSISTANT,),
    lock: bool = False,
    deleted: bool = False,
) -> Assistant | None:
    """The assistant with its main version, or None, also where it has another form. ``lock`` holds it against other
    writers until the commit; ``deleted`` looks among those that were deleted softly, and only there."""
    gone = assistants.c.deleted_at.is_not(None) if deleted else assistants.c.deleted_at.is_(None)
    mine = (assistants.c.org == org, assistants.c.id == assistant_id, assistants.c.form.in_(sorted(forms)), gone)
    if lock:
        # Locked first and read after: PostgreSQL looks anew at a row it had to wait for, not at what is joined to it.
        tx.execute(select(assistants.c.id).where(*mine).with_for_update())
    row = tx.execute(_with_main.where(*mine)).first()
    return _assistant(row) if row else None


def owner(tx: Tx, assistant_id: str) -> str | None:
    """Whose assistant this is, or None where there is none."""
    mine = (assistants.c.id == assistant_id, assistants.c.deleted_at.is_(None))
    return tx.execute(select(assistants.c.org).where(*mine)).scalar_one_or_none()


def get_all(tx: Tx, org: str, forms: Collection[Form] = (Form.ASSISTANT,)) -> tuple[Assistant, ...]:
    """Every assistant of these forms that is not deleted, newest first."""
    mine = (assistants.c.org == org, assistants.c.deleted_at.is_(None), assistants.c.form.in_(sorted(forms)))
    rows = tx.execute(_with_main.where(*mine).order_by(assistants.c.created_at.desc(), assistants.c.id.desc()))
    return tuple(_assistant(row) for row in rows)


def get_page(tx: Tx, org: str, forms: Collection[Form], window: Window) -> Page[Assistant]:
    """A page of the assistants of these forms that are not deleted, newest first."""
    mine = (assistants.c.org == org, assistants.c.deleted_at.is_(None), assistants.c.form.in_(sorted(forms)))
    total = tx.execute(select(func.count()).select_from(assistants).where(*mine)).scalar_one()
    query = _with_main.where(*mine).order_by(assistants.c.created_at.desc(), assistants.c.id.desc())
    rows = tx.execute(query.limit(window.size).offset((window.number - 1) * window.size))
    return Page(tuple(_assistant(row) for row in rows), total, window)


def get_named(tx: Tx, org: str, name: str, forms: Collection[Form] = tuple(Form)) -> tuple[Assistant, ...]:
    """The assistants of these forms that are not deleted and whose main version has this name, oldest first."""
    mine = (assistants.c.org == org, assistants.c.deleted_at.is_(None), assistants.c.form.in_(sorted(forms)))
    # The text is searched for it, so that only those are read that may have it; a tool can be named so too.
    likely = versions.c.body.contains(text_codec.dumps(name), autoescape=True)
    rows = tx.execute(_with_main.where(*mine, likely).order_by(assistants.c.created_at, assistants.c.id))
    return tuple(found for found in map(_assistant, rows) if found.main.name == name)


def get_slice(tx: Tx, org: str, forms: Collection[Form], span: Span) -> Slice[Assistant]:
    """A stretch of the assistants of these forms that are not deleted, by their ids."""
    mine = (assistants.c.org == org, assistants.c.deleted_at.is_(None), assistants.c.form.in_(sorted(forms)))
    query = _with_main.where(*mine)
    if span.after is not None:
        query = query.where(assistants.c.id > span.after if span.ascending else assistants.c.id < span.after)
    order = assistants.c.id.asc() if span.ascending else assistants.c.id.desc()
    rows = tx.execute(query.order_by(order).limit(span.size + 1)).all()
    return Slice(tuple(_assistant(row) for row in rows[: span.size]), len(rows) > span.size)


def get_deleted(tx: Tx, org: str, after: Millis, window: Window) -> Page[Assistant]:
    """A page of the assistants that were deleted softly later than ``after``, the last deleted first."""
    mine = (assistants.c.org == org, assistants.c.deleted_at > after)
    total = tx.execute(select(func.count()).select_from(assistants).where(*mine)).scalar_one()
    query = _with_main.where(*mine).order_by(assistants.c.deleted_at.desc(), assistants.c.id.desc())
    rows = tx.execute(query.limit(window.size).offset((window.number - 1) * window.size))
    return Page(tuple(_assistant(row) for row in rows), total, window)


def find(tx: Tx, org: str, origin: Origin) -> Assistant | None:
    """The newest assistant that was imported from there and is not deleted, held against other writers, or None."""
    mine = (assistants.c.org == org, assistants.c.origin == origin.provider, assistants.c.origin_id == origin.id)
    query = select(assistants.c.id).where(*mine, assistants.c.deleted_at.is_(None))
    id_ = tx.execute(query.order_by(assistants.c.created_at.desc(), assistants.c.id.desc()).limit(1)).scalar()
    return get(tx, org, id_, lock=True) if id_ else None


def get_tags(tx: Tx, org: str) -> tuple[str, ...]:
    """Every tag of an assistant that is not deleted, in order."""
    query = select(assistants.c.tags).where(assistants.c.org == org, assistants.c.deleted_at.is_(None))
    return tuple(sorted({tag for tags in tx.execute(query).scalars() for tag in tags}))


def set_main(tx: Tx, assistant_id: str, version_id: str) -> None:
    """Make the version the one that answers."""
    tx.execute(update(assistants).where(assistants.c.id == assistant_id).values(main_id=version_id))


def set_tags(tx: Tx, assistant_id: str, tags: Sequence[str]) -> None:
    """Overwrite the tags."""
    tx.execute(update(assistants).where(assistants.c.id == assistant_id).values(tags=list(tags)))


def set_deleted(tx: Tx, assistant_id: str, at: Millis | None) -> None:
    """Delete softly: it leaves every list, its versions stay. None brings it back."""
    tx.execute(update(assistants).where(assistants.c.id == assistant_id).values(deleted_at=at))


def erase(tx: Tx, org: str, assistant_id: str) -> bool:
    """Delete for good, with all versions, also one that was deleted softly. False when there is none."""
    done = tx.execute(delete(assistants).where(assistants.c.org == org, assistants.c.id == assistant_id))
    return done.rowcount > 0


def get_version(tx: Tx, assistant_id: str, version_id: str) -> Version | None:
    """One version, or None."""
    mine = (versions.c.assistant_id == assistant_id, versions.c.id == version_id)
    row = tx.execute(select(versions.c.body, versions.c.position).where(*mine)).first()
    return _version(row) if row else None


def find_version(tx: Tx, org: str, version_id: str) -> Version | None:
    """The version with this id, of whichever assistant of the organisation that is not deleted; None where there is
    none."""
    query = select(versions.c.body, versions.c.position).join(assistants, assistants.c.id == versions.c.assistant_id)
    mine = (assistants.c.org == org, assistants.c.deleted_at.is_(None), versions.c.id == version_id)
    row = tx.execute(query.where(*mine)).first()
    return _version(row) if row else None


def get_numbered(tx: Tx, assistant_id: str, number: int) -> Version | None:
    """The version with this number, or None."""
    if not 0 <= number < MAX_NUMBER:
        return None
    mine = (versions.c.assistant_id == assistant_id, versions.c.position == number + 1)
    row = tx.execute(select(versions.c.body, versions.c.position).where(*mine)).first()
    return _version(row) if row else None


def get_versions(tx: Tx, assistant_id: str) -> tuple[Version, ...]:
    """All versions, newest first."""
    query = select(versions.c.body, versions.c.position).where(versions.c.assistant_id == assistant_id)
    rows = tx.execute(query.order_by(versions.c.position.desc()))
    return tuple(_version(row) for row in rows)


def get_every_version(
    tx: Tx,
    org: str,
    forms: Collection[Form],
    most: int,
    after: tuple[str, int | None] | None = None,
    *,
    newest: bool = False,
) -> tuple[tuple[Assistant, Version], ...]:
    """The versions of every assistant of these forms that is not deleted, or only the ``newest`` of each, the newest
    assistant and version first: at most so many, behind the assistant with this id, or behind its version with this
    number."""
    mine = (assistants.c.org == org, assistants.c.deleted_at.is_(None), assistants.c.form.in_(sorted(forms)))
    query = (
        select(assistants.c.id, versions.c.body, versions.c.position)
        .join(versions, versions.c.assistant_id == assistants.c.id)
        .where(*mine)
    )
    if newest:
        query = query.where(versions.c.id == assistants.c.main_id)
    if after is not None:
        id_, number = after
        # Positions are counted from 1: the one before it has its number.
        rest = false() if number is None else versions.c.position <= max(0, min(number, MAX_NUMBER))
        query = query.where(or_(assistants.c.id < id_, and_(assistants.c.id == id_, rest)))
    rows = tx.execute(query.order_by(assistants.c.id.desc(), versions.c.position.desc()).limit(most)).all()
    found = _with_main.where(*mine, assistants.c.id.in_({row.id for row in rows}))
    owners = {row.id: _assistant(row) for row in tx.execute(found)} if rows else {}
    return tuple((owners[row.id], _version(row)) for row in rows)


def get_players(tx: Tx, org: str, assistant_id: str) -> tuple[Version, ...]:
    """Every version of an assistant that is not deleted that plays this one, oldest first."""
    # What an earlier release wrote while this one was installed beside it: a version that plays it has its id in its
    # text.
    unknown = and_(versions.c.plays.is_(None), versions.c.body.contains(assistant_id))
    query = (
        select(versions.c.body, versions.c.position)
        .join(assistants, versions.c.assistant_id == assistants.c.id)
        .where(assistants.c.org == org, assistants.c.deleted_at.is_(None))
        .where(or_(versions.c.plays == assistant_id, unknown))
        .order_by(assistants.c.id, versions.c.position)
    )
    found = (_version(row) for row in tx.execute(query))
    return tuple(version for version in found if version.plays and version.plays.assistant_id == assistant_id)


def put_version(tx: Tx, version: Version) -> None:
    """Overwrite a version in its place."""
    mine = (versions.c.assistant_id == version.assistant_id, versions.c.id == version.id)
    tx.execute(update(versions).where(*mine).values(body=version_codec.dumps(version), plays=_plays(version)))


def drop_version(tx: Tx, assistant_id: str, version_id: str) -> None:
    """Remove a version."""
    tx.execute(delete(versions).where(versions.c.assistant_id == assistant_id, versions.c.id == version_id))
