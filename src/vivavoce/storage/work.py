"""Tables about the work itself: who does it, what it may cost, when it begins, who is told, how much there is."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from vivavoce.storage.schema import json, metadata

tallies = Table(
    "tallies",
    metadata,
    # How many final runs of a scope there are with ids from the first one on, up to the first of the next tally:
    # ``last_id`` is the greatest that was counted, ``last_at`` when the last of them changed.
    Column("org", String(64), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("first_id", String(64), primary_key=True),
    Column("passed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("last_id", String(64), nullable=False),
    Column("last_at", BigInteger, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    # Who works on this database, as they say themselves every few seconds.
    Column("id", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("places", Integer, nullable=False),
    Column("driving", Integer, nullable=False),
    Column("stopping", Boolean, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    # What the runs of a batch may spend together, and what they have; null sets no limit. Money is in millionths.
    Column("batch_id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("tokens", BigInteger),
    Column("micros", BigInteger),
    Column("spent_tokens", BigInteger, nullable=False),
    Column("spent_micros", BigInteger, nullable=False),
    Column("unpriced_tokens", BigInteger, nullable=False),
    Column("exhausted_at", BigInteger),
)

schedules = Table(
    "schedules",
    metadata,
    # Tests that are run by the calendar; ``next_at`` is null where it is paused.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("next_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

hooks = Table(
    "hooks",
    metadata,
    # Addresses that are told when runs and batches are over.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("kinds", json, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "org", "id"),
)

sessions = Table(
    "sessions",
    metadata,
    # Browsers that showed a key; ``id`` is the hash of what they hold.
    Column("id", String(64), primary_key=True),
    Column("org", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "org", "expires_at"),
)
