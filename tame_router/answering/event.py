"""What happens while an answer is being written.

In this order: decision → (expert start → deltas → expert finish)* → final.
"""

from dataclasses import dataclass

from tame_router.chat import FinishReason, Usage
from tame_router.routing.decision import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade:
    """Who answers, and why. The first event."""

    answer_id: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertStart:
    """An expert was asked; `revision` is empty for the base model without adapter."""

    expert: str
    revision: str
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """New characters of one expert, never empty."""

    expert: str
    revision: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertFinish:
    """An expert ended.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that answered.
        finish_reason: Why it ended.
        usage: Tokens it read and wrote.
        time_to_first_token_s: From asking to the first character; None: it wrote nothing.
        elapsed_s: From asking to the end.
        notice: Notice to show beside the answer; may be empty.
    """

    expert: str
    revision: str
    finish_reason: FinishReason
    usage: Usage
    time_to_first_token_s: float | None
    elapsed_s: float
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """Everything has been said. The last event."""

    finish_reason: FinishReason
    usage: Usage
    elapsed_s: float


Event = DecisionMade | ExpertStart | Delta | ExpertFinish | Final
