"""What many machines need: a queue in the runs' own rows, workers, schedules, budgets, webhooks, organisations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.Column("micros", sa.BigInteger(), nullable=True),
        sa.Column("spent_tokens", sa.BigInteger(), nullable=False),
        sa.Column("spent_micros", sa.BigInteger(), nullable=False),
        sa.Column("unpriced_tokens", sa.BigInteger(), nullable=False),
        sa.Column("exhausted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_budgets")),
    )
    op.create_table(
        "hooks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "kinds", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hooks")),
    )
    with op.batch_alter_table("hooks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hooks_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "orgs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orgs")),
        sa.UniqueConstraint("name", name=op.f("uq_orgs_name")),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schedules_org_id"), ["org", "id"], unique=False)

    op.create_table(
        "tallies",
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("first_id", sa.String(length=64), nullable=False),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.String(length=64), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org", "scope", "first_id", name=op.f("pk_tallies")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("driving", sa.Integer(), nullable=False),
        sa.Column("stopping", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("turn_token", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("turn_until", sa.BigInteger(), nullable=True))
        # SQLite adds only such columns that it works out when they are read; an index of one is kept all the same.
        hour = sa.Computed("last_message_at / 3600000", persisted=op.get_bind().dialect.name == "postgresql")
        batch_op.add_column(sa.Column("active_hour", sa.BigInteger(), hour, nullable=True))
        batch_op.drop_index(batch_op.f("ix_conversations_org_id"))
        batch_op.drop_index(batch_op.f("ix_conversations_org_assistant_id_id"))
        batch_op.create_index(
            batch_op.f("ix_conversations_org_created_at_id"), ["org", "created_at", "id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_conversations_org_active_hour"), ["org", "active_hour"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_conversations_org_name_created_at_id"), ["org", "name", "created_at", "id"], unique=False
        )
        batch_op.create_index(
            "ix_conversations_metadata",
            ["metadata"],
            unique=False,
            postgresql_using="gin",
            postgresql_ops={"metadata": "jsonb_path_ops"},
            sqlite_where=sa.text("org IS NULL"),
        )
        batch_op.create_index(
            "ix_conversations_listed",
            ["org", "id"],
            unique=False,
            sqlite_where=sa.text("assistant_id IS NOT NULL"),
            postgresql_where=sa.text("assistant_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_conversations_listed_with",
            ["org", "assistant_id", "id"],
            unique=False,
            sqlite_where=sa.text("assistant_id IS NOT NULL"),
            postgresql_where=sa.text("assistant_id IS NOT NULL"),
        )

    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("scope", sa.String(length=16), server_default="admin", nullable=False))
        batch_op.create_index(batch_op.f("ix_keys_org_id"), ["org", "id"], unique=False)

    with op.batch_alter_table("scenarios", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_scenarios_org_suite"))
        batch_op.drop_index(batch_op.f("ix_scenarios_org_id"))
        batch_op.create_index(
            "ix_scenarios_active",
            ["org", "id"],
            unique=False,
            sqlite_where=sa.text("retired_at IS NULL"),
            postgresql_where=sa.text("retired_at IS NULL"),
        )
        batch_op.create_index(
            "ix_scenarios_active_in",
            ["org", "suite", "id"],
            unique=False,
            sqlite_where=sa.text("retired_at IS NULL"),
            postgresql_where=sa.text("retired_at IS NULL"),
        )

    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("plays", sa.String(length=64), nullable=True))
        batch_op.create_index(batch_op.f("ix_versions_plays"), ["plays"], unique=False)

    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("worker_id", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("target", sa.Text(), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("priority", sa.Integer(), server_default="10", nullable=False))
        batch_op.add_column(sa.Column("due_at", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("format", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("attempts", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(
            sa.Column(
                "setbacks",
                sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
                server_default="[]",
                nullable=False,
            )
        )
        batch_op.add_column(sa.Column("tally", sa.Integer(), nullable=True))
        batch_op.drop_index(batch_op.f("ix_runs_status_lease_until"))
        batch_op.drop_index(batch_op.f("ix_runs_org_scenario_id_id"))
        batch_op.drop_index(batch_op.f("ix_runs_org_suite_id"))
        batch_op.drop_index(batch_op.f("ix_runs_batch_id"))
        batch_op.create_index(batch_op.f("ix_runs_org_status_id"), ["org", "status", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_runs_org_suite_status_id"), ["org", "suite", "status", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_runs_scenario_id_org_status_id"), ["scenario_id", "org", "status", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_runs_batch_id_org_id_status_suite"),
            ["batch_id", "org", "id", "status", "suite"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_runs_updated_at"), ["updated_at"], unique=False)
        batch_op.create_index(
            "ix_runs_uncounted",
            ["org", "id"],
            unique=False,
            sqlite_where=sa.text("tally IS NULL AND (status || '') IN ('passed', 'failed', 'error')"),
            postgresql_where=sa.text("tally IS NULL AND (status || '') IN ('passed', 'failed', 'error')"),
        )
        batch_op.create_index(
            "ix_runs_driven",
            ["target", "lease_until"],
            unique=False,
            sqlite_where=sa.text("status IN ('starting', 'running')"),
            postgresql_where=sa.text("status IN ('starting', 'running')"),
        )
        batch_op.create_index(
            "ix_runs_waiting",
            ["priority", "id"],
            unique=False,
            sqlite_where=sa.text("status = 'pending'"),
            postgresql_where=sa.text("status = 'pending'"),
        )
        batch_op.create_index(
            "ix_runs_waiting_there",
            ["target", "priority", "id"],
            unique=False,
            sqlite_where=sa.text("status = 'pending'"),
            postgresql_where=sa.text("status = 'pending'"),
        )

    if op.get_bind().dialect.name == "postgresql":
        # Room for what changes all the time: a row that stays on its page leaves the indexes alone.
        for table in ("runs", "conversations"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 80)")
    op.execute("UPDATE versions SET plays = ''")
    plays = "body LIKE '%\"plays\":{%'"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"UPDATE versions SET plays = body::json #>> '{{plays,assistant_id}}' WHERE {plays}")  # noqa: S608
    else:
        op.execute(f"UPDATE versions SET plays = json_extract(body, '$.plays.assistant_id') WHERE {plays}")  # noqa: S608
    op.execute("UPDATE runs SET target = (SELECT target FROM scenarios WHERE scenarios.id = runs.scenario_id)")
    op.execute("INSERT INTO orgs (id, name, created_at) VALUES ('default', 'default', 0)")
    op.execute("INSERT INTO orgs (id, name, created_at) SELECT DISTINCT org, org, 0 FROM keys WHERE org <> 'default'")
    held = sa.text("lease_until IS NOT NULL")
    op.create_index("ix_duties_held", "duties", ["lease_until"], sqlite_where=held, postgresql_where=held)


def downgrade() -> None:
    # In place, and not by a copy of the table: dropping the old one would take what refers to it along.
    op.drop_index("ix_duties_held", "duties")
    op.drop_index("ix_runs_waiting_there", "runs")
    op.drop_index("ix_runs_waiting", "runs")
    op.drop_index("ix_runs_driven", "runs")
    op.drop_index("ix_runs_uncounted", "runs")
    op.drop_index(op.f("ix_runs_updated_at"), "runs")
    op.drop_index(op.f("ix_runs_batch_id_org_id_status_suite"), "runs")
    op.drop_index(op.f("ix_runs_scenario_id_org_status_id"), "runs")
    op.drop_index(op.f("ix_runs_org_suite_status_id"), "runs")
    op.drop_index(op.f("ix_runs_org_status_id"), "runs")
    op.create_index(op.f("ix_runs_batch_id"), "runs", ["batch_id"])
    op.create_index(op.f("ix_runs_org_suite_id"), "runs", ["org", "suite", "id"])
    op.create_index(op.f("ix_runs_org_scenario_id_id"), "runs", ["org", "scenario_id", "id"])
    op.create_index(op.f("ix_runs_status_lease_until"), "runs", ["status", "lease_until"])
    for column in ("tally", "setbacks", "attempts", "format", "due_at", "priority", "target", "worker_id"):
        op.drop_column("runs", column)
    op.drop_index(op.f("ix_keys_org_id"), "keys")
    op.drop_column("keys", "scope")
    op.drop_index(op.f("ix_versions_plays"), "versions")
    op.drop_column("versions", "plays")
    op.drop_index("ix_scenarios_active_in", "scenarios")
    op.drop_index("ix_scenarios_active", "scenarios")
    op.create_index(op.f("ix_scenarios_org_id"), "scenarios", ["org", "id"])
    op.create_index(op.f("ix_scenarios_org_suite"), "scenarios", ["org", "suite"])
    op.drop_index("ix_conversations_metadata", "conversations")
    if op.get_bind().dialect.name == "postgresql":
        for table in ("runs", "conversations"):
            op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
    op.drop_index("ix_conversations_listed_with", "conversations")
    op.drop_index("ix_conversations_listed", "conversations")
    op.drop_index(op.f("ix_conversations_org_name_created_at_id"), "conversations")
    op.drop_index(op.f("ix_conversations_org_active_hour"), "conversations")
    op.drop_index(op.f("ix_conversations_org_created_at_id"), "conversations")
    op.create_index(op.f("ix_conversations_org_assistant_id_id"), "conversations", ["org", "assistant_id", "id"])
    op.create_index(op.f("ix_conversations_org_id"), "conversations", ["org", "id"])
    op.drop_column("conversations", "active_hour")
    op.drop_column("conversations", "turn_until")
    op.drop_column("conversations", "turn_token")
    for table in ("tallies", "workers", "schedules", "orgs", "hooks", "budgets"):
        op.drop_table(table)
