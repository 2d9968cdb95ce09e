"""What a streamed answer is made of, as the SDK gives it."""

from dataclasses import dataclass, field
from datetime import timedelta

from tame_router.chat import FallbackKind, FinishReason, ToolCall, ToolCallDelta, Usage
from tame_router.client.joined import AnswerPart, Draft, Note, Part, PlannedStep, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """How probable a token was.

    Attributes:
        token: The token as text.
        logprob: Natural logarithm of its probability; -9999: too small to be told.
        raw: Its bytes; empty: not told.
        top_logprobs: The most probable tokens in its place, the most probable first.
    """

    token: str
    logprob: float
    raw: bytes = b""
    top_logprobs: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who answers and why.

    Attributes:
        experts: Names and probabilities of the selected experts, the lead first.
        probabilities: All allowed experts, the most probable first; they sum to 1.
        stage: `fast`, `encoder` or `pinned`.
        reason: Why these experts, in UPPER_SNAKE.
        language: `zh-TW`, `zh-CN` or `en`.
        elapsed: Time the decision took.
        features: What weighed most for the lead, in logits; filled by `route(explain=True)`.
        classifier_digest: Digest of the trained classifier.
        relevances: Of all allowed experts: the probability that the question touches their
            domain, whatever else it touches.
        conformal_set: Experts that could not be ruled out, the most probable first.
        join: How answers are joined: `single`, `panel`, `second_opinion`, `fuse`, `vote`,
            `best_of`.
        join_reason: Why, in UPPER_SNAKE.
    """

    experts: dict[str, float]
    probabilities: dict[str, float]
    stage: str
    reason: str
    language: str
    elapsed: timedelta
    features: dict[str, float] = field(default_factory=dict)
    classifier_digest: str = ""
    relevances: dict[str, float] = field(default_factory=dict)
    conformal_set: tuple[str, ...] = ()
    join: str = "single"
    join_reason: str = "ONE_EXPERT"

    @property
    def expert(self) -> str:
        """Name of the lead expert."""
        return next(iter(self.experts))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade:
    """Who answers. The first event; `steps` is empty where one expert is asked."""

    answer_id: str
    decision: Decision
    steps: tuple[PlannedStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """What answers does so in place of the expert that was selected, whose backend is gone.

    Attributes:
        kind: What it is; None: something that this SDK does not know yet.
        instead_of: Name of the expert that was selected.
        revision: The adapter revision of that expert that was to answer; empty: none.
        reason: Why it did not, in UPPER_SNAKE: the reason of an error.
        backend: Name of the backend that writes instead.
        external: That is a provider outside of the service.
    """

    kind: FallbackKind | None
    instead_of: str
    revision: str
    reason: str
    backend: str
    external: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertStart:
    """An expert was asked.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that answers; empty: the base model without adapter.
        notice: Notice to show beside the answer; may be empty.
        part: What its words are to the answer.
        probability: That it is the right one; 0 where one expert is asked.
        title: Its title, to label its words with; empty where one expert is asked.
        fallback: Whose place it takes; None: it was selected itself.
    """

    expert: str
    revision: str
    notice: str
    part: Part = Part.LEAD
    probability: float = 0.0
    title: str = ""
    fallback: Fallback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """New characters of one expert, or pieces of the calls it wants made.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that wrote it; empty: the base model without adapter.
        text: New characters; empty where this is about calls or probabilities only.
        choice: Which of several answers it belongs to, from 0.
        tool_calls: Pieces of calls.
        logprobs: How probable the new tokens were, where that was asked for.
        part: What they are to the answer.
    """

    expert: str
    revision: str
    text: str
    choice: int = 0
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    part: Part = Part.LEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertFinish:
    """An expert ended; `time_to_first_token` is None when it wrote nothing.

    `finish_reason` is of the first answer, `other_reasons` of the further ones. `failovers`
    says how often it began anew, or went on, on another server; `usage` counts tokens once.
    `fallback` says whose place it took; None: it was selected itself.
    """

    expert: str
    revision: str
    finish_reason: FinishReason
    usage: Usage
    time_to_first_token: timedelta | None
    elapsed: timedelta
    notice: str
    other_reasons: tuple[FinishReason, ...] = ()
    part: Part = Part.LEAD
    failovers: int = 0
    fallback: Fallback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """Everything has been said. The last event; `receipt` is empty where none is signed."""

    finish_reason: FinishReason
    usage: Usage
    elapsed: timedelta
    receipt: str = ""


Event = DecisionMade | ExpertStart | Delta | Draft | Note | Tally | ExpertFinish | Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several answers to the same question."""

    content: str
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer.

    Attributes:
        answer_id: Names it, in logs and feedback.
        decision: Who answered, and why.
        content: The answer; the first, where several were wanted.
        experts: What each expert did.
        final: What it cost.
        tool_calls: The calls that the expert wants made.
        logprobs: How probable its tokens were, where that was asked for.
        other_choices: The second and further answers.
        parts: What the content is made of, without the headings; empty where one expert was
            asked.
        notes: Who of the experts left, and why.
        tally: How votes or drafts were weighed; None: there was nothing to weigh.
        drafts: What the answer was made from, where that was asked for.
    """

    answer_id: str
    decision: Decision
    content: str
    experts: tuple[ExpertFinish, ...]
    final: Final
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    other_choices: tuple[Choice, ...] = ()
    parts: tuple[AnswerPart, ...] = ()
    notes: tuple[Note, ...] = ()
    tally: Tally | None = None
    drafts: tuple[AnswerPart, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All answers, the first included."""
        first = Choice(
            content=self.content,
            finish_reason=self.final.finish_reason,
            tool_calls=self.tool_calls,
            logprobs=self.logprobs,
        )
        return (first, *self.other_choices)

    @property
    def fallback(self) -> Fallback | None:
        """Whose place the one that answered took; None: that of nobody."""
        return next((one.fallback for one in self.experts if one.fallback), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expert:
    """Who can answer. Texts are by language tag, `zh-TW` and `en`."""

    name: str
    titles: dict[str, str]
    descriptions: dict[str, str]
    live_revision: str
    backend: str
    notices: dict[str, str]
