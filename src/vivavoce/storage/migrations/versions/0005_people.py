"""What people need: sessions in the dashboard, figures of runs, lists; and duties found by their kind."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


# One that makes the table of conversations anew has to make these anew too.
NOTE = "INSERT INTO notes SELECT NEW.id, key, CAST(value AS TEXT) FROM json_each(NEW.metadata);"
FORGET = "DELETE FROM notes WHERE conversation_id = OLD.id;"
CHANGED = "UPDATE OF metadata ON conversations WHEN OLD.metadata IS NOT NEW.metadata"
TRIGGERS = {
    "conversations_noted": f"AFTER INSERT ON conversations BEGIN {NOTE} END",
    "conversations_noted_anew": f"AFTER {CHANGED} BEGIN {FORGET} {NOTE} END",
    "conversations_gone": f"AFTER DELETE ON conversations BEGIN {FORGET} END",
}


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("conversation_id", "name", name=op.f("pk_notes")),
    )
    op.create_index(op.f("ix_notes_name_value_conversation_id"), "notes", ["name", "value", "conversation_id"])
    if op.get_bind().dialect.name == "sqlite":
        known = "SELECT c.id, e.key, CAST(e.value AS TEXT) FROM conversations AS c, json_each(c.metadata) AS e"
        op.execute(f"INSERT INTO notes {known}")
        for name, what in TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {what}")
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_org_expires_at"), "sessions", ["org", "expires_at"])
    json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.add_column("runs", sa.Column("response_ms", json, nullable=True))
    op.add_column("runs", sa.Column("tokens", json, nullable=True))
    op.create_index(op.f("ix_appointments_org_id"), "appointments", ["org", "id"])
    op.create_index(op.f("ix_duties_kind_due_at_id"), "duties", ["kind", "due_at", "id"])
    given = sa.text("batch_id IS NOT NULL")
    op.create_index("ix_runs_batches", "runs", ["org", "batch_id", "id"], sqlite_where=given, postgresql_where=given)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    op.drop_table("notes")
    op.drop_index("ix_runs_batches", "runs")
    op.drop_index(op.f("ix_duties_kind_due_at_id"), "duties")
    op.drop_index(op.f("ix_appointments_org_id"), "appointments")
    op.drop_table("sessions")
    op.drop_column("runs", "tokens")
    op.drop_column("runs", "response_ms")
