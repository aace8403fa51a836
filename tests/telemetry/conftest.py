from tests.services.conftest import ctx, hand
from tests.support.store import database, database_url, postgres_shared, sqlite_template

__all__ = ["ctx", "database", "database_url", "hand", "postgres_shared", "sqlite_template"]
