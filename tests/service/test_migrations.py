"""Migrations: forward and back, with data, on both databases."""

import os
import subprocess
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, insert, inspect, select, text
from sqlalchemy.engine import make_url

from privwiz.errors import DataError
from privwiz_api.database import Database
from privwiz_api.documents import Catalogue, pack, unpack
from privwiz_api.migrate import is_current, migrate, migrate_back
from privwiz_api.tables import acceptances, answers, audit, catalogues, idempotency, metadata, users


@pytest.fixture
def database(database_url, tmp_path):
    """Return an empty database of its own, of both kinds in turn."""
    if database_url.startswith("sqlite"):
        database = Database(f"sqlite:///{tmp_path}/own.db")
    else:
        name = f"own_{uuid.uuid4().hex}"
        engine = create_engine(Database(database_url).url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        database = Database(make_url(database_url).set(database=name).render_as_string(hide_password=False))
    yield database
    database.close()


def fill(database):
    """Put a user with an answer into the tables."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    with database.write("test") as connection:
        row = {"tenant": "t", "id": "ann", "generation": "g", "revision": 2, "network_revision": 1, "created_at": now}
        connection.execute(insert(users).values(row))
        connection.execute(insert(answers).values(tenant="t", user="ann", seq=1, at=now, document=b"x"))
    return now


def test_forward_and_back_with_data(database):
    """Forward makes exactly the tables of the code and is repeatable; back leaves nothing; then forward again works."""
    assert not is_current(database)
    migrate(database)
    assert is_current(database)
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    now = fill(database)
    migrate(database)
    with database.read() as connection:
        assert connection.execute(select(answers)).all() == [("t", "ann", 1, now, b"x")]
    migrate_back(database, "base")
    with database.read() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    assert not is_current(database)
    migrate(database)
    assert fill(database)


def test_back_to_what_never_was(database):
    """A revision that there is none of is refused in a sentence, and nothing changes."""
    migrate(database)
    with pytest.raises(DataError, match=r"the tables cannot go back to '9999' \(.*\); name an earlier revision, or base"):
        migrate_back(database, "9999")
    assert is_current(database)


@pytest.mark.parametrize("revision", ["9999", "0001", "base"])
def test_going_back_makes_no_database(revision, tmp_path):
    """Where there is no database, going back says so, and leaves none behind."""
    missing = pytest.raises(DataError, match=r"privwiz\.db: there is no such database; check the path$")
    with closing(Database(f"sqlite:///{tmp_path / 'privwiz.db'}")) as nowhere, missing:
        migrate_back(nowhere, revision)
    assert not list(tmp_path.iterdir())


def test_catalogues_and_acceptances_of_the_first_version(database):
    """What was accepted before it was written of which catalogue is of none but the library's; back, all is as it was."""
    migrate(database)
    migrate_back(database, "0001")
    now = fill(database)
    items = [{"id": "phone", "sensitivity": 0.5, "en": "Phone", "zh": "电话", "cost_ratio": 5.0}]
    with database.write("test") as connection:
        connection.execute(insert(catalogues).values(tenant="t", revision=3, document=pack(items)))
        row = {"tenant": "t", "user": "ann", "seq": 1, "at": now, "kind": "accept", "revision": 2, "decisions": b"x"}
        connection.execute(insert(acceptances).values(row))
    migrate(database)
    with database.read() as connection:
        assert connection.scalar(select(acceptances.c.catalogue)) == 0
        catalogue = Catalogue.read(3, connection.scalar(select(catalogues.c.document)))
    assert (catalogue.items[0].zh, catalogue.since) == ("电话", {"phone": 3})
    migrate_back(database, "0001")
    with database.read() as connection:
        assert unpack(connection.scalar(select(catalogues.c.document))) == items
        assert "catalogue" not in {known["name"] for known in inspect(connection).get_columns("acceptances")}


def test_long_callers_of_the_third_version(database):
    """Back to shorter names the audit log keeps its rows."""
    migrate(database)
    actor, now = f"user:{'x' * 128}", datetime.now(UTC)
    with database.write("test") as connection:
        connection.execute(insert(audit).values(at=now, tenant="t", actor=actor, action="answers.add", request="r"))
        kept = {"tenant": "t", "key": "k", "request": "d", "status": 200, "headers": b"", "body": b"", "at": now}
        connection.execute(insert(idempotency), [kept | {"caller": actor}, kept | {"caller": "user:ann"}])
    migrate_back(database, "0002")
    with database.read() as connection:
        assert connection.scalars(select(audit.c.actor)).all() == [actor[:128]]
        assert connection.scalars(select(idempotency.c.caller)).all() == ["user:ann"]
    migrate(database)


def test_a_migration_that_fails_changes_nothing(database, monkeypatch):
    """Half a migration is none: what it made is rolled back."""
    import alembic.op

    real = alembic.op.create_table
    made = []

    def fail_late(name, *columns, **options):
        made.append(name)
        if len(made) == 5:
            raise RuntimeError("killed")
        return real(name, *columns, **options)

    monkeypatch.setattr(alembic.op, "create_table", fail_late)
    with pytest.raises(RuntimeError, match="killed"):
        migrate(database)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_database_that_does_not_answer_is_told_in_one_line(command):
    """Whoever starts or migrates the service without its database reads one line, and no traceback."""
    words, environment = [Path(sys.executable).with_name("privwiz"), command], {"DATABASE_URL": "postgresql://127.0.0.1:9/none"}
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the database refused (connection failed: ")
    assert len(done.stderr.splitlines()) == 1
