"""The proof of an export, line by line: what was changed, is missing, or was put in. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tame_router.audit.chain import Head, line_digest
from tame_router.audit.export import CHAIN, HEAD


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
        expected: Heads seen earlier, which must be part of what is read.

    Attributes:
        records: Records read so far.
        heads: Heads of the chains that ended.
        faults: What is wrong, in the order of the lines.
    """

    expected: Iterable[Head] = ()
    records: int = 0
    heads: list[Head] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _at: Head | None = None
    _wanted: dict[tuple[str, int], str] = field(default_factory=dict)
    _starts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look heads up by their place."""
        self._wanted = {(head.chain, head.seq): head.digest for head in self.expected}

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
        except (ValueError, TypeError, KeyError, RecursionError):
            at = self._at or Head(chain="")
            self._fault(at, at.seq, f"the line behind record {at.seq} cannot be read as a record")

    def finish(self) -> list[Fault]:
        """Say that there is no further line, and give what is wrong; empty: nothing."""
        if self._at is not None:
            self._fault(self._at, self._at.seq, f"cut behind record {self._at.seq}: no head")
            self._at = None
        for chain, seq in self._wanted:
            start = self._starts.get(chain)
            if start is None:
                self._fault(Head(chain=chain), seq, "the whole chain is missing")
            elif seq > start:
                self._fault(Head(chain=chain), seq, f"record {seq}, seen earlier, is missing")
        self._wanted.clear()
        return self.faults

    def _begin(self, start: Head) -> None:
        if self._at is not None:
            self._fault(self._at, self._at.seq, f"no head behind record {self._at.seq}")
        if start.chain in self._starts:
            self._fault(start, start.seq, "the chain is there more than once")
        self._starts.setdefault(start.chain, start.seq)
        self._at = start
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
        self.heads.append(head)
        self._at = None

    def _record(self, found: Head, value: Any) -> None:
        self.records += 1
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
        self._at = found

    def _compare(self, found: Head) -> None:
        """Compare with what was seen earlier."""
        seen = self._wanted.pop((found.chain, found.seq), None)
        if seen is not None and seen != found.digest:
            self._fault(
                found, found.seq, f"record {found.seq} is not the one that was seen earlier"
            )

    def _fault(self, at: Head, seq: int, message: str) -> None:
        self.faults.append(Fault(chain=at.chain, seq=seq, message=message))
