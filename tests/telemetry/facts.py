"""Decisions and ends of answers, as plain values, for tests of recordings."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A selected expert."""

    probability: float = 0.9


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision."""

    lead: str = "legal"
    experts: tuple[Chosen, ...] = (Chosen(),)
    stage: str = "fast"
    reason: str = "MOST_PROBABLE"
    join: str = "single"
    elapsed_us: int = 400


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """What one expert did."""

    revision: str = "legal--0123456789abcdef"
    prompt_tokens: int = 20
    completion_tokens: int = 11
    finish_reason: str = "stop"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """How an answer ended."""

    outcome: str = "ok"
    elapsed_s: float = 1.2
    time_to_first_token_s: float | None = 0.2
    steps: tuple[Stepped, ...] = field(default=(Stepped(),))
