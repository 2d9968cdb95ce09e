"""How a move of a label is written down in the chain of all moves. Pure.

It is the audit's kind of chain: each line holds the digest of the one before, under a number that
counts the moves of all labels. A line is made of the move's own row, so that nothing stands twice.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tame_router.audit.chain import Head, Link, link
from tame_router.canonical_json import ascii_line

CHAIN: Final = "labels"
"""Names the chain, which all routers of a database share."""

KIND: Final = "label"
"""Of its lines."""

FIELDS: Final = (
    "expert",
    "generation",
    "live",
    "canary",
    "canary_share",
    "mode",
    "live_before",
    "action",
    "tenant",
    "subject",
    "peer",
    "because",
)
"""Columns that stand in a line under their own names; the time does as `begin_time`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def link_move(head: Head, row: Mapping[str, Any]) -> tuple[str, Head]:
    """Put a move behind the chain's head.

    Args:
        head: How far the chain has come.
        row: The move's columns, as they are kept.

    Returns:
        What its row holds as `previous`, and the new head.
    """
    _, moved = link(head, [_content(row)])
    return head.digest, moved


def move_link(number: Any, previous: Any, row: Mapping[str, Any]) -> Link:
    """Give a move's line as its row says.

    What was put there by hand may be of any kind: it is written as it is found, and does not fit.

    Args:
        number: Its number.
        previous: The digest of the move before, as the row holds it.
        row: Its other columns.
    """
    value = {**_content(row), "chain": CHAIN, "seq": _plain(number), "previous": _plain(previous)}
    return Link(chain=CHAIN, seq=number, line=ascii_line(value))


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    content = {name: _plain(row[name]) for name in FIELDS}
    return {**content, "kind": KIND, "begin_time": _time_text(row["create_time_us"])}


def _plain(value: Any) -> Any:
    """Give what JSON can hold, as it is."""
    finite = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if finite or isinstance(value, str) else repr(value)


def _time_text(written: Any) -> str:
    """Give a time, UTC; no microsecond is lost."""
    try:
        at = _EPOCH + timedelta(microseconds=written)
    except (TypeError, OverflowError):
        return repr(written)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
