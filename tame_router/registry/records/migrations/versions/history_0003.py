"""The history of labels is a chain: what there was is chained as it stands."""

import sqlalchemy as sa
from alembic import op

from tame_router.audit.chain import NOTHING, Head
from tame_router.registry.records.label_line import CHAIN, link_move

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAMES = (
    *("expert", "generation", "live", "canary", "canary_share", "mode", "live_before"),
    *("action", "tenant", "subject", "peer", "because", "create_time_us"),
)
_CHANGES = sa.table("adapter_label_changes", *map(sa.column, (*_NAMES, "number", "previous")))
_COUNTER = sa.table("adapter_counter", *map(sa.column, ("generation", "history")))


def upgrade() -> None:
    """Add number and digest to each move and the head to the counter, and chain what is there."""
    number = sa.Column("number", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("adapter_label_changes", number)
    previous = sa.Column("previous", sa.Text, nullable=False, server_default="")
    op.add_column("adapter_label_changes", previous)
    history = sa.Column("history", sa.Text, nullable=False, server_default=NOTHING)
    op.add_column("adapter_counter", history)
    op.create_index("adapter_label_changes_number", "adapter_label_changes", ["number"])
    _chain(op.get_bind())


def _chain(connection: sa.Connection) -> None:
    """Number the moves in the order of their times, which for each expert is that of its own."""
    when = (_CHANGES.c.create_time_us, _CHANGES.c.generation, _CHANGES.c.expert)
    rows = connection.execute(sa.select(*(_CHANGES.c[name] for name in _NAMES)).order_by(*when))
    head = Head(chain=CHAIN)
    for row in rows.all():
        before, head = link_move(head, row._asdict())
        mine = (_CHANGES.c.expert == row.expert) & (_CHANGES.c.generation == row.generation)
        values = {"number": head.seq, "previous": before}
        connection.execute(_CHANGES.update().where(mine).values(values))
    if head.seq:
        # As many as there are moves; said anew, so that the chain ends with its last row.
        values = {"generation": head.seq, "history": head.digest}
        connection.execute(_COUNTER.update().values(values))
