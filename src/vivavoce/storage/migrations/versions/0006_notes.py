"""What conversations are found by: a row for each id, name and entry of metadata, on both databases.

A database writes them itself, so that releases before this one, which go on while a newer one starts, do as well.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = ["org", "name", "value", "created_at", "conversation_id"]

# A row has to fit into a page of an index: of what is longer, 255 characters are noted. Entries of metadata are noted
# under their keys, as the revision before has it; what else is noted, under names that begin with a character (1) with
# which no key begins that is noted.

LITE_FACTS = """
SELECT key AS name, substr(CAST(value AS TEXT), 1, 255) AS value FROM json_each(one.metadata)
    WHERE length(key) <= 255 AND value IS NOT NULL AND substr(key, 1, 1) <> char(1)
UNION ALL SELECT char(1) || CASE WHEN one.name IS NULL THEN 'nameless' ELSE 'name' END,
    substr(coalesce(one.name, ''), 1, 255)
UNION ALL SELECT char(1) || 'id', one.id
"""
LITE_FILL = """
INSERT INTO notes
SELECT one.org, key, substr(CAST(value AS TEXT), 1, 255), one.created_at, one.id
    FROM conversations AS one, json_each(one.metadata)
    WHERE length(key) <= 255 AND value IS NOT NULL AND substr(key, 1, 1) <> char(1)
UNION ALL SELECT org, char(1) || CASE WHEN name IS NULL THEN 'nameless' ELSE 'name' END,
    substr(coalesce(name, ''), 1, 255), created_at, id FROM conversations
UNION ALL SELECT org, char(1) || 'id', id, created_at, id FROM conversations
ORDER BY 1, 2, 3, 4, 5
"""
LITE_NOTE = """
INSERT OR IGNORE INTO notes SELECT NEW.org, name, value, NEW.created_at, NEW.id FROM (?);
""".replace("?", LITE_FACTS.replace("one.", "NEW."))
# Each by the whole key: of a row of values that are compared with a compound query, SQLite would use no index.
LITE_FORGET = """
DELETE FROM notes WHERE org = OLD.org AND (name, value) IN (SELECT * FROM (?))
    AND created_at = OLD.created_at AND conversation_id = OLD.id;
