"""The tables. Times are milliseconds since the epoch; bodies are JSON text of frozen objects of the core.

Every object belongs to an organisation (``org``); every query of the store names it.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

import vivavoce.storage.work  # noqa: F401  # pyright: ignore[reportUnusedImport]  # the same schema
from vivavoce.storage.schema import json, metadata, only

keys = Table(
    "keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    # What it may do: one of the scopes of the core, which each include those before.
    Column("scope", String(16), nullable=False, server_default="admin"),
    Index(None, "org", "id"),
)

orgs = Table(
    "orgs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

assistants = Table(
    "assistants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("main_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("tags", json, nullable=False, server_default="[]"),
    # Where it was imported from: the provider, and its id there.
    Column("origin", String(64)),
    Column("origin_id", String(255)),
    # What it is made as: the forms of the core.
    Column("form", String(16), nullable=False, server_default="assistant"),
    Index(None, "org", "id"),
    Index(None, "org", "form", "id"),
    Index(None, "org", "origin", "origin_id"),
)

versions = Table(
    "versions",
    metadata,
    Column("assistant_id", String(64), ForeignKey("assistants.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The assistant whose version it plays; empty where it plays none, null where an earlier release wrote it.
    Column("plays", String(64)),
    Index(None, "plays"),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("assistant_id", String(64), ForeignKey("assistants.id", ondelete="CASCADE"), primary_key=True),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

tools = Table(
    "tools",
    metadata,
    # The shared library.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

servers = Table(
    "servers",
    metadata,
    # MCP servers.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

connections = Table(
    "connections",
    metadata,
    # An organisation's use of an integration of the catalog; the secret that opens it is kept under its name.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("integration_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

secrets = Table(
    "secrets",
    metadata,
    # ``sealed`` is what only the server's key opens.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("identifier", String(255), nullable=False),
    Column("type", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("org", "identifier"),
)

scenarios = Table(
    "scenarios",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("suite", Text),
    Column("medium", String(32), nullable=False),
    Column("target", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # One that is retired is in no list; its runs stay.
    Column("retired_at", BigInteger),
    Index("ix_scenarios_active", "org", "id", **only("retired_at IS NULL")),
    Index("ix_scenarios_active_in", "org", "suite", "id", **only("retired_at IS NULL")),
    Index(None, "org", "target", "id"),
)

batches = Table(
    "batches",
    metadata,
    # Runs that were triggered together, of one assistant; how they stand is counted from them.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("assistant_id", String(64), nullable=False),
    Column("version_id", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "assistant_id", "number", "id"),
)

components = Table(
    "components",
    metadata,
    # Parts of flows that several flows share.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

libraries = Table(
    "libraries",
    metadata,
    # Documents under one name; the bucket of their passages is the id.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("status", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

snapshots = Table(
    "snapshots",
    metadata,
    # What a run froze, kept once for all runs that froze the same: the key is the SHA-256 of the body.
    Column("digest", String(64), primary_key=True),
    Column("body", Text, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("name", Text),
    Column("metadata", json, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_message_at", BigInteger, nullable=False),
    # What it started with (variables, memory); null until it has started. Sealed are those that nobody may read.
    Column("opening", Text),
    Column("ended_at", BigInteger),
    # Who speaks in it now, and until when nobody else may: servers of one database take turns.
    Column("turn_token", String(64)),
    Column("turn_until", BigInteger),
    # With whom it is, where it can be listed by that; and what an API keeps with it.
    Column("assistant_id", String(64)),
    Column("extra", json),
    # To find the last active ones by: every message changes the time, and an index of it would be written as often.
    Column("active_hour", BigInteger, Computed("last_message_at / 3600000")),
    Index(None, "org", "created_at", "id"),
    Index(None, "org", "active_hour"),
    Index("ix_conversations_listed", "org", "id", **only("assistant_id IS NOT NULL")),
    Index("ix_conversations_listed_with", "org", "assistant_id", "id", **only("assistant_id IS NOT NULL")),
)

notes = Table(
    "notes",
    metadata,
    # What conversations are found by: a row for each id, name and entry of metadata, which triggers of the database
    # write (migration 0006). ``storage/notes.py`` says how it is read.
    Column("org", String(64), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("created_at", BigInteger, primary_key=True),
    Column("conversation_id", String(64), primary_key=True),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("conversation_id", String(64), ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("scenario_id", String(64), ForeignKey("scenarios.id", ondelete="CASCADE"), nullable=False),
    Column("batch_id", String(64)),
    Column("suite", Text),
    Column("conversation_id", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("trigger", String(32), nullable=False),
    Column("scenario_digest", String(64), ForeignKey("snapshots.digest"), nullable=False),
    Column("version_digest", String(64), ForeignKey("snapshots.digest")),
    # The other assistants that the conversation can be handed to. Not a foreign key: SQLite would have to copy the
    # whole table to add one.
    Column("others_digest", String(64)),
    # What insights found in its conversation.
    Column("finding_id", String(64)),
    Column("version_id", String(64)),
    Column("criteria", json, nullable=False),
    Column("verdicts", Text),
    Column("ending", String(32)),
    Column("fault", String(32)),
    Column("reason", Text, nullable=False, default=""),
    Column("story", Text, nullable=False, default=""),
    Column("talked_ms", BigInteger, nullable=False, default=0),
    Column("usage", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("completed_at", BigInteger),
    # The lease: who drives the run, until when, and how often it was handed out. ``progress`` is how many events
    # there were when it was last taken back, ``stalls`` how often that happened without a new event in between.
    Column("dispatch", Integer, nullable=False, default=1),
    Column("progress", Integer, nullable=False, default=0),
    Column("stalls", Integer, nullable=False, default=0),
    Column("lease_token", String(64)),
    Column("lease_until", BigInteger),
    Column("worker_id", String(64)),
    # The queue: where the run goes, how urgent it is, from when on it may be taken, and by whom: by workers that read
    # this format. ``attempts`` and ``setbacks`` (a list of reasons) tell of attempts that the world broke off.
    Column("target", Text, nullable=False, server_default=text("''")),
    Column("priority", Integer, nullable=False, server_default="10"),
    Column("due_at", BigInteger, nullable=False, server_default="0"),
    Column("format", Integer, nullable=False, server_default="1"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("setbacks", json, nullable=False, server_default="[]"),
    # 1 where the tallies count it; null until it is final and was counted.
    Column("tally", Integer),
    # How long the assistant took for each of its answers, in milliseconds; null until it is over.
    Column("response_ms", json),
    # What its models cost, by their names: tokens of questions, and of answers; null as long.
    Column("tokens", json),
    # From one batch of an organisation to the next.
    Index("ix_runs_batches", "org", "batch_id", "id", **only("batch_id IS NOT NULL")),
    Index(None, "org", "status", "id"),
    # Not by organisation first: whoever deletes a scenario looks for its runs without.
    Index(None, "scenario_id", "org", "status", "id"),
    Index(None, "org", "suite", "status", "id"),
    Index(None, "batch_id", "org", "id", "status", "suite"),
    # By the time alone: whoever watches asks for what changed of anybody.
    Index(None, "updated_at"),
    # The status is wrapped so that no planner takes another index for what this one is there for.
    Index(
        "ix_runs_uncounted", "org", "id", **only("tally IS NULL AND (status || '') IN ('passed', 'failed', 'error')")
    ),
    Index("ix_runs_waiting", "priority", "id", **only("status = 'pending'")),
    Index("ix_runs_waiting_there", "target", "priority", "id", **only("status = 'pending'")),
    Index("ix_runs_driven", "target", "lease_until", **only("status IN ('starting', 'running')")),
    Index(None, "scenario_digest"),
    Index(None, "version_digest"),
    Index(None, "others_digest"),
    Index(None, "conversation_id"),
)

answers = Table(
    "answers",
    metadata,
    # Answers already given to a request with an idempotency key; status None while the first is in flight.
    Column("org", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("method", String(8), primary_key=True),
    Column("path", String(1024), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "created_at"),
)

insights = Table(
    "insights",
    metadata,
    # Questions that are asked of conversations when they are over.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

insight_groups = Table(
    "insight_groups",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

insight_members = Table(
    "insight_members",
    metadata,
    Column("group_id", String(64), ForeignKey("insight_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("insight_id", String(64), ForeignKey("insights.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, nullable=False),
    Index(None, "insight_id"),
)

findings = Table(
    "findings",
    metadata,
    # One group of insights asked of one conversation.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("conversation_id", String(64), ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("group_id", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
    Index(None, "org", "created_at"),
    Index(None, "conversation_id"),
)

finding_results = Table(
    "finding_results",
    metadata,
    Column("finding_id", String(64), ForeignKey("findings.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("insight_id", String(64), nullable=False),
    Column("insight_name", Text, nullable=False),
    Column("result", Text, nullable=False),
    Index(None, "insight_id"),
)

appointments = Table(
    "appointments",
    metadata,
    # Calls and messages that are to go out at their time.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("assistant_id", String(64), nullable=False),
    Column("medium", String(32), nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "assistant_id", "due_at"),
    Index(None, "org", "id"),
)

texts = Table(
    "texts",
    metadata,
    # Text messages that went out or came in.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("conversation_id", String(64)),
    Column("direction", String(8), nullable=False),
    Column("medium", String(32), nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    # The provider's own id: what comes in twice is kept once.
    Column("provider_id", String(255)),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("org", "provider_id"),
    Index(None, "org", "id"),
    Index(None, "org", "conversation_id"),
    Index(None, "org", "sender", "recipient", "id"),
    Index(None, "org", "recipient", "id"),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("bucket", String(255), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "bucket"),
)

passages = Table(
    "passages",
    metadata,
    # ``vector`` is little-endian 32-bit floats, of ``model``; null where no model embeds here.
    Column("document_id", String(64), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("model", Text),
    Column("vector", LargeBinary),
)

duties = Table(
    "duties",
    metadata,
    # What is to be done once at its time, also when no request waits for it. One of a kind for each subject.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("lease_token", String(64)),
    Column("lease_until", BigInteger),
    UniqueConstraint("kind", "subject"),
    Index(None, "due_at"),
    Index(None, "kind", "due_at", "id"),
    Index("ix_duties_held", "lease_until", **only("lease_until IS NOT NULL")),
)
