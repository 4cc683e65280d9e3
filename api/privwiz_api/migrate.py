"""Migrations: bring the tables to the form that this version needs, or back."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from privwiz.errors import DataError
from privwiz_api.database import Database

__all__ = ["check_current", "is_current", "migrate", "migrate_back", "prepare"]


def migrate(database: Database) -> None:
    """Bring the tables to the form that this version needs; of several processes one does it, in one transaction."""
    with database.write("migrate") as connection:
        command.upgrade(_config(connection), "head")


def migrate_back(database: Database, revision: str) -> None:
    """Bring the tables back to an earlier form; ``"base"`` takes them away, with all that is in them.

    Raises
    ------
    DataError
        If there is no such form to go back to, or the embedded database is not there. Nothing changes then.
    """
    _check_there(database)
    try:
        with database.write("migrate") as connection:
            command.downgrade(_config(connection), revision)
    except CommandError as error:
        raise DataError(f"the tables cannot go back to {revision!r} ({error}); name an earlier revision, or base") from None


def prepare(database: Database) -> None:
    """Bring the embedded database up to date; a server's is the operator's to migrate, and is checked."""
    if database.is_sqlite:
        migrate(database)
    else:
        check_current(database)


def check_current(database: Database) -> None:
    """Check that the tables are those of this version, and make nothing.

    Raises
    ------
    DataError
        If they are others, or the embedded database is not there.
    """
    _check_there(database)
    if not is_current(database):
        raise DataError("the database has other tables than this version needs; run `privwiz migrate` first")


def is_current(database: Database) -> bool:
    """Whether the tables are those of this version."""
    with database.read() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present == ScriptDirectory.from_config(_config(None)).get_current_head()


def _check_there(database: Database) -> None:
    path = database.url.database
    if database.is_sqlite and not Path(path or "").exists():
        raise DataError("there is no such database; check the path", source=path)


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
