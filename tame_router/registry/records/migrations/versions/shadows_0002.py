"""Labels say how a canary is tried: those that there were answer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column to the labels and to their history."""
    for table in ("adapter_labels", "adapter_label_changes"):
        column = sa.Column("mode", sa.Text, nullable=False, server_default="answering")
        op.add_column(table, column)
