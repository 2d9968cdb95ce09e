"""What happens while an answer is being written.

In this order: decision → (expert start → deltas or drafts → expert finish, or a note that it
left)* → tally, deltas of what was made from drafts → final. Where several experts speak at
once their events mix; those of each keep this order.
"""

import enum

import msgspec

from tame_router.chat import FallbackKind, FinishReason, ToolCallDelta, Usage
from tame_router.routing.decision import Decision


class Part(enum.StrEnum):
    """What an expert's words are to the answer."""

    LEAD = "lead"
    """The lead expert's own words."""
    EXPERT = "expert"
    """Another expert's own words."""
    OPINION = "opinion"
    """What others add to the lead's words or dispute, written from both."""
    JOINED = "joined"
    """Words made, or chosen, from the experts' drafts."""
    DRAFT = "draft"
    """A draft: no part of the answer."""
    JUDGE = "judge"
    """The verdict on drafts: no part of the answer."""
    LABEL = "label"
    """Headings and lists of references, by the router itself."""


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one expert was given.

    Attributes:
        expert: Name of the expert.
        part: What its words are to the answer.
        max_tokens: Most tokens it may write, ≥ 1; None: as the expert does by itself.
        time_s: Time it has, from the decision; None: no limit of the caller's.
    """

    expert: str
    part: Part
    max_tokens: int | None = None
    time_s: float | None = None


class DecisionMade(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who answers, and why, and what each may use where several do. The first event.

    Who writes from their words, or judges them, is the last of the steps.
    """

    answer_id: str
    decision: Decision
    steps: tuple[PlannedStep, ...] = ()


class Fallback(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What answers does so in place of the expert that was selected.

    Attributes:
        kind: What it is.
        instead_of: Name of the expert that was selected.
        revision: The adapter revision of that expert that was to answer; empty: none.
        reason: Why it does not: an error's reason.
        backend: Name of the backend that writes instead.
        external: That is a provider's, by way of LiteLLM.
    """

    kind: FallbackKind
    instead_of: str
    revision: str
    reason: str
    backend: str
    external: bool = False


class ExpertStart(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An expert was asked.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that answers; empty: the base model without adapter.
        notice: Notice to show beside the answer; may be empty.
        part: What its words are to the answer.
        probability: That it is the right one, in [0, 1]; where several are asked.
        title: Its title, to label its words with; where several are asked.
        fallback: Whose place it takes; None: it was selected itself.
    """

    expert: str
    revision: str
    notice: str
    part: Part = Part.LEAD
    probability: float = 0.0
    title: str = ""
    fallback: Fallback | None = None


class Delta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """New characters of one expert, or pieces of the calls it wants; never empty.

    A struct, for there is one for nearly each token.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that wrote it; empty: the base model without adapter.
        text: New characters; empty where this is about calls only.
        choice: Which of several answers it belongs to, ≥ 0.
        tool_calls: Pieces of calls.
        logprobs: JSON text of OpenAI's `logprobs.content` list for these tokens; empty: none
            were asked for.
        part: What they are to the answer.
    """

    expert: str
    revision: str
    text: str
    choice: int = 0
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: bytes = b""
    part: Part = Part.LEAD


class DraftDelta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """New characters of a draft, which are no part of the answer."""

    expert: str
    revision: str
    text: str


class Note(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An expert left, or was not waited for; its words so far stand.

    Attributes:
        expert: Name of the expert.
        revision: Its adapter revision; empty: the base model without adapter.
        part: What its words are to the answer.
        reason: UPPER_SNAKE: an error's, or NOT_WAITED_FOR, TOO_LONG, UNREADABLE.
        message: The same for a person.
        written: Characters of a draft that it had written; for counting, not sent.
    """

    expert: str
    revision: str
    part: Part
    reason: str
    message: str
    written: int = 0


class TallyEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The weight of one choice of a vote, or of one draft; see `Tally`."""

    choice: str
    experts: tuple[str, ...]
    weight: float


class Tally(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How experts' answers were weighed.

    Attributes:
        expert: Whose words won.
        entries: The heaviest first. Of a vote: one for each choice, weights sum to 1. Of
            drafts: one for each, the geometric mean of its tokens' probabilities; 1 and 0
            where a judge chose.
    """

    expert: str
    entries: tuple[TallyEntry, ...]


class ExpertFinish(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
        part: What its words are to the answer.
        simplified: Simplified characters that the guard found in its words; for judging
            canaries, not sent.
        looked_at: Characters that the guard has looked at; 0: it did not look.
        fallback: Whose place it took; None: it was selected itself.
    """

    expert: str
    revision: str
    finish_reason: FinishReason
    usage: Usage
    time_to_first_token_s: float | None
    elapsed_s: float
    notice: str
    other_reasons: tuple[FinishReason, ...] = ()
    part: Part = Part.LEAD
    simplified: int = 0
    looked_at: int = 0
    fallback: Fallback | None = None


class Final(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything has been said. The last event; `receipt` is empty where none is signed.

    `usage` is the sum of the steps that finished: who left told none.
    """

    finish_reason: FinishReason
    usage: Usage
    elapsed_s: float
    receipt: str = ""


Event = DecisionMade | ExpertStart | Delta | DraftDelta | Note | Tally | ExpertFinish | Final
