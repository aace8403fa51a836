"""The schema, revision by revision: one tree for SQLite and PostgreSQL."""
