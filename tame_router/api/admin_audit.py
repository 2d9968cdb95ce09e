"""Read what `ListAuditRecords` asks for, and write the records it returns."""

import json
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from tame_router.api.admin_request import read_moment, read_name
from tame_router.api.grpc_duration import duration
from tame_router.audit.lookup import Kept, Place, Wanted
from tame_router.errors import InvalidRequestError
from tame_router.v1 import admin_service_pb2, audit_record_pb2

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 500
"""Records are a few kB each; a page stays below what gRPC clients take."""

_TEXT = (
    "answer_id", "tenant", "subject", "method", "user", "edge", "operation", "outcome",
    "decision_reason", "stage", "join", "language", "classifier_digest", "policy_digest",
)  # fmt: skip


def read_wanted(proto: admin_service_pb2.ListAuditRecordsRequest, tenant: str) -> Wanted:
    """Read which records are asked for.

    Args:
        proto: The request.
        tenant: Whose they are.

    Raises:
        InvalidRequestError: When a time is none, or a name cannot be one.
    """
    return Wanted(
        tenant=tenant,
        since=read_moment(proto, "begin_time"),
        until=read_moment(proto, "end_time"),
        answer_id=read_name(proto.answer_id, "answer_id"),
    )


def read_size(proto: admin_service_pb2.ListAuditRecordsRequest) -> int:
    """Read how many records a page has at the most.

    Raises:
        InvalidRequestError: When it is out of range.
    """
    if not 0 <= proto.page_size <= MAX_PAGE_SIZE:
        raise InvalidRequestError(
            f"page_size is {proto.page_size}; expected 0 to {MAX_PAGE_SIZE}", field="page_size"
        )
    return proto.page_size or DEFAULT_PAGE_SIZE


def read_token(text: str) -> Place | None:
    """Read where the page before ended; None: there was none.

    Raises:
        InvalidRequestError: When the token is none of ours.
    """
    if not text:
        return None
    try:
        time_us, seq, chain = text.split(".", 2)
        place = Place(time_us=int(time_us), chain=chain, seq=int(seq))
    except ValueError:
        place = None
    if place is None or max(abs(place.time_us), abs(place.seq)) >= 2**63 or "\0" in place.chain:
        raise InvalidRequestError(
            f"page_token is {text[:32]!r}; expected the next_page_token of a page before",
            field="page_token",
        )
    return place


def write_token(place: Place) -> str:
    """Write where a page ended."""
    return f"{place.time_us}.{place.seq}.{place.chain}"


def write_record(kept: Kept) -> audit_record_pb2.AuditRecord:
    """Write a record, without texts."""
    value: dict[str, Any] = json.loads(kept.line)
    begin = Timestamp()
    begin.FromDatetime(datetime.fromisoformat(value["begin_time"]))
    return audit_record_pb2.AuditRecord(
        # A caller's own name may hold half a character, which no message can.
        **{name: value[name].encode("utf-8", "replace").decode() for name in _TEXT},
        begin_time=begin,
        elapsed=duration(value["elapsed_s"]),
        experts=[audit_record_pb2.AuditExpert(**expert) for expert in value["experts"]],
        steps=[audit_record_pb2.AuditStep(**step) for step in value["steps"]],
        line=kept.line,
    )
