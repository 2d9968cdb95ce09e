"""What lies beside the chain, against what is chained: columns, texts, and use. Pure.

Operators find records by their columns, read texts, and are billed by use; none of these is
in a chain, so all are compared with what is.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tame_router.audit.entry import line_time, microseconds, salted
from tame_router.audit.pruning import PRUNE, PRUNES, read_prune
from tame_router.audit.usage import COUNTS, Usage, failed
from tame_router.audit.verification import Fault
from tame_router.canonical_json import sha256_hex

SEARCHED = ("tenant", "answer_id", "outcome", "expert", "begin_time_us")
"""The columns to find a record by."""

PLACE = ("chain", "seq")
"""The columns that say where a record stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptText:
    """Texts as they lie in the store.

    Attributes:
        salt: What the chained digests were salted with.
        question: The conversation.
        answer: The answer.
    """

    salt: bytes
    question: bytes = field(repr=False)
    answer: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A record as it lies in the store, which may hold what its columns are not made for.

    Attributes:
        chain: Names its chain.
        seq: Its number; whatever lies there, where it is none.
        line: The record as it was chained.
        searched: The columns to find it by.
        text: Its texts; None: none are kept.
    """

    chain: str
    seq: Any
    line: str
    searched: Mapping[str, Any]
    text: KeptText | None = None


@dataclass(slots=True)
class Comparison:
    """Compares rows with what is chained, and adds up what they prove to have been used.

    Attributes:
        faults: What does not fit, in the order of the rows.
    """

    faults: list[Fault] = field(default_factory=list)
    _sums: dict[tuple[str, date, str], dict[str, int]] = field(default_factory=dict)
    _pruned: date = date.min

    def take(self, row: Row) -> None:
        """Compare the next row. A line that is no record is left to the proof of the chain."""
        try:
            value = json.loads(row.line)
            if isinstance(value, dict):
                chained = _searched(value)
                self._prove(row, value)
                self._compare_columns(row, value, chained)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
            return
        if row.text is not None and isinstance(value, dict):
            self._compare_text(row, row.text, value)

    def finish(self, used: Iterable[Usage]) -> list[Fault]:
        """Compare use with what the records prove, and give all that does not fit.

        Days of which records may have been pruned may have more use than is left, others not.

        Args:
            used: All use there is.
        """
        for usage in used:
            proved = self._sums.pop((usage.tenant, usage.day, usage.expert), {})
            self._compare_use(usage, proved)
        for (tenant, day, expert), proved in sorted(self._sums.items()):
            if any(proved.values()):
                self._compare_use(Usage(tenant=tenant, day=day, expert=expert), proved)
        self._sums.clear()
        return self.faults

    def _prove(self, row: Row, value: Mapping[str, Any]) -> None:
        """Take what a record proves of use, and of days that were pruned."""
        if value["kind"] == "answer":
            self._add(value)
        if value["kind"] == PRUNE and row.chain == PRUNES:
            self._pruned = max(self._pruned, read_prune(value).before.date())

    def _compare_columns(
        self, row: Row, value: Mapping[str, Any], chained: Mapping[str, Any]
    ) -> None:
        for name in PLACE:
            if getattr(row, name) != value.get(name):
                number = value.get("seq")
                message = f"column {name} is not what is chained in record {number}"
                self.faults.append(fault_at(row.chain, number, message))
        for name in SEARCHED:
            if row.searched[name] != chained[name]:
                self._fault(row, f"column {name} is not what is chained in record {row.seq}")

    def _compare_text(self, row: Row, text: KeptText, value: Mapping[str, Any]) -> None:
        for name, said in (("request", text.question), ("answer", text.answer)):
            chained = value.get(f"{name}_digest")
            proved = salted(sha256_hex(said), text.salt)
            if chained != proved and (chained or said):
                what = "question" if name == "request" else name
                self._fault(row, f"the {what} kept of record {row.seq} is not what was said")

    def _compare_use(self, usage: Usage, proved: Mapping[str, int]) -> None:
        whole = usage.day > self._pruned
        for name in COUNTS:
            told, least = getattr(usage, name), proved.get(name, 0)
            if told < least or (whole and told != least):
                where = f"use of {usage.expert or '-'} by {usage.tenant} on {usage.day}"
                self.faults.append(
                    Fault(chain="", seq=0, message=f"{where}: {name} {told}, proved {least}")
                )

    def _add(self, value: Mapping[str, Any]) -> None:
        day = line_time(value).date()
        tenant = value["tenant"]
        told = list(_counts(value))
        for expert, counts in told:
            if not (_are(str, tenant, expert) and _are(int, *counts.values())):
                raise TypeError("these are no counts of a tenant's use")
        for expert, counts in told:
            sums = self._sums.setdefault((tenant, day, expert), dict.fromkeys(COUNTS, 0))
            for name, count in counts.items():
                sums[name] += count

    def _fault(self, row: Row, message: str) -> None:
        self.faults.append(fault_at(row.chain, row.seq, message))


def fault_at(chain: Any, seq: Any, message: str) -> Fault:
    """Give a fault at a place that the store tells, which may be none."""
    return Fault(
        chain=chain if isinstance(chain, str) else "",
        seq=seq if isinstance(seq, int) else 0,
        message=message,
    )


def read_usage(row: Mapping[str, Any]) -> Usage | None:
    """Read use as it lies in the store; None: what lies there is none."""
    day = row["day"]
    try:
        day = day if isinstance(day, date) else date.fromisoformat(day)
    except (ValueError, TypeError):
        return None
    if _are(str, row["tenant"], row["expert"]) and _are(int, *(row[name] for name in COUNTS)):
        return Usage(**{**row, "day": day})
    return None


def _are(kind: type, *values: Any) -> bool:
    return all(isinstance(value, kind) for value in values)


def _searched(value: Mapping[str, Any]) -> dict[str, Any]:
    experts = value.get("experts") or ({"expert": ""},)
    return {
        "tenant": value.get("tenant", ""),
        "answer_id": value.get("answer_id", ""),
        "outcome": value.get("outcome", ""),
        "expert": experts[0]["expert"],
        "begin_time_us": microseconds(line_time(value)),
    }


def _counts(value: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    """Give what one answer adds to use, by expert."""
    lead = _searched(value)["expert"]
    yield lead, {"requests": 1, "failures": int(failed(value["outcome"]))}
    for step in value["steps"]:
        tokens = {name: step[name] for name in ("prompt_tokens", "completion_tokens")}
        yield step["expert"], tokens
