"""Which records are looked for, and where a page of them ended. Values only."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Records that are looked for.

    Attributes:
        tenant: Whose; empty: all tenants'.
        since: From when, with its time zone; None: from the first.
        until: Until when, that moment not included; None: to the last.
        answer_id: Of this answer alone; empty: of all.
        changes: What was done to tenants, not answers to them.
    """

    tenant: str = ""
    since: datetime | None = None
    until: datetime | None = None
    answer_id: str = ""
    changes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record stands among those that are found: by time, then by chain and number.

    Attributes:
        time_us: When its answer began, microseconds since 1970 in UTC.
        chain: Names its chain.
        seq: Its number in it.
    """

    time_us: int
    chain: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record of an answer, with a tenant's texts and the salt of their digests.

    Attributes:
        place: Where it stands.
        line: The record as it was chained.
        question: The conversation as canonical JSON; None: no text is kept.
        answer: The answer, in the form that its digest is made of; None as above.
    """

    place: Place
    line: str
    question: str | None
    answer: str | None
