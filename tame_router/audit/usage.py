"""What tenants have used, by the day and the expert. Values, and how records add up to them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    sums: dict[tuple[str, date, str], Usage] = {}

    def add(record: AuditRecord, expert: str, **more: int) -> None:
        key = (record.tenant, record.begin_time.astimezone(UTC).date(), expert)
        found = sums.get(key) or Usage(tenant=key[0], day=key[1], expert=expert)
        sums[key] = replace(found, **{n: getattr(found, n) + count for n, count in more.items()})

    for record in records:
        add(record, lead(record), requests=1, failures=int(failed(record.outcome)))
        for step in record.steps:
            add(
                record,
                step.expert,
                prompt_tokens=step.prompt_tokens,
                completion_tokens=step.completion_tokens,
            )
    # Routers that write the same rows in the same order never wait for each other in a circle.
    return [sums[key] for key in sorted(sums)]
