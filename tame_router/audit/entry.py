"""What of a record goes into the chain, and what beside it, where it can be forgotten. Pure."""

import hashlib
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from tame_router.audit.record import AuditRecord, Step, Texts

SALT_BYTES = 16
"""128 bits: nobody finds out a short question by trying."""

_FIELDS = tuple(field.name for field in fields(AuditRecord))
_STEP = tuple(field.name for field in fields(Step))
# `asdict` copies deeply, which costs more than all the rest.

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record that is to be kept, with a tenant's texts where it wants them kept."""

    record: AuditRecord
    texts: Texts | None = None


def microseconds(moment: datetime) -> int:
    """Give a moment as microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """Give microseconds since 1970 as a moment in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def content(entry: Entry, salt: bytes) -> dict[str, Any]:
    """Give what is chained of an entry, as a JSON value.

    The digests of words are salted, and left out where no texts are kept: the salt lies with
    the texts and goes with them, and then the digests tell nothing any more.

    Args:
        entry: What is to be kept.
        salt: Random, for this record alone.
    """
    record = entry.record
    value: dict[str, Any] = {name: getattr(record, name) for name in _FIELDS}
    value["kind"] = "answer"
    value["steps"] = [{name: getattr(step, name) for name in _STEP} for step in record.steps]
    value["begin_time"] = utc(record.begin_time)
    value["elapsed_s"] = round(record.elapsed_s, 6)
    first = record.time_to_first_token_s
    value["time_to_first_token_s"] = None if first is None else round(first, 6)
    value["experts"] = [
        {"expert": name, "probability": round(probability, 6)}
        for name, probability in record.experts
    ]
    for name in ("request_digest", "answer_digest"):
        value[name] = salted(value[name], salt) if entry.texts and value[name] else ""
    return value


def opening(start: datetime, facts: dict[str, str]) -> dict[str, Any]:
    """Give a chain's first record."""
    return {"kind": "open", "begin_time": utc(start), "router": facts}


def closing(end: datetime) -> dict[str, Any]:
    """Give the last record of a chain whose router was stopped in good order."""
    return {"kind": "close", "begin_time": utc(end)}


def salted(digest: str, salt: bytes) -> str:
    """Give the SHA-256 of a salt and a digest's text, hexadecimal."""
    return hashlib.sha256(salt + digest.encode()).hexdigest()


def utc(at: datetime) -> str:
    """Give a moment as records write it: UTC, microseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
