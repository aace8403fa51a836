"""Rollouts, kept: one of an assistant at most. Whoever asks has found the assistant in its organisation before."""

from sqlalchemy import delete, insert, select, update

from vivavoce.core.rollout import Rollout, Rule
from vivavoce.storage.codec import Codec
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import rollouts

_rules: Codec[tuple[Rule, ...]] = Codec(tuple[Rule, ...])


def get(tx: Tx, assistant_id: str) -> Rollout | None:
    """The assistant's rollout, or None."""
    row = tx.execute(select(rollouts).where(rollouts.c.assistant_id == assistant_id)).first()
    return Rollout(_rules.loads(row.body), row.created_at, row.updated_at) if row else None


def put(tx: Tx, assistant_id: str, rollout: Rollout) -> None:
    """Keep the assistant's rollout in the place of the one it has, if it has one."""
    body = {"body": _rules.dumps(rollout.rules), "updated_at": rollout.updated_at}
    mine = rollouts.c.assistant_id == assistant_id
    if not tx.execute(update(rollouts).where(mine).values(**body)).rowcount:
        tx.execute(insert(rollouts).values(assistant_id=assistant_id, created_at=rollout.created_at, **body))


def drop(tx: Tx, assistant_id: str) -> bool:
    """Remove it. False when there is none."""
    return tx.execute(delete(rollouts).where(rollouts.c.assistant_id == assistant_id)).rowcount > 0


def served(tx: Tx, assistant_id: str) -> frozenset[str]:
    """The ids of the versions that the assistant's rollout serves."""
    found = get(tx, assistant_id)
    return frozenset(found.served() if found else ())
