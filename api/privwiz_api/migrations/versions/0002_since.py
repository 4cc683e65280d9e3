"""Since when an item is in the catalogue, and which catalogue was accepted.

What was accepted before does not say of which catalogue. It stays in force where the tenant never had another than the library's;
elsewhere it is not certain that the items are the same ones, and the user accepts again.
"""

import json
import zlib
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and since when each item is there to the catalogues."""
    op.add_column("acceptances", sa.Column("catalogue", sa.Integer(), nullable=False, server_default="0"))
    _rewrite(lambda items, revision: {"items": items, "since": {item["id"]: revision for item in items}})


def downgrade() -> None:
    """Take both away."""
    _rewrite(lambda document, _: document["items"])
    op.drop_column("acceptances", "catalogue")


def _rewrite(change: Callable[[Any, int], Any]) -> None:
    catalogues = sa.table("catalogues", sa.column("tenant"), sa.column("revision"), sa.column("document", sa.LargeBinary()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(catalogues)).all():
        changed = change(json.loads(zlib.decompress(row.document)), row.revision)
        document = zlib.compress(json.dumps(changed, ensure_ascii=False, separators=(",", ":")).encode(), 3)
        connection.execute(sa.update(catalogues).where(catalogues.c.tenant == row.tenant).values(document=document))
