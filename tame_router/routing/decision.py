"""The decision: who answers, how sure the router is of it, and why. Values only."""

import enum

import msgspec


class Stage(enum.StrEnum):
    """The part of the router that decided."""

    FAST = "fast"
    """The lexical model, which reads characters and words."""
    ENCODER = "encoder"
    """The dense encoder, which looks again where the lexical model is unsure."""
    PINNED = "pinned"
    """Nobody: the caller pinned the expert."""


class Reason(enum.StrEnum):
    """Why these experts were selected, spelt as on the wire."""

    MOST_PROBABLE = "MOST_PROBABLE"
    """The lead is the most probable expert, and probable enough."""
    BELOW_THRESHOLD = "BELOW_THRESHOLD"
    """No expert was probable enough: the fallback answers."""
    FALLBACK_PLAUSIBLE = "FALLBACK_PLAUSIBLE"
    """The fallback could not be ruled out at the stated coverage: it answers."""
    FALLBACK_NOT_ALLOWED = "FALLBACK_NOT_ALLOWED"
    """No expert was probable enough and the fallback may not answer: the most probable does."""
    ONLY_ALLOWED = "ONLY_ALLOWED"
    """The constraints leave one expert."""
    PINNED = "PINNED"
    """The caller named the expert."""


class Join(enum.StrEnum):
    """How the answers of several experts become one."""

    SINGLE = "single"
    """The lead expert answers alone."""
    PANEL = "panel"
    """Each expert's answer as a part of its own."""
    SECOND_OPINION = "second_opinion"
    """The lead's answer, then what the others add or dispute."""
    FUSE = "fuse"
    """One answer written from the experts' drafts, with references to them."""
    VOTE = "vote"
    """The short answer that has most of the probability, experts taken together."""
    BEST_OF = "best_of"
    """The best of the experts' drafts."""


class JoinReason(enum.StrEnum):
    """Why answers are joined this way, spelt as on the wire."""

    ONE_EXPERT = "ONE_EXPERT"
    """One expert was selected, and the caller asked for no more."""
    UNSURE = "UNSURE"
    """Others were selected, none of them relevant enough to answer too: the lead alone."""
    SEVERAL_EXPERTS = "SEVERAL_EXPERTS"
    """The question needs several experts: the operator's join for such."""
    ASKED = "ASKED"
    """The caller named the join."""
    SHAPE = "SHAPE"
    """Tools, a form, several answers or log-probabilities are wanted: the lead alone."""
    NOT_ALLOWED = "NOT_ALLOWED"
    """The tenant may not use the operator's join: the lead alone."""


class Order(enum.StrEnum):
    """In which order a panel's parts are sent."""

    LEAD_FIRST = "lead_first"
    """One after the other, the lead's first; what others write meanwhile waits."""
    INTERLEAVED = "interleaved"
    """All at once, as they are written: for clients that show columns."""


class ExpertProbability(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The calibrated belief that an expert is the right one.

    Attributes:
        expert: Name of the expert.
        probability: In [0, 1]; those of all allowed experts sum to 1.
        relevance: Probability that the question touches its domain, whatever else it
            touches, in [0, 1].
    """

    expert: str
    probability: float
    relevance: float = 0.0


class Feature(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A piece of the question that weighed on the decision.

    Attributes:
        text: Characters or words, normalised.
        weight: How much it spoke for the lead expert, in calibrated logits above the mean
            of all experts; negative: against it.
    """

    text: str
    weight: float


class Constraints(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The caller's wishes about who answers.

    Attributes:
        pin: The one expert that must answer; empty: the router decides.
        allow: Experts that may answer; empty: all.
        deny: Experts that must not answer; it wins over `allow`.
        max_experts: Most experts that may be selected; 0: the policy's default.
        join: How answers are joined; None: the policy's default.
        revision: The one adapter revision of the pinned expert that must answer; empty: the
            live one.
        order: In which order a panel's parts are sent.
        drafts: Also send the drafts that an answer is made from.
        no_fallback: Nobody answers in the place of an expert whose backend is gone.
    """

    pin: str = ""
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    max_experts: int = 0
    join: Join | None = None
    revision: str = ""
    order: Order = Order.LEAD_FIRST
    drafts: bool = False
    no_fallback: bool = False


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who answers and why.

    Attributes:
        experts: The selected experts, the lead first; never empty.
        probabilities: All experts that were allowed, the most probable first; they sum to 1.
        stage: Which part of the router decided.
        reason: Why these experts.
        join: How their answers are joined.
        language: Language the question was read as: `zh-TW`, `zh-CN` or `en`.
        elapsed_us: Time the decision took, in microseconds.
        features: What weighed most for the lead expert in the last turn, the heaviest
            first; empty unless an explanation was asked for.
        classifier_digest: Digest of the trained classifier, in hexadecimal.
        conformal_set: Experts that could not be ruled out at the policy's coverage, the
            most probable first; may be empty.
        join_reason: Why they are joined this way.
    """

    experts: tuple[ExpertProbability, ...]
    probabilities: tuple[ExpertProbability, ...]
    stage: Stage
    reason: Reason
    join: Join
    language: str
    elapsed_us: int
    features: tuple[Feature, ...] = ()
    classifier_digest: str = ""
    conformal_set: tuple[str, ...] = ()
    join_reason: JoinReason = JoinReason.ONE_EXPERT

    @property
    def lead(self) -> str:
        """Name of the expert that answers first, or alone."""
        return self.experts[0].expert
