"""Audit records and stores for tests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tame_router.audit.archive import Archive, Pruned
from tame_router.audit.chain import NOTHING, Head, Seen, link
from tame_router.audit.entry import SALT_BYTES, Entry, closing, content, opening
from tame_router.audit.export import chain_lines
from tame_router.audit.pruning import Order
from tame_router.audit.record import AuditRecord, Step, Texts
from tame_router.audit.store import AuditStore
from tame_router.audit.verification import Fault, Verification
from tame_router.canonical_json import sha256_hex
from tame_router.config import StoreSettings
from tame_router.store import Database

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
SALT = bytes(SALT_BYTES)
QUESTION = '{"messages":[]}'
ANSWER = "麵團要\0靜置"


def answered(number: int = 1, **fields: Any) -> AuditRecord:
    """Give a record of which a test says what matters."""
    usual: dict[str, Any] = {
        "answer_id": f"answer-{number:06}",
        "tenant": "hospital",
        "subject": "key-1",
        "method": "api_key",
        "edge": "grpc",
        "operation": "chat",
        "begin_time": NOON + timedelta(seconds=number),
        "elapsed_s": 0.25,
        "outcome": "ok",
        "experts": (("baking", 0.75), ("law", 0.25)),
        "decision_reason": "probable",
        "stage": "lexical",
        "join": "single",
        "language": "zh",
        "classifier_digest": "c" * 64,
        "policy_digest": "d" * 64,
        "steps": (
            Step(
                expert="baking",
                revision="r1",
                adapter_digest="a" * 64,
                prompt_tokens=10,
                completion_tokens=5,
                finish_reason="stop",
            ),
        ),
        "time_to_first_token_s": 0.1,
        "request_digest": sha256_hex(QUESTION.encode()),
        "answer_digest": sha256_hex(ANSWER.encode()),
    }
    return AuditRecord(**{**usual, **fields})


def said(days: int = 1) -> Texts:
    """Give texts that are kept for some days."""
    return Texts(question=QUESTION, answer=ANSWER, retain_days=days)


def entries(count: int, **fields: Any) -> list[Entry]:
    """Give some records without texts."""
    return [Entry(record=answered(number, **fields)) for number in range(1, count + 1)]


def exported(count: int, chain: str = "c1") -> list[str]:
    """Give the export of one chain with some records between its first and its last."""
    contents = [content(entry, SALT) for entry in entries(count)]
    whole = [opening(NOON, {"version": "1"}), *contents, closing(NOON)]
    links, head = link(Head(chain=chain), whole)
    return list(chain_lines(Head(chain=chain, seq=0, digest=NOTHING), links, head))


def faults(
    lines: Sequence[str], expected: Sequence[Head | Seen] = (), prunable: datetime | None = None
) -> list[Fault]:
    """Give what is wrong with an export."""
    seen = [at if isinstance(at, Seen) else Seen(head=at) for at in expected]
    verification = Verification(expected=seen, prunable=prunable)
    for line in lines:
        verification.take(line)
    return verification.finish()


@contextmanager
def kept(folder: Path, settings: StoreSettings | None = None) -> Iterator[Database]:
    """Open the database in a folder."""
    database = Database(settings or StoreSettings(), folder)
    try:
        yield database
    finally:
        database.close()


def fill(database: Database, count: int, chain: str = "c1", **fields: Any) -> Head:
    """Put a chain of some records into a database, and give its head."""
    store = AuditStore(database)
    head = store.begin(chain, NOON, {"version": "1"})
    if count:
        head = store.append(head, entries(count, **fields), [SALT] * count)
    return head


def verified(
    database: Database, expected: Sequence[Head | Seen] = (), prunable: datetime | None = None
) -> list[Fault]:
    """Give what is wrong with what a database holds."""
    return faults(list(Archive(database).lines()), expected, prunable)


def seen(database: Database) -> list[Seen]:
    """Give what is to be kept elsewhere of what a database holds."""
    verification = Verification()
    for line in Archive(database).lines():
        verification.take(line)
    assert verification.finish() == []
    return verification.seen


def prune(database: Database, before: datetime, now: datetime = NOON) -> Pruned:
    """Drop what began before a moment, and texts that end until another."""
    now = max(now, before)
    return Archive(database).prune(Order(now=now, retention=now - before, by="command/0"))
