"""How Alembic reaches the database: over the connection that ``migrate`` hands it."""

from alembic import context

from vivavoce.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a column in place: Alembic copies the table instead. When it drops the old one, the rows of
    # other tables that refer to it go along (ON DELETE CASCADE): such a table gets and loses columns in place only.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
