"""Run migrations on the connection that `privwiz_api.migrate` hands over, in its transaction."""

from alembic import context

from privwiz_api.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True, transactional_ddl=True
)
context.run_migrations()
