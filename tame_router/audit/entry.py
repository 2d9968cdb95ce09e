"""What of a record goes into the chain, and what beside it, where it can be forgotten. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tame_router.audit.record import AuditRecord, Step, Texts
from tame_router.tenancy.history import Change

SALT_BYTES = 16
"""128 bits: nobody finds out a short question by trying."""

CHANGES = "changes"
"""Name of the chain of what is done to tenants; all who do something share it."""

_FIELDS = AuditRecord.__struct_fields__
_STEP = Step.__struct_fields__

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    value["begin_time"] = utc_text(record.begin_time)
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
    return {"kind": "open", "begin_time": utc_text(start), "router": facts}


def closing(end: datetime) -> dict[str, Any]:
    """Give the last record of a chain whose router was stopped in good order."""
    return {"kind": "close", "begin_time": utc_text(end)}


def changed(change: Change, at: datetime) -> dict[str, Any]:
    """Give the record of what was done to a tenant."""
    value = {field.name: getattr(change, field.name) for field in fields(Change)}
    return {**value, "kind": "change", "begin_time": utc_text(at)}


def line_time(value: Mapping[str, Any]) -> datetime:
    """Give the time that stands in a chained record, UTC.

    Raises:
        KeyError: When none stands there.
        TypeError: When it is none.
        ValueError: As above.
    """
    return datetime.fromisoformat(value["begin_time"]).astimezone(UTC)


def salted(digest: str, salt: bytes) -> str:
    """Give the SHA-256 of a salt and a digest's text, hexadecimal."""
    return hashlib.sha256(salt + digest.encode()).hexdigest()


def utc_text(at: datetime) -> str:
    """Write a moment as it stands in records."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