""".replace("?", LITE_FACTS.replace("one.", "OLD."))
LITE_CHANGED = (
    "UPDATE OF metadata, name ON conversations WHEN OLD.metadata IS NOT NEW.metadata OR OLD.name IS NOT NEW.name"
)
LITE_TRIGGERS = {
    "conversations_noted": f"AFTER INSERT ON conversations BEGIN {LITE_NOTE} END",
    "conversations_noted_anew": f"AFTER {LITE_CHANGED} BEGIN {LITE_FORGET} {LITE_NOTE} END",
    "conversations_gone": f"AFTER DELETE ON conversations BEGIN {LITE_FORGET} END",
}

FACTS = """
CREATE FUNCTION noted(id text, title text, entries jsonb) RETURNS TABLE (name text, value text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT key, left(value, 255) FROM jsonb_each_text(entries)
        WHERE char_length(key) <= 255 AND value IS NOT NULL AND left(key, 1) <> chr(1)
    UNION ALL
    SELECT chr(1) || CASE WHEN title IS NULL THEN 'nameless' ELSE 'name' END, left(coalesce(title, ''), 255)
    UNION ALL
    SELECT chr(1) || 'id', id
$$
"""
# Where it finds the tables is written down with it: who restores a dump has another search path.
NOTE = """
CREATE FUNCTION note_conversation() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE fact record;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        -- One after the other, each by the key.
        FOR fact IN SELECT * FROM noted(OLD.id, OLD.name, OLD.metadata) LOOP
            DELETE FROM notes AS n WHERE n.org = OLD.org AND n.name = fact.name AND n.value = fact.value
                AND n.created_at = OLD.created_at AND n.conversation_id = OLD.id;
        END LOOP;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO notes SELECT NEW.org, f.name, f.value, NEW.created_at, NEW.id
            FROM noted(NEW.id, NEW.name, NEW.metadata) AS f ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$
"""
NOTING = "FOR EACH ROW EXECUTE FUNCTION note_conversation()"
CHANGED = (
    "UPDATE OF metadata, name ON conversations FOR EACH ROW WHEN (OLD.metadata IS DISTINCT FROM NEW.metadata"
    " OR OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION note_conversation()"
)
TRIGGERS = {
    "conversations_noted": f"AFTER INSERT ON conversations {NOTING}",
    "conversations_noted_anew": f"AFTER {CHANGED}",
    "conversations_gone": f"AFTER DELETE ON conversations {NOTING}",
}
FILL = (
    "INSERT INTO notes SELECT c.org, f.name, f.value, c.created_at, c.id"
    " FROM conversations AS c, noted(c.id, c.name, c.metadata) AS f"
)


def upgrade() -> None:
    lite_one = op.get_bind().dialect.name == "sqlite"
    if lite_one:
        for name in LITE_TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    op.drop_table("notes")
    code_points = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "notes",
        sa.Column("org", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", code_points, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        *([sa.PrimaryKeyConstraint(*KEY, name="pk_notes")] if lite_one else []),
        sqlite_with_rowid=False,
    )
    if lite_one:
        op.execute(LITE_FILL)
        for name, what in LITE_TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {what}")
    else:
        _fill_beside_others()
    op.drop_index("ix_conversations_metadata", "conversations")
    op.drop_index(op.f("ix_conversations_org_name_created_at_id"), "conversations")


def _fill_beside_others() -> None:
    """Others write conversations all the while: they wait only for the end, in which what they wrote is noted."""
    op.execute(FACTS)
    op.execute(NOTE)
    began = "SELECT mod(txid_snapshot_xmin(txid_current_snapshot()), 4294967296)"
    first = int(op.get_bind().execute(sa.text(began)).scalar_one())
    op.execute(FILL)
    op.create_primary_key("pk_notes", "notes", KEY)
    op.execute("ANALYZE notes")
    # From here on others wait, readers too. Indexes will be dropped: who waited for the triggers alone, and held what
    # that needs, would wait for ever.
    op.execute("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
    for name, what in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {what}")
    # Whatever was written since, it was by a transaction that is no older than the oldest of then.
    since = f" age(c.xmin) <= age(CAST('{first}' AS xid))"
    kept = "SELECT 1 FROM conversations AS c WHERE c.id = n.conversation_id AND NOT ?".replace("?", since)
    op.execute("DELETE FROM notes AS n WHERE NOT EXISTS (?)".replace("?", kept))
    op.execute(FILL + " WHERE" + since + " ON CONFLICT DO NOTHING")


# As the revision before had it.
LITE_BEFORE = {
    "conversations_noted": "AFTER INSERT ON conversations BEGIN"
    " INSERT INTO notes SELECT NEW.id, key, CAST(value AS TEXT) FROM json_each(NEW.metadata); END",
    "conversations_noted_anew": "AFTER UPDATE OF metadata ON conversations WHEN OLD.metadata IS NOT NEW.metadata BEGIN"
    " DELETE FROM notes WHERE conversation_id = OLD.id;"
    " INSERT INTO notes SELECT NEW.id, key, CAST(value AS TEXT) FROM json_each(NEW.metadata); END",
    "conversations_gone": "AFTER DELETE ON conversations BEGIN DELETE FROM notes WHERE conversation_id = OLD.id; END",
}


def downgrade() -> None:
    lite_one = op.get_bind().dialect.name == "sqlite"
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER {name}" + ("" if lite_one else " ON conversations"))
    if not lite_one:
        op.execute("DROP FUNCTION note_conversation()")
        op.execute("DROP FUNCTION noted(text, text, jsonb)")
    op.drop_table("notes")
    op.create_table(
        "notes",
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("conversation_id", "name", name=op.f("pk_notes")),
    )
    op.create_index(op.f("ix_notes_name_value_conversation_id"), "notes", ["name", "value", "conversation_id"])
    if lite_one:
        known = "SELECT c.id, e.key, CAST(e.value AS TEXT) FROM conversations AS c, json_each(c.metadata) AS e"
        op.execute("INSERT INTO notes " + known)
        for name, what in LITE_BEFORE.items():
            op.execute(f"CREATE TRIGGER {name} {what}")
    names = ["org", "name", "created_at", "id"]
    op.create_index(op.f("ix_conversations_org_name_created_at_id"), "conversations", names)
    op.create_index(
        "ix_conversations_metadata",
        "conversations",
        ["metadata"],
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
        sqlite_where=sa.text("org IS NULL"),
    )
