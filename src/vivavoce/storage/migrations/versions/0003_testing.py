"""What tests of several forms of assistants need: batches, forms, shared components, libraries of documents."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("assistant_id", sa.String(length=64), nullable=False),
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_batches_org_assistant_id_number_id"), ["org", "assistant_id", "number", "id"], unique=False
        )

    op.create_table(
        "components",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_components")),
    )
    with op.batch_alter_table("components", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_components_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "libraries",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_libraries")),
    )
    with op.batch_alter_table("libraries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_libraries_org_id"), ["org", "id"], unique=False)

    with op.batch_alter_table("assistants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("form", sa.String(length=16), server_default="assistant", nullable=False))
        batch_op.create_index(batch_op.f("ix_assistants_org_form_id"), ["org", "form", "id"], unique=False)

    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("assistant_id", sa.String(length=64), nullable=True))
        batch_op.add_column(
            sa.Column(
                "extra", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True
            )
        )
        batch_op.create_index(
            batch_op.f("ix_conversations_org_assistant_id_id"), ["org", "assistant_id", "id"], unique=False
        )

    with op.batch_alter_table("scenarios", schema=None) as batch_op:
        batch_op.add_column(sa.Column("retired_at", sa.BigInteger(), nullable=True))
        batch_op.create_index(batch_op.f("ix_scenarios_org_target_id"), ["org", "target", "id"], unique=False)


def downgrade() -> None:
    # In place, and not by a copy of the table: dropping the old one would take what refers to it along.
    op.drop_index(op.f("ix_scenarios_org_target_id"), "scenarios")
    op.drop_column("scenarios", "retired_at")
    op.drop_index(op.f("ix_conversations_org_assistant_id_id"), "conversations")
    op.drop_column("conversations", "extra")
    op.drop_column("conversations", "assistant_id")
    op.drop_index(op.f("ix_assistants_org_form_id"), "assistants")
    op.drop_column("assistants", "form")
    op.drop_table("libraries")
    op.drop_table("components")
    op.drop_table("batches")
