"""What time it is in the database, which all who work on it share."""

from sqlalchemy import BigInteger, ColumnElement, cast, func, literal_column, select

from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx


def database_now(tx: Tx) -> ColumnElement[int]:
    """Milliseconds since the epoch by the database's clock."""
    if tx.dialect.name == "postgresql":
        return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
    return literal_column("CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", BigInteger)


def read_clock(tx: Tx) -> Millis:
    """What time it is there now."""
    return tx.execute(select(database_now(tx))).scalar_one()
