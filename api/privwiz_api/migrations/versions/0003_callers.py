"""Callers whose subjects are as long as the ids of users."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SHORT, _LONG = 128, 140


def upgrade() -> None:
    """Make room."""
    _resize(_SHORT, _LONG)


def downgrade() -> None:
    """Take the room away: the names of callers who need it are cut short in the audit log, and their keys are forgotten."""
    audit = sa.table("audit", sa.column("actor"))
    idempotency = sa.table("idempotency", sa.column("caller"))
    op.execute(sa.update(audit).values(actor=sa.func.substr(audit.c.actor, 1, _SHORT)))
    op.execute(sa.delete(idempotency).where(sa.func.length(idempotency.c.caller) > _SHORT))
    _resize(_LONG, _SHORT)


def _resize(before: int, after: int) -> None:
    for name, column, nullable in (("audit", "actor", True), ("idempotency", "caller", False)):
        with op.batch_alter_table(name) as table:
            table.alter_column(column, existing_type=sa.String(before), type_=sa.String(after), existing_nullable=nullable)
