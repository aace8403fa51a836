"""What all tables have in common: one schema, its names, and how JSON is kept."""

from typing import Any

from sqlalchemy import JSON, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
json = JSON().with_variant(JSONB(), "postgresql")


def only(condition: str) -> dict[str, Any]:
    """An index of the rows for which this holds."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
