"""The tables of the registry as this version knows them; `schema` makes them by migrations.

Times are microseconds since 1970 in UTC, which every database keeps alike. A change here
needs a migration beside it, which a test looks for.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
)

from tame_router.store import METADATA

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Words(TypeDecorator[str]):
    """Text that may come from outside: what some databases refuse in it is replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Replace NULs and lone surrogates."""
        return None if value is None else kept(value)


def kept(value: str) -> str:
    """Give a text as it is kept."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", _REPLACEMENT).encode("utf-8", "replace").decode()


def _words(name: str) -> Column[str]:
    return Column(name, Words, nullable=False)


COUNTER = Table(
    "adapter_counter",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    _words("history"),
)
"""One row: the last number of a state's change, the moves of all labels, and the digest of the
last of these, the head of their chain. It is also the lock that puts changes one after another, so
that numbers become visible in their order."""

REVISION = Table(
    "adapter_revisions",
    METADATA,
    Column("name", Words, primary_key=True),
    # That of its first change of state: the newest has the highest.
    Column("number", BigInteger, nullable=False),
    _words("expert"),
    _words("digest"),
    _words("state"),
    _words("tenant"),
    _words("subject"),
    Column("create_time_us", BigInteger, nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    _words("signature"),
    _words("signer"),
    Column("withdrawn", Boolean, nullable=False),
    Column("removed", Boolean, nullable=False),
    _words("manifest"),
    _words("findings"),
    # Last: SQLite reads a row up to the last column that is wanted, and reports are long.
    _words("report"),
    Index("adapter_revisions_number", "number", unique=True),
    # These hold all that a page is chosen by, so that rows of other pages are not read.
    Index("adapter_revisions_expert", "expert", "number", "state"),
    Index("adapter_revisions_state", "state", "number", "expert"),
    Index("adapter_revisions_tenant", "tenant", "removed", "size_bytes"),
)

STATE_CHANGE = Table(
    "adapter_state_changes",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    _words("revision"),
    _words("expert"),
    # Empty for a revision's first.
    _words("before"),
    _words("state"),
    _words("tenant"),
    _words("subject"),
    _words("peer"),
    _words("because"),
    Column("create_time_us", BigInteger, nullable=False),
    Index("adapter_state_changes_revision", "revision", "sequence"),
    Index("adapter_state_changes_expert", "expert", "sequence"),
)

LABEL = Table(
    "adapter_labels",
    METADATA,
    Column("expert", Words, primary_key=True),
    _words("live"),
    _words("canary"),
    Column("canary_share", Float(53), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
    _words("mode"),
)

LABEL_CHANGE = Table(
    "adapter_label_changes",
    METADATA,
    _words("expert"),
    Column("generation", BigInteger, nullable=False),
    _words("live"),
    _words("canary"),
    Column("canary_share", Float(53), nullable=False),
    _words("live_before"),
    _words("action"),
    _words("tenant"),
    _words("subject"),
    _words("peer"),
    _words("because"),
    Column("create_time_us", BigInteger, nullable=False),
    _words("mode"),
    # Its place in the chain of all moves, and the digest of the one before.
    Column("number", BigInteger, nullable=False),
    _words("previous"),
    PrimaryKeyConstraint("expert", "generation"),
    Index("adapter_label_changes_time", "create_time_us"),
    Index("adapter_label_changes_number", "number"),
)

JOB = Table(
    "adapter_jobs",
    METADATA,
    Column("job_id", Words, primary_key=True),
    _words("kind"),
    _words("revision"),
    _words("tenant"),
    _words("subject"),
    _words("peer"),
    _words("payload"),
    _words("owner"),
    Column("lease_time_us", BigInteger),
    Column("attempts", Integer, nullable=False),
    _words("error"),
    Column("done", Boolean, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Index("adapter_jobs_open", "done", "create_time_us"),
    Index("adapter_jobs_revision", "revision", "done"),
)

REQUEST = Table(
    "adapter_requests",
    METADATA,
    _words("tenant"),
    _words("method"),
    _words("request_id"),
    _words("outcome"),
    Column("create_time_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "method", "request_id"),
    Index("adapter_requests_time", "create_time_us"),
)

TABLES = (COUNTER, REVISION, STATE_CHANGE, LABEL, LABEL_CHANGE, JOB, REQUEST)
