"""What a whole assistant needs beside itself: tools, servers, secrets, insights, appointments, texts, duties.

Versions that are there say in fields of their own what was only kept of them before.
"""

import json

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

from vivavoce.storage.codec import version_codec
from vivavoce.storage.migrate import Renew

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "appointments",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("assistant_id", sa.String(length=64), nullable=False),
        sa.Column("medium", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
    )
    with op.batch_alter_table("appointments", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_appointments_org_assistant_id_due_at"), ["org", "assistant_id", "due_at"], unique=False
        )

    op.create_table(
        "connections",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("integration_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
    )
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_connections_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "documents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_documents_org_bucket"), ["org", "bucket"], unique=False)

    op.create_table(
        "duties",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("lease_token", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duties")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_duties_kind_subject")),
    )
    with op.batch_alter_table("duties", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_duties_due_at"), ["due_at"], unique=False)

    op.create_table(
        "insight_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_insight_groups")),
    )
    with op.batch_alter_table("insight_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_insight_groups_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "insights",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_insights")),
    )
    with op.batch_alter_table("insights", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_insights_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "secrets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("identifier", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
        sa.UniqueConstraint("org", "identifier", name=op.f("uq_secrets_org_identifier")),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
    )
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_servers_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "texts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=True),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("medium", sa.String(length=32), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_texts")),
        sa.UniqueConstraint("org", "provider_id", name=op.f("uq_texts_org_provider_id")),
    )
    with op.batch_alter_table("texts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_texts_org_conversation_id"), ["org", "conversation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_texts_org_id"), ["org", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_texts_org_recipient_id"), ["org", "recipient", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_texts_org_sender_recipient_id"), ["org", "sender", "recipient", "id"], unique=False
        )

    op.create_table(
        "tools",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tools")),
    )
    with op.batch_alter_table("tools", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tools_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "findings",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_findings_conversation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_findings_conversation_id"), ["conversation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_findings_org_created_at"), ["org", "created_at"], unique=False)

    op.create_table(
        "insight_members",
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("insight_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["insight_groups.id"], name=op.f("fk_insight_members_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["insight_id"], ["insights.id"], name=op.f("fk_insight_members_insight_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "insight_id", name=op.f("pk_insight_members")),
    )
    with op.batch_alter_table("insight_members", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_insight_members_insight_id"), ["insight_id"], unique=False)

    op.create_table(
        "passages",
        sa.Column("document_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name=op.f("fk_passages_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", "position", name=op.f("pk_passages")),
    )
    op.create_table(
        "rollouts",
        sa.Column("assistant_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistants.id"], name=op.f("fk_rollouts_assistant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("assistant_id", name=op.f("pk_rollouts")),
    )
    op.create_table(
        "finding_results",
        sa.Column("finding_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("insight_id", sa.String(length=64), nullable=False),
        sa.Column("insight_name", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["finding_id"], ["findings.id"], name=op.f("fk_finding_results_finding_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("finding_id", "position", name=op.f("pk_finding_results")),
    )
    with op.batch_alter_table("finding_results", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_finding_results_insight_id"), ["insight_id"], unique=False)

    with op.batch_alter_table("assistants", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "tags",
                sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
                server_default="[]",
                nullable=False,
            )
        )
        batch_op.add_column(sa.Column("origin", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("origin_id", sa.String(length=255), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_assistants_org_origin_origin_id"), ["org", "origin", "origin_id"], unique=False
        )

    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("opening", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("ended_at", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("others_digest", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("finding_id", sa.String(length=64), nullable=True))
        batch_op.create_index(batch_op.f("ix_runs_others_digest"), ["others_digest"], unique=False)

    _renew_versions()
    _end_conversations()


_versions = sa.table("versions", sa.column("assistant_id"), sa.column("id"), sa.column("body"))
_assistants = sa.table(
    "assistants",
    sa.column("id"),
    sa.column("main_id"),
    sa.column("tags", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")),
)
_snapshots = sa.table("snapshots", sa.column("digest"), sa.column("body"))
_runs = sa.table(
    "runs", sa.column("conversation_id"), sa.column("version_digest"), sa.column("completed_at", sa.BigInteger())
)
_conversations = sa.table("conversations", sa.column("id"), sa.column("ended_at", sa.BigInteger()))


def _renew_versions() -> None:
    """One after the other: all of them together may not fit into memory."""
    tx = op.get_bind()
    main_ids = {row.id: row.main_id for row in tx.execute(sa.select(_assistants.c.id, _assistants.c.main_id))}
    for assistant_id, version_id in tx.execute(sa.select(_versions.c.assistant_id, _versions.c.id)).all():
        mine = (_versions.c.assistant_id == assistant_id, _versions.c.id == version_id)
        body, tags = _renewed(tx.execute(sa.select(_versions.c.body).where(*mine)).scalar_one())
        tx.execute(sa.update(_versions).where(*mine).values(body=body))
        if tags and main_ids[assistant_id] == version_id:
            tx.execute(sa.update(_assistants).where(_assistants.c.id == assistant_id).values(tags=list(tags)))
    # What runs froze keeps its old key: the same text is never frozen again.
    frozen = sa.select(_runs.c.version_digest).where(_runs.c.version_digest.is_not(None)).distinct()
    for digest in tx.execute(frozen).scalars().all():
        mine = _snapshots.c.digest == digest
        body, _ = _renewed(tx.execute(sa.select(_snapshots.c.body).where(mine)).scalar_one())
        tx.execute(sa.update(_snapshots).where(mine).values(body=body))


def _renewed(body: str) -> tuple[str, tuple[str, ...]]:
    renew: Renew = context.config.attributes["renew"]
    old = json.loads(body)
    if "mind" in old:  # written by this revision, before it was taken back
        return body, ()
    version, tags = renew(version_codec.loads(json.dumps({**old, "mind": {"model": old.get("model")}})))
    return version_codec.dumps(version), tags


def _end_conversations() -> None:
    """Those of runs that are over; of the others nobody noted when they ended."""
    over = sa.select(_runs.c.completed_at).where(_runs.c.conversation_id == _conversations.c.id)
    over = over.where(_runs.c.completed_at.is_not(None)).limit(1)
    op.get_bind().execute(sa.update(_conversations).where(over.exists()).values(ended_at=over.scalar_subquery()))


def downgrade() -> None:
    """Versions stay as they are, which the first release does not read: this is for who has none, or a copy."""

    # In place, and not by a copy of the table: dropping the old one would take versions and events along.
    op.drop_index(op.f("ix_runs_others_digest"), "runs")
    op.drop_column("runs", "finding_id")
    op.drop_column("runs", "others_digest")

    op.drop_column("conversations", "ended_at")
    op.drop_column("conversations", "opening")

    op.drop_index(op.f("ix_assistants_org_origin_origin_id"), "assistants")
    op.drop_column("assistants", "origin_id")
    op.drop_column("assistants", "origin")
    op.drop_column("assistants", "tags")

    with op.batch_alter_table("finding_results", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_finding_results_insight_id"))

    op.drop_table("finding_results")
    op.drop_table("rollouts")
    op.drop_table("passages")
    with op.batch_alter_table("insight_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_insight_members_insight_id"))

    op.drop_table("insight_members")
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_findings_org_created_at"))
        batch_op.drop_index(batch_op.f("ix_findings_conversation_id"))

    op.drop_table("findings")
    with op.batch_alter_table("tools", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tools_org_id"))

    op.drop_table("tools")
    with op.batch_alter_table("texts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_texts_org_sender_recipient_id"))
        batch_op.drop_index(batch_op.f("ix_texts_org_recipient_id"))
        batch_op.drop_index(batch_op.f("ix_texts_org_id"))
        batch_op.drop_index(batch_op.f("ix_texts_org_conversation_id"))

    op.drop_table("texts")
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_servers_org_id"))

    op.drop_table("servers")
    op.drop_table("secrets")
    with op.batch_alter_table("insights", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_insights_org_id"))

    op.drop_table("insights")
    with op.batch_alter_table("insight_groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_insight_groups_org_id"))

    op.drop_table("insight_groups")
    with op.batch_alter_table("duties", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_duties_due_at"))

    op.drop_table("duties")
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_documents_org_bucket"))

    op.drop_table("documents")
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_connections_org_id"))

    op.drop_table("connections")
    with op.batch_alter_table("appointments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_appointments_org_assistant_id_due_at"))

    op.drop_table("appointments")
