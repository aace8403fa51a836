"""What can be told of conversations that are over."""

from collections.abc import Sequence

from sqlalchemy import select

from vivavoce.storage.database import Tx
from vivavoce.storage.tables import finding_results, findings


def get_results(tx: Tx, org: str, conversation_id: str, insight_ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, result) of these insights, where they were asked of the conversation; the oldest first."""
    query = (
        select(finding_results.c.insight_name, finding_results.c.result)
        .join(findings, findings.c.id == finding_results.c.finding_id)
        .where(findings.c.org == org, findings.c.conversation_id == conversation_id)
        .where(finding_results.c.insight_id.in_(insight_ids))
        .order_by(findings.c.created_at, findings.c.id, finding_results.c.position)
    )
    return tuple((row.insight_name, row.result) for row in tx.execute(query))
