"""Databases as servers of earlier releases left them: ``tests/first_release.json`` and those after it."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import MetaData, insert

from vivavoce.storage.database import Tx
from vivavoce.storage.migrate import config

_HERE = Path(__file__).parents[1]


def release(name: str) -> Any:
    """``rows`` by table, and ``answers`` of its API about them."""
    return json.loads((_HERE / f"{name}_release.json").read_text("utf-8"))


def put_back(tx: Tx, revision: str, rows: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Make the schema of that revision in an empty database, and put the rows there."""
    command.upgrade(config(tx), revision)
    tables = MetaData()
    tables.reflect(tx)
    for name, kept in rows.items():
        if kept:
            tx.execute(insert(tables.tables[name]), [_row(row) for row in kept])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """JSON has no bytes."""
    if isinstance(value, dict) and value.keys() == {"base64"}:  # pyright: ignore[reportUnknownMemberType]
        return base64.b64decode(value["base64"])  # pyright: ignore[reportUnknownArgumentType]
    return value  # pyright: ignore[reportUnknownVariableType]
