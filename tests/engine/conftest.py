from tests.support.desk import brisk, desk
from tests.support.store import database, database_url, empty_url, postgres_shared, sqlite_template

__all__ = ["brisk", "database", "database_url", "desk", "empty_url", "postgres_shared", "sqlite_template"]
