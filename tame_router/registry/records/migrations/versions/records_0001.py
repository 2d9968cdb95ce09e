"""Revisions, labels, their histories, jobs and requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    counter = op.create_table(
        "adapter_counter",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "sequence": 0, "generation": 0}])
    _make_revisions()
    _make_labels()
    _make_work()


def _make_revisions() -> None:
    op.create_table(
        "adapter_revisions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        *_texts("expert", "digest", "state", "tenant", "subject"),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.Column("update_time_us", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        *_texts("signature", "signer"),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        *_texts("manifest", "findings", "report"),
    )
    _index("adapter_revisions", "number", "number", unique=True)
    _index("adapter_revisions", "expert", "expert", "number", "state")
    _index("adapter_revisions", "state", "state", "number", "expert")
    _index("adapter_revisions", "tenant", "tenant", "removed", "size_bytes")
    op.create_table(
        "adapter_state_changes",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        *_texts("revision", "expert", "before", "state", "tenant", "subject", "peer", "because"),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
    )
    _index("adapter_state_changes", "revision", "revision", "sequence")
    _index("adapter_state_changes", "expert", "expert", "sequence")


def _make_labels() -> None:
    op.create_table(
        "adapter_labels",
        sa.Column("expert", sa.Text, primary_key=True),
        *_texts("live", "canary"),
        sa.Column("canary_share", sa.Float(53), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("update_time_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "adapter_label_changes",
        *_texts("expert"),
        sa.Column("generation", sa.BigInteger, nullable=False),
        *_texts("live", "canary"),
        sa.Column("canary_share", sa.Float(53), nullable=False),
        *_texts("live_before", "action", "tenant", "subject", "peer", "because"),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("expert", "generation"),
    )
    _index("adapter_label_changes", "time", "create_time_us")


def _make_work() -> None:
    op.create_table(
        "adapter_jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        *_texts("kind", "revision", "tenant", "subject", "peer", "payload", "owner"),
        sa.Column("lease_time_us", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        *_texts("error"),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
    )
    _index("adapter_jobs", "open", "done", "create_time_us")
    _index("adapter_jobs", "revision", "revision", "done")
    op.create_table(
        "adapter_requests",
        *_texts("tenant", "method", "request_id", "outcome"),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "method", "request_id"),
    )
    _index("adapter_requests", "time", "create_time_us")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _index(table: str, name: str, *columns: str, unique: bool = False) -> None:
    op.create_index(f"{table}_{name}", table, columns, unique=unique)
