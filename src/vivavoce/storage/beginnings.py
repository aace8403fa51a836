"""All that is needed to begin with runs, or to go on with them: read for many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vivavoce.core.budget import Account
from vivavoce.core.conversation import Conversation
from vivavoce.core.transcript import Transcript
from vivavoce.storage import budgets, conversations, runs
from vivavoce.storage.database import Tx
from vivavoce.storage.runs import Frozen


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run with what it froze, what was recorded of it so far, and how the budget of its batch stands (None: it has
    none). ``conversation`` is None where that was deleted."""

    frozen: Frozen
    transcript: Transcript
    account: Account | None
    conversation: Conversation | None


def get_many(tx: Tx, run_ids: Sequence[str]) -> Mapping[str, Beginning]:
    """Those of these runs that there are, by their ids. Runs that froze the same share it."""
    found = runs.get_all_frozen(tx, run_ids)
    talks = [one.run.conversation_id for one in found]
    transcripts = conversations.get_transcripts(tx, talks)
    kept = conversations.get_many(tx, talks)
    batches = {(one.org, one.run.batch_id) for one in found if one.run.batch_id}
    accounts = {(org, id_): budgets.get(tx, org, id_) for org, id_ in sorted(batches)}
    return {
        one.run.id: Beginning(
            one,
            transcripts.get(one.run.conversation_id, Transcript()),
            accounts.get((one.org, one.run.batch_id)) if one.run.batch_id else None,
            kept.get(one.run.conversation_id),
        )
        for one in found
    }
