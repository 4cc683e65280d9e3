"""The database: SQLite or PostgreSQL, short transactions, connections opened in the process that uses them."""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, Select, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from privwiz.errors import DataError

__all__ = ["Database", "database_errors"]

_BUSY_MILLISECONDS = 10_000


class Database:
    """Where the inputs are kept.

    Parameters
    ----------
    url : str
        ``sqlite:///path``, or ``postgresql://user:password@host/name`` in any form that libpq's driver psycopg takes.

    Raises
    ------
    DataError
        If the URL is of another kind, or is not one. It is not repeated: it may hold a password.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise DataError("the database URL cannot be read; give sqlite:///path or postgresql://...") from None
        kind = parsed.get_backend_name()
        if kind not in ("sqlite", "postgresql"):
            raise DataError(f"databases of kind {kind!r} are not supported; give sqlite:///path or postgresql://...")
        if kind == "sqlite" and parsed.database in (None, "", ":memory:"):
            raise DataError("a database in memory is not shared by the threads of a server; give sqlite:///path")
        self.url = parsed if kind == "sqlite" else parsed.set(drivername="postgresql+psycopg")
        self.is_sqlite = kind == "sqlite"
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._process = 0

    @property
    def engine(self) -> Engine:
        """The connections of this process: a child that was forked opens its own."""
        if self._engine is None or self._process != os.getpid():
            with self._lock:
                if self._engine is None or self._process != os.getpid():
                    self._engine, self._process = self._open(), os.getpid()
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Read one consistent state."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**options) as connection:
            yield connection

    def prepared(self, statement: Select[Any]) -> Callable[[Mapping[str, str]], tuple[Any, ...] | None]:
        """Return a function that reads the row that a statement finds, by the driver itself: values of its parameters -> row.

        For what every request looks up: what SQLAlchemy does around a statement takes several times as long as the statement.
        """
        dialect: Any = self.url.get_dialect()
        sql = str(statement.compile(dialect=dialect(paramstyle="named" if self.is_sqlite else "pyformat")))

        def find(values: Mapping[str, str]) -> tuple[Any, ...] | None:
            try:
                with closing(self.engine.raw_connection()) as connection:
                    driver: Any = connection.driver_connection
                    return cast("tuple[Any, ...] | None", driver.execute(sql, values).fetchone())
            except self.engine.dialect.loaded_dbapi.Error as error:
                raise DBAPIError(sql, None, error) from error

        return find

    @contextmanager
    def write(self, lock: str) -> Iterator[Connection]:
        """Change the database in one transaction, after everybody else who holds the same lock, and before the next one.

        SQLite has one writer at a time anyway.
        """
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            if not self.is_sqlite:
                number = int.from_bytes(hashlib.sha256(lock.encode()).digest()[:8], "big", signed=True)
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
            yield connection

    def close(self) -> None:
        """Close the connections that are not in use."""
        if self._engine is not None and self._process == os.getpid():
            self._engine.dispose()

    def settle(self) -> None:
        """Bring all that was written into SQLite's one file, when no process uses it any more."""
        if self.is_sqlite:
            self.close()
            there = f"{Path(str(self.url.database)).absolute().as_uri()}?mode=rw"
            with suppress(sqlite3.Error), closing(sqlite3.connect(there, uri=True)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self) -> Engine:
        if not self.is_sqlite:
            options = f"-c statement_timeout=30000 -c lock_timeout={_BUSY_MILLISECONDS} -c timezone=UTC"
            return create_engine(
                self.url,
                pool_size=8,
                max_overflow=24,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 5, "options": options},
            )
        engine = create_engine(self.url, pool_size=8, max_overflow=24, connect_args={"timeout": _BUSY_MILLISECONDS / 1000})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None
    waits = f"busy_timeout={_BUSY_MILLISECONDS}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", waits):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where something will be written: a reader that turns writer can be refused half-way."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def database_errors() -> Iterator[None]:
    """Tell in one line what the database refuses, for a command.

    Raises
    ------
    DataError
        In place of an error of the database.
    KeyboardInterrupt
        In place of one that only followed from an interrupt, such as of a connection that was left in the middle.
    """
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise DataError(f"the database refused ({reason:.200}); mend it and run again") from None
