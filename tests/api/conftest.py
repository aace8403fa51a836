from tests.support.store import database, database_url, postgres_shared, sqlite_template

__all__ = ["database", "database_url", "postgres_shared", "sqlite_template"]
