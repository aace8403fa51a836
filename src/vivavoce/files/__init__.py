"""Suites and assistants as files that people write: YAML or JSON (docs/reference/files.md)."""
