"""What pruning may drop, and the record that it leaves of itself. Pure.

Prunes have a chain of their own, which is never pruned: whoever finds that a chain begins
in the middle reads there who dropped the beginning, and when.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tame_router.audit.chain import Head, line_digest
from tame_router.audit.entry import line_time, utc_text

PRUNES = "prunes"
"""Name of the chain of prunes."""

PRUNE = "prune"
"""Kind of its records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """That pruning is to be done.

    Attributes:
        now: When, UTC; texts that were to be deleted until then are.
        retention: Records that are as old as this are kept, older ones are not.
        by: Who does it.
    """

    now: datetime
    retention: timedelta
    by: str

    @property
    def before(self) -> datetime:
        """Records that began before this are dropped."""
        return self.now - self.retention


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """One chain, once.

    Attributes:
        end: The last record that was dropped.
        records: How many were dropped.
        time: When, UTC.
        before: All that was dropped began before this, UTC.
        retention: How old it was at the least.
        by: Who did it.
    """

    end: Head
    records: int
    time: datetime
    before: datetime
    retention: timedelta
    by: str

    @property
    def sound(self) -> bool:
        """Whether what it says fits together: nothing younger than the retention was dropped."""
        try:
            return self.before <= self.time - self.retention
        except OverflowError:
            return False


def pruned(order: Order, end: Head, records: int) -> dict[str, Any]:
    """Give the record that pruning leaves of itself, as a JSON value."""
    return {
        "kind": PRUNE,
        "begin_time": utc_text(order.now),
        "by": order.by,
        "before": utc_text(order.before),
        "retention_s": int(order.retention.total_seconds()),
        "pruned_chain": end.chain,
        "pruned_seq": end.seq,
        "pruned_digest": end.digest,
        "records": records,
    }


def read_prune(value: Mapping[str, Any]) -> Prune:
    """Read what pruning has left of itself.

    Raises:
        KeyError: When something is missing.
        TypeError: When something is not what it should be.
        ValueError: As above.
        OverflowError: As above.
    """
    return Prune(
        end=Head(
            chain=str(value["pruned_chain"]),
            seq=int(value["pruned_seq"]),
            digest=str(value["pruned_digest"]),
        ),
        records=int(value["records"]),
        time=line_time(value),
        before=line_time({"begin_time": value["before"]}),
        retention=timedelta(seconds=int(value["retention_s"])),
        by=str(value["by"]),
    )


@dataclass(slots=True)
class Prefix:
    """Finds how much of a chain may be dropped, record by record.

    It ends before the first record that is young, or that does not fit the one before it:
    what was touched stays, so that it can be found.

    Args:
        end: What stands before the first record.
        before: Records that began before this may be dropped.

    Attributes:
        end: The last record that may be dropped.
        records: How many may.
        over: Whether it has ended.
    """

    end: Head
    before: datetime
    records: int = 0
    over: bool = False
    _last: Head | None = None

    def take(self, lines: Iterable[str]) -> None:
        """Look at the next records, as they are stored."""
        for line in lines:
            if not self.over:
                self._take(line)

    def close(self, head: Head) -> None:
        """Say that there is no further record.

        Args:
            head: How far the chain has come.
        """
        if self.records and self.end.seq >= head.seq and self.end != head:
            self._keep_last()
        self.over = True

    def _take(self, line: str) -> None:
        try:
            value = json.loads(line)
            fits = value["previous"] == self.end.digest and value["seq"] == self.end.seq + 1
            old = line_time(value) < self.before
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            fits = old = False
        if fits and old:
            self._last = self.end
            self.end = Head(chain=self.end.chain, seq=self.end.seq + 1, digest=line_digest(line))
            self.records += 1
            return
        self.over = True
        if not fits:
            self._keep_last()

    def _keep_last(self) -> None:
        """Leave the last record there: it, or what follows it, was touched."""
        if self._last is not None:
            self.end, self._last = self._last, None
            self.records -= 1
