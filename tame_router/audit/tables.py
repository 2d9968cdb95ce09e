"""The tables of audit: records, how far each chain has come, texts, and use by the day."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from tame_router.store import METADATA

CHAINS = Table(
    "audit_chain",
    METADATA,
    Column("chain", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("pruned_seq", BigInteger, nullable=False),
    Column("pruned_digest", String(64), nullable=False),
)
"""Heads, and what pruning has left of the records before the first that is kept."""

RECORDS = Table(
    "audit_record",
    METADATA,
    Column("chain", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("answer_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("expert", Text, nullable=False),
    Column("begin_time_us", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
    PrimaryKeyConstraint("chain", "seq"),
    Index("audit_record_answer", "answer_id"),
    Index("audit_record_tenant", "tenant", "begin_time_us"),
    Index("audit_record_time", "begin_time_us"),
)
"""`line` alone counts; the other columns are there to find it by."""

TEXTS = Table(
    "audit_text",
    METADATA,
    Column("chain", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    # Bytes: a word with a NUL in it is none that every database takes.
    Column("question", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("delete_time_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("chain", "seq"),
    Index("audit_text_delete", "delete_time_us"),
)

USAGE = Table(
    "audit_usage",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("expert", Text, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "day", "expert"),
)

TABLES = (CHAINS, RECORDS, TEXTS, USAGE)
