"""What tenants have used, by the day and the expert. Values, and how records add up to them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date

from tame_router.audit.record import AuditRecord

NO_FAILURE = frozenset({"ok", "cancelled"})
"""Outcomes that are nobody's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a tenant has used of an expert in a day.

    Attributes:
        tenant: Whose it is.
        day: The day in UTC on which the requests arrived.
        expert: The expert that led the answer, and for tokens the one that spent them; empty:
            requests that ended before anyone was chosen.
        requests: Answers asked for.
        failures: Those that ended with an error.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
    """

    tenant: str
    day: date
    expert: str
    requests: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


COUNTS = ("requests", "failures", "prompt_tokens", "completion_tokens")
"""What is counted."""


def failed(outcome: str) -> bool:
    """Tell whether an outcome counts as a failure."""
    return outcome not in NO_FAILURE


def lead(record: AuditRecord) -> str:
    """Give the expert that led an answer; empty: nobody was chosen."""
    return record.experts[0][0] if record.experts else ""


def add_up(records: Iterable[AuditRecord]) -> list[Usage]:
    """Add records up, by tenant, day and expert, in that order."""
    # Requests, failures, tokens read and tokens written: plain numbers, for all records pass here.
    sums: defaultdict[tuple[str, date, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for record in records:
        tenant, day = record.tenant, record.begin_time.astimezone(UTC).date()
        counts = sums[tenant, day, lead(record)]
        counts[0] += 1
        counts[1] += failed(record.outcome)
        for step in record.steps:
            counts = sums[tenant, day, step.expert]
            counts[2] += step.prompt_tokens
            counts[3] += step.completion_tokens
    # Routers that write the same rows in the same order never wait for each other in a circle.
    return [
        Usage(
            tenant=tenant,
            day=day,
            expert=expert,
            requests=requests,
            failures=failures,
            prompt_tokens=read,
            completion_tokens=written,
        )
        for (tenant, day, expert), (requests, failures, read, written) in sorted(sums.items())
    ]
