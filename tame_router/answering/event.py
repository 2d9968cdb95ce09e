"""What happens while an answer is being written.

In this order: decision → (expert start → deltas → expert finish)* → final.
"""

from dataclasses import dataclass

from tame_router.chat import FinishReason, ToolCallDelta, Usage
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
    """New characters of one expert, or pieces of the calls it wants; never empty.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that wrote it; empty: the base model without adapter.
        text: New characters; empty where this is about calls only.
        choice: Which of several answers it belongs to, ≥ 0.
        tool_calls: Pieces of calls.
        logprobs: JSON text of OpenAI's `logprobs.content` list for these tokens; empty: none
            were asked for.
    """

    expert: str
    revision: str
    text: str
    choice: int = 0
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertFinish:
    """An expert ended.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that answered.
        finish_reason: Why it ended; of several answers, the first one.
        usage: Tokens it read and wrote.
        time_to_first_token_s: From asking to the first character; None: it wrote nothing.
        elapsed_s: From asking to the end.
        notice: Notice to show beside the answer; may be empty.
        other_reasons: Why its second and further answers ended, in their order.
    """

    expert: str
    revision: str
    finish_reason: FinishReason
    usage: Usage
    time_to_first_token_s: float | None
    elapsed_s: float
    notice: str
    other_reasons: tuple[FinishReason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """Everything has been said. The last event; `receipt` is empty where none is signed."""

    finish_reason: FinishReason
    usage: Usage
    elapsed_s: float
    receipt: str = ""


Event = DecisionMade | ExpertStart | Delta | ExpertFinish | Final
