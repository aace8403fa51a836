"""Snapshots that no run freezes any more."""

from collections.abc import Collection

from sqlalchemy import delete, or_, select

from vivavoce.storage.database import Tx
from vivavoce.storage.tables import runs, snapshots

FREEZING = (runs.c.scenario_digest, runs.c.version_digest, runs.c.others_digest)
"""The columns of a run that name one."""


def drop_loose(tx: Tx, digests: Collection[str]) -> None:
    """Remove those of these that no run freezes, after runs that did were deleted."""
    if not digests:
        return
    # They are locked first: a run that is made at this moment holds what it freezes until it can be seen here.
    alone = snapshots.c.digest.in_(sorted(digests))
    tx.execute(select(snapshots.c.digest).where(alone).order_by(snapshots.c.digest).with_for_update())
    held = select(runs.c.id).where(or_(*(column == snapshots.c.digest for column in FREEZING)))
    tx.execute(delete(snapshots).where(alone, ~held.exists()))
