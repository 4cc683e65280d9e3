"""The tables. They hold inputs only: what an SNS and its users sent and decided; what follows from these is computed."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import TypeDecorator

__all__ = [
    "Moment",
    "acceptances",
    "answers",
    "audit",
    "catalogues",
    "corrections",
    "idempotency",
    "leases",
    "metadata",
    "networks",
    "outbox",
    "users",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

_ID = String(128)
_CALLER = String(140)
_NUMBER = BigInteger().with_variant(Integer, "sqlite")


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: SQLite keeps no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:  # noqa: ARG002
        """Say that what was read is in UTC."""
        return value if value is None else value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


_TIME = Moment()


def _of_user(name: str, *columns: Column[object], numbered: bool = True) -> Table:
    """Make a table of what belongs to one user, numbered from 1 in the order it came, and gone when the user is."""
    number = [Column("seq", Integer, primary_key=True, autoincrement=False)] if numbered else []
    return Table(
        name,
        metadata,
        Column("tenant", _ID, primary_key=True),
        Column("user", _ID, primary_key=True),
        *number,
        *columns,
        ForeignKeyConstraint(["tenant", "user"], ["users.tenant", "users.id"], ondelete="CASCADE"),
    )


users = Table(
    "users",
    metadata,
    Column("tenant", _ID, primary_key=True),
    Column("id", _ID, primary_key=True),
    Column("generation", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("network_revision", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False),
)
"""`generation` is drawn when the user is made, so that nobody takes a user for one of the same id who was erased; `revision`
counts every change; `network_revision` is the revision of the last change to network or circles."""

networks = _of_user("networks", Column("document", LargeBinary, nullable=False), numbered=False)
answers = _of_user("answers", Column("at", _TIME, nullable=False), Column("document", LargeBinary, nullable=False))
corrections = _of_user("corrections", Column("at", _TIME, nullable=False), Column("document", LargeBinary, nullable=False))
acceptances = _of_user(
    "acceptances",
    Column("at", _TIME, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("decisions", LargeBinary, nullable=False),
    Column("policy", LargeBinary),
    Column("catalogue", Integer, nullable=False, server_default="0"),
)
"""What has been accepted: the decisions that are in force from then on, for `accept` the policy that was looked at, and the
revision of the catalogue that it was about."""

catalogues = Table(
    "catalogues",
    metadata,
    Column("tenant", _ID, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant", _ID, primary_key=True),
    Column("caller", _CALLER, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("user", _ID),
    Column("request", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", _TIME, nullable=False, index=True),
    Index(None, "tenant", "user"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", _NUMBER, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("tenant", _ID, nullable=False),
    Column("user", _ID, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", _TIME, nullable=False, index=True),
    Index(None, "tenant", "user"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(36), nullable=False),
    Column("until", _TIME, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", _NUMBER, primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("tenant", _ID, nullable=False),
    Column("user", _ID),
    Column("actor", _CALLER),
    Column("action", String(32), nullable=False),
    Column("revision", Integer),
    Column("request", String(64), nullable=False),
    Index(None, "tenant", "user"),
)
"""Who changed what. `user` and `actor` are emptied when the user is erased."""
