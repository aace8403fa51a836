"""What the database itself saw: every lease, every change of a run's status and verdicts, and every event."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, text

_TRIGGERS = """
CREATE TABLE chaos_runs (
    n bigserial PRIMARY KEY, at float8 NOT NULL DEFAULT extract(epoch FROM clock_timestamp()), run_id text NOT NULL,
    before text NOT NULL, after text NOT NULL, token text, worker_id text,
    decided boolean NOT NULL, late boolean NOT NULL
);
CREATE TABLE chaos_events (
    at float8 NOT NULL DEFAULT extract(epoch FROM clock_timestamp()), conversation_id text NOT NULL, turn int NOT NULL,
    what text NOT NULL
);
CREATE FUNCTION chaos_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_runs (run_id, before, after, token, worker_id, decided, late) VALUES (
        NEW.id, OLD.status, NEW.status, NEW.lease_token, NEW.worker_id, OLD.verdicts IS DISTINCT FROM NEW.verdicts,
        OLD.completed_at IS NOT NULL
    );
    RETURN NULL;
END $$;
CREATE FUNCTION chaos_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_events (conversation_id, turn, what) VALUES (
        coalesce(NEW.conversation_id, OLD.conversation_id), coalesce(NEW.turn, OLD.turn), TG_OP
    );
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_run AFTER UPDATE ON runs FOR EACH ROW WHEN (
    OLD.status IS DISTINCT FROM NEW.status OR OLD.lease_token IS DISTINCT FROM NEW.lease_token
    OR OLD.verdicts IS DISTINCT FROM NEW.verdicts OR OLD.reason IS DISTINCT FROM NEW.reason
    OR OLD.ending IS DISTINCT FROM NEW.ending OR OLD.completed_at IS DISTINCT FROM NEW.completed_at
) EXECUTE FUNCTION chaos_run();
CREATE TRIGGER chaos_event AFTER INSERT OR UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION chaos_event();
"""
# What may differ between two conversations that are the same.
_TIMES = frozenset({"at", "took_ms", "usage"})


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a run. ``token`` is the lease after it, ``late`` that the run was over before."""

    at: float
    before: str
    after: str
    token: str | None
    worker_id: str | None
    decided: bool
    late: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run at the end, and how it came there. ``turns`` are (when, turn, what was done) of its events, ``told`` its
    events without times and without its tag."""

    id: str
    tag: str
    status: str
    reason: str
    attempts: int
    setbacks: Sequence[str]
    changes: Sequence[Change]
    turns: Sequence[tuple[float, int, str]]
    told: Sequence[str]


class Audit:
    """A connection of its own to the database, beside those that are audited."""

    def __init__(self, url: str) -> None:
        self._connection: Connection = (
            create_engine(url, poolclass=NullPool).connect().execution_options(isolation_level="AUTOCOMMIT")
        )

    def install(self) -> None:
        """Begin to watch."""
        self._connection.exec_driver_sql(_TRIGGERS)

    def cut(self, name: str | None) -> int:
        """End the connections of one process, or of all; returns how many there were."""
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND (CAST(:name AS text) IS NULL OR application_name = :name)"
        )
        return int(self._connection.execute(text(query), {"name": name}).scalar_one())

    def names(self) -> set[str]:
        """What the processes' connections are called."""
        query = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
        return set(self._connection.execute(text(query)).scalars())

    def unfinished(self) -> dict[str, int]:
        """How many runs stand how, of those that are not over."""
        query = "SELECT status, count(*) FROM runs WHERE completed_at IS NULL GROUP BY status"
        return {str(status): int(many) for status, many in self._connection.execute(text(query))}

    def triggered(self) -> int:
        """How many runs there are."""
        return int(self._connection.execute(text("SELECT count(*) FROM runs")).scalar_one())

    def leases(self) -> int:
        """How many runs still belong to somebody."""
        query = "SELECT count(*) FROM runs WHERE lease_token IS NOT NULL"
        return int(self._connection.execute(text(query)).scalar_one())

    def records(self) -> list[Recorded]:
        """Every run."""
        changes: dict[str, list[Change]] = {}
        query = "SELECT run_id, at, before, after, token, worker_id, decided, late FROM chaos_runs ORDER BY n"
        for run_id, *rest in self._connection.execute(text(query)):
            changes.setdefault(run_id, []).append(Change(*rest))
        turns: dict[str, list[tuple[float, int, str]]] = {}
        query = "SELECT conversation_id, at, turn, what FROM chaos_events ORDER BY at"
        for conversation_id, *turn in self._connection.execute(text(query)):
            turns.setdefault(conversation_id, []).append((turn[0], turn[1], turn[2]))
        told: dict[str, list[str]] = {}
        for conversation_id, body in self._connection.execute(
            text("SELECT conversation_id, body FROM events ORDER BY conversation_id, turn")
        ):
            told.setdefault(conversation_id, []).append(body)
        query = (
            "SELECT runs.id, conversation_id, status, reason, attempts, setbacks, CAST(scenarios.body AS json) "
            "FROM runs JOIN scenarios ON scenarios.id = scenario_id ORDER BY runs.id"
        )
        return [
            Recorded(
                run_id,
                scenario["name"],
                status,
                reason,
                attempts,
                setbacks,
                changes.get(run_id, []),
                turns.get(conversation_id, []),
                [_plain(body, scenario["name"]) for body in told.get(conversation_id, [])],
            )
            for run_id, conversation_id, status, reason, attempts, setbacks, scenario in self._connection.execute(
                text(query)
            )
        ]

    def close(self) -> None:
        """Stop watching."""
        self._connection.close()
        self._connection.engine.dispose()


def _plain(body: str, tag: str) -> str:
    event: dict[str, Any] = json.loads(body)
    return json.dumps({name: value for name, value in event.items() if name not in _TIMES}).replace(tag, "case")
