"""When an answer whose first word is late is asked of a second replica too. Pure.

It takes nothing from others: only where nobody waits, and as a small share of the answers.
"""

import enum
from dataclasses import dataclass
from typing import Final

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.choice import Ask
from tame_router.backends.replicas.retry_budget import RetryBudget
from tame_router.backends.replicas.standing import Standing

_ROOMY: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeRules:
    """When a second replica is asked.

    Attributes:
        after_s: Wait for the first word before it, at least, > 0.
        quantile: Share of recent first words, in [0, 1), that came sooner than one that is late,
            as is one of four times the usual time; 0: `after_s` alone decides.
        most_prompt_chars: Longest prompt that is asked twice.
        share: Answers asked twice, of those that may be, in the long run, in [0, 1].
        burst: Answers asked twice in one burst, ≥ 0.
    """

    after_s: float = 0.25
    quantile: float = 0.95
    most_prompt_chars: int = 2_000
    share: float = 0.05
    burst: float = 8


class HedgeOutcome(enum.StrEnum):
    """What became of a first word that was late."""

    FIRST = "first"
    """The second replica was asked, and the first one's word came sooner."""
    SECOND = "second"
    """The second one's did."""
    NEITHER = "neither"
    """Both failed."""
    LEFT = "left"
    """The caller left, or its time was up."""
    UNPAID = "unpaid"
    """No second was asked: the budget was spent."""
    NO_ROOM = "no_room"
    """No second was asked: callers wait for a place, or no other replica has room."""


def hedgeable(generation: Generation, ask: Ask, rules: HedgeRules) -> bool:
    """Tell whether an answer may be asked twice.

    Not several choices at once, which would be written twice each; not what nobody waits for.
    """
    return (
        ask.chars <= rules.most_prompt_chars
        and generation.shape.choices == 1
        and not generation.aside
        and not generation.continued
    )


def roomy(standing: Standing, ask: Ask, now: float) -> bool:
    """Tell whether a replica can write an answer beside those it has without anyone waiting.

    It has its adapter, or room for one more; nothing waits there, and it has made no errors lately.
    """
    told = standing.told_until >= now
    return (
        standing.busy_until <= now
        and not (told and (standing.waiting or standing.cache_usage > _ROOMY))
        and standing.errors(now) < 1
        and not standing.absent(ask.revision, now)
        and (standing.resident(ask.revision) or len(standing.adapters) < standing.room)
    )


class Hedging:
    """What a pool keeps for answers that are asked twice.

    Args:
        rules: When they are.

    Attributes:
        rules: As above.
        budget: What second replicas are paid from.
        under_way: Answers that two replicas are asked for now.
    """

    __slots__ = ("budget", "rules", "under_way")

    def __init__(self, rules: HedgeRules) -> None:
        self.rules = rules
        self.budget = RetryBudget(share=rules.share, most=rules.burst)
        self.under_way = 0

    def after_s(self, late_s: float | None) -> float | None:
        """Tell how long the first replica alone is waited for.

        Args:
            late_s: Time from which first words are late, by the share that the rules name; None:
                that is not known.

        Returns:
            Seconds; None: it cannot be told yet what is late.
        """
        if not self.rules.quantile:
            return self.rules.after_s
        return None if late_s is None else max(late_s, self.rules.after_s)
