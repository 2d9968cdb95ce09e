"""The limits that count over time: what each counts, and in which steps. Values only."""

import enum
from dataclasses import dataclass

from tame_router.tenancy.tenant import Limits


class Unit(enum.StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    BYTES = "bytes of adapters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit on what is used in a span of time.

    The span slides in steps: what falls into a step leaves the span together.

    Attributes:
        name: Its name in `Limits`, and in errors.
        unit: What it counts.
        span: What the span is called.
        step_s: Length of a step, in whole seconds, ≥ 1.
        steps: Whole steps in the span; the one that is under way counts beside them.
    """

    name: str
    unit: Unit
    span: str
    step_s: int
    steps: int

    def cap(self, limits: Limits) -> int | None:
        """Give a tenant's value of this limit; None: there is none."""
        value: int | None = getattr(limits, self.name)
        return value

    def step(self, moment: float) -> int:
        """Give the number of the step that a moment, in seconds since 1970, falls into."""
        return int(moment // self.step_s)


def _minute(name: str, unit: Unit) -> Limit:
    return Limit(name=name, unit=unit, span="minute", step_s=1, steps=60)


def _day(name: str, unit: Unit) -> Limit:
    return Limit(name=name, unit=unit, span="day", step_s=900, steps=96)


ANSWER_LIMITS = (
    _minute("requests_per_minute", Unit.REQUESTS),
    _day("requests_per_day", Unit.REQUESTS),
    _minute("tokens_per_minute", Unit.TOKENS),
    _day("tokens_per_day", Unit.TOKENS),
)
"""What an answer counts against."""

UPLOAD_LIMITS = (_day("upload_bytes_per_day", Unit.BYTES),)
"""What an adapter that is brought counts against."""

LIMITS = {limit.name: limit for limit in (*ANSWER_LIMITS, *UPLOAD_LIMITS)}
"""All of them, by name."""
