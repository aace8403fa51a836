"""The tables. Times are milliseconds since the epoch; bodies are JSON text of frozen objects of the core.

Every object belongs to an organisation (``org``); every query of the store names it.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
_json = JSON().with_variant(JSONB(), "postgresql")

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
)

assistants = Table(
    "assistants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("main_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index(None, "org", "id"),
)

versions = Table(
    "versions",
    metadata,
    Column("assistant_id", String(64), ForeignKey("assistants.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
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
    Index(None, "org", "id"),
    Index(None, "org", "suite"),
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
    Column("metadata", _json, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_message_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
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
    Column("version_id", String(64)),
    Column("criteria", _json, nullable=False),
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
    Index(None, "org", "scenario_id", "id"),
    Index(None, "org", "suite", "id"),
    Index(None, "batch_id"),
    Index(None, "scenario_digest"),
    Index(None, "version_digest"),
    Index(None, "conversation_id"),
    Index(None, "status", "lease_until"),
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
