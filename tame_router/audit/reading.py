"""The lines of an export on their way out: counted, and named where they are no records. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any

from tame_router.audit.export import CHAIN, HEAD
from tame_router.audit.verification import Fault


@dataclass(slots=True)
class Reading:
    """Follows the lines of an export; nothing is proved.

    Attributes:
        records: Lines so far that are not around a chain.
        faults: Lines that are no records.
    """

    records: int = 0
    faults: list[Fault] = field(default_factory=list)
    _chain: str = ""
    _seq: int = 0

    def take(self, line: str) -> dict[str, Any] | None:
        """Read the next line; None: it is no record, or stands around a chain."""
        try:
            value = json.loads(line)
            kind, chain, seq = str(value["kind"]), str(value["chain"]), int(value["seq"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            self.records += 1
            self.miss(self._chain, self._seq)
            return None
        self._chain, self._seq = chain, seq
        if kind in {CHAIN, HEAD}:
            return None
        self.records += 1
        return dict(value)

    def miss(self, chain: str, seq: int) -> None:
        """Name the line behind a record as none that can be read."""
        what = f"the line behind record {seq} cannot be read as a record"
        self.faults.append(Fault(chain=chain, seq=seq, message=what))
