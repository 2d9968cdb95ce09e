"""The proof of an export, line by line: what was changed, is missing, or was put in. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tame_router.audit.chain import Head, Seen, line_digest
from tame_router.audit.entry import line_time, utc_text
from tame_router.audit.export import CHAIN, HEAD
from tame_router.audit.pruning import PRUNE, PRUNES, Prune, read_prune


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not as it was written.

    Attributes:
        chain: Names the chain; empty: no line says which.
        seq: Number of the record it is about; 0: none.
        message: What happened.
    """

    chain: str
    seq: int
    message: str


@dataclass(slots=True)
class Verification:
    """Reads an export and gathers what is wrong with it.

    Args:
        expected: Places seen earlier, which must be part of what is read, or have been pruned.
        prunable: Records that are at least as young as this may not have been pruned, UTC;
            None: whatever prunes tell is believed.

    Attributes:
        records: Records read so far.
        chains: Chains that ended.
        seen: Where they ended, and in each the last record of each day in UTC.
        prunes: What was pruned, in the order of the records of it.
        faults: What is wrong, in the order of the lines.
    """

    expected: Iterable[Seen] = ()
    prunable: datetime | None = None
    records: int = 0
    chains: int = 0
    seen: list[Seen] = field(default_factory=list)
    prunes: list[Prune] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _at: Head | None = None
    _latest: datetime | None = None
    _wanted: dict[tuple[str, int], Seen] = field(default_factory=dict)
    _starts: dict[str, Head] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look places up by their chain and number."""
        self._wanted = {(seen.head.chain, seen.head.seq): seen for seen in self.expected}

    def take(self, line: str) -> None:
        """Read the next line, without its newline."""
        try:
            value = json.loads(line)
            kind, chain, seq = str(value["kind"]), str(value["chain"]), int(value["seq"])
            if kind in {CHAIN, HEAD}:
                given = Head(chain=chain, seq=seq, digest=str(value["digest"]))
                self._begin(given) if kind == CHAIN else self._end(given)
            else:
                self._record(Head(chain=chain, seq=seq, digest=line_digest(line)), value)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            at = self._at or Head(chain="")
            self._fault(at, at.seq, f"the line behind record {at.seq} cannot be read as a record")

    def finish(self) -> list[Fault]:
        """Say that there is no further line, and give what is wrong; empty: nothing."""
        if self._at is not None:
            self._fault(self._at, self._at.seq, f"cut behind record {self._at.seq}: no head")
            self._at = None
        self._check_starts()
        for (chain, seq), seen in self._wanted.items():
            start = self._starts.get(chain)
            if start is None:
                self._fault(Head(chain=chain), seq, "the whole chain is missing")
            elif seq > start.seq:
                self._fault(Head(chain=chain), seq, f"record {seq}, seen earlier, is missing")
            else:
                self._check_pruned(seen)
        self._wanted.clear()
        return self.faults

    def _check_starts(self) -> None:
        """Find a record of the prune behind each chain that does not begin with its first."""
        told = {prune.end: prune for prune in self.prunes}
        for start in self._starts.values():
            prune = told.get(start)
            if start.chain == PRUNES and start.seq:
                self._fault(start, start.seq, "prunes are never pruned, but the first are gone")
            elif start.seq and prune is None:
                what = f"records 1 to {start.seq} are gone, and no prune says that it dropped them"
                self._fault(start, start.seq, what)
            elif prune is not None and not prune.sound:
                what = f"records to {start.seq} were pruned before {prune.retention.days} days"
                self._fault(start, start.seq, f"{what} were over")

    def _check_pruned(self, seen: Seen) -> None:
        """See that what was seen earlier was old enough when it was pruned."""
        head, start = seen.head, self._starts[seen.head.chain]
        if head.seq == start.seq and head.digest != start.digest:
            what = "the start is not the record that was seen earlier"
            self._fault(head, head.seq, f"record {head.seq}: {what}")
        elif seen.latest and self.prunable and seen.latest >= self.prunable:
            what = f"record {head.seq}, seen earlier, of {utc_text(seen.latest)}, is gone"
            self._fault(head, head.seq, f"{what}, and is too young to have been pruned")

    def _begin(self, start: Head) -> None:
        if self._at is not None:
            self._fault(self._at, self._at.seq, f"no head behind record {self._at.seq}")
        if start.chain in self._starts:
            self._fault(start, start.seq, "the chain is there more than once")
        self._starts.setdefault(start.chain, start)
        self._at = start
        self._latest = None
        if start.seq == 0:
            self._compare(start)

    def _end(self, head: Head) -> None:
        at = self._at
        if at is None or at.chain != head.chain:
            self._fault(head, head.seq, "a head without its records")
            return
        if head.seq > at.seq:
            self._fault(
                head, at.seq + 1, f"records {at.seq + 1} to {head.seq} are missing at the end"
            )
        elif head.seq < at.seq:
            self._fault(head, at.seq, f"record {at.seq} is behind the head, {head.seq}")
        elif head.digest != at.digest:
            self._fault(head, head.seq, f"record {head.seq}, the last, or the head was changed")
        self.seen.append(Seen(head=head, latest=self._latest))
        self.chains += 1
        self._at = None

    def _record(self, found: Head, value: Any) -> None:
        self.records += 1
        time = line_time(value)
        if found.chain == PRUNES and value["kind"] == PRUNE:
            self.prunes.append(read_prune(value))
        at = self._at
        if at is None or at.chain != found.chain:
            self._fault(found, found.seq, f"record {found.seq} stands outside its chain")
            return
        due = at.seq + 1
        if found.seq > due:
            missing = f"record {due} is" if found.seq == due + 1 else "records are"
            self._fault(found, due, f"{missing} missing before record {found.seq}")
        elif found.seq < due:
            self._fault(
                found, found.seq, f"record {found.seq} stands behind {at.seq}: doubled or moved"
            )
        elif value.get("previous") != at.digest:
            what = f"record {at.seq} was changed" if at.seq else "the start was changed"
            self._fault(found, at.seq, f"{what}, or what record {due} says of it")
        self._compare(found)
        self._mark_day(at, time)
        self._at = found

    def _mark_day(self, at: Head, time: datetime) -> None:
        """Keep the place before the first record of a new day: what is pruned goes by days."""
        if self._latest is None:
            self._latest = time
        elif time > self._latest:
            if time.date() > self._latest.date():
                self.seen.append(Seen(head=at, latest=self._latest))
            self._latest = time

    def _compare(self, found: Head) -> None:
        """Compare with what was seen earlier."""
        seen = self._wanted.pop((found.chain, found.seq), None)
        if seen is not None and seen.head.digest != found.digest:
            self._fault(
                found, found.seq, f"record {found.seq} is not the one that was seen earlier"
            )

    def _fault(self, at: Head, seq: int, message: str) -> None:
        self.faults.append(Fault(chain=at.chain, seq=seq, message=message))
