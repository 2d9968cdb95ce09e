"""What a streamed answer is made of, as the SDK gives it."""

from dataclasses import dataclass, field
from datetime import timedelta

from tame_router.chat import FinishReason, Usage
from tame_router.v1 import chat_pb2, decision_pb2, expert_pb2, router_service_pb2

_FINISH_REASONS = {
    chat_pb2.FINISH_REASON_STOP: FinishReason.STOP,
    chat_pb2.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    chat_pb2.FINISH_REASON_CONTENT_FILTER: FinishReason.CONTENT_FILTER,
}


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

    @property
    def expert(self) -> str:
        """Name of the lead expert."""
        return next(iter(self.experts))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade:
    """Who answers. The first event."""

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
    """New characters of one expert."""

    expert: str
    revision: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertFinish:
    """An expert ended; `time_to_first_token` is None when it wrote nothing."""

    expert: str
    revision: str
    finish_reason: FinishReason
    usage: Usage
    time_to_first_token: timedelta | None
    elapsed: timedelta
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """Everything has been said. The last event."""

    finish_reason: FinishReason
    usage: Usage
    elapsed: timedelta


Event = DecisionMade | ExpertStart | Delta | ExpertFinish | Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer."""

    answer_id: str
    decision: Decision
    content: str
    experts: tuple[ExpertFinish, ...]
    final: Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Expert:
    """Who can answer. Texts are by language tag, `zh-TW` and `en`."""

    name: str
    titles: dict[str, str]
    descriptions: dict[str, str]
    live_revision: str
    backend: str
    notices: dict[str, str]


def read_decision(proto: decision_pb2.Decision) -> Decision:
    """Read a decision."""
    return Decision(
        experts={p.expert: p.probability for p in proto.experts},
        probabilities={p.expert: p.probability for p in proto.probabilities},
        stage=decision_pb2.Stage.Name(proto.stage).removeprefix("STAGE_").lower(),
        reason=proto.reason,
        language=proto.language,
        elapsed=proto.elapsed.ToTimedelta(),
        features={f.text: f.weight for f in proto.features},
        classifier_digest=proto.classifier_digest,
        relevances={p.expert: p.relevance for p in proto.probabilities},
        conformal_set=tuple(proto.conformal_set),
    )


def read_event(proto: router_service_pb2.StreamChatResponse) -> Event | None:
    """Read one event of a stream; None for one that this SDK does not know yet."""
    match proto.WhichOneof("event"):
        case "delta":
            delta = proto.delta
            return Delta(expert=delta.expert, revision=delta.revision, text=delta.text)
        case "decision_made":
            made = proto.decision_made
            return DecisionMade(answer_id=made.answer_id, decision=read_decision(made.decision))
        case "expert_start":
            start = proto.expert_start
            return ExpertStart(expert=start.expert, revision=start.revision, notice=start.notice)
        case "expert_finish":
            return _read_finish(proto.expert_finish)
        case "final":
            return _read_final(proto.final)
    return None


def read_answer(proto: router_service_pb2.ChatResponse) -> Answer:
    """Read a whole answer."""
    return Answer(
        answer_id=proto.answer_id,
        decision=read_decision(proto.decision),
        content=proto.content,
        experts=tuple(map(_read_finish, proto.experts)),
        final=_read_final(proto.final),
    )


def read_expert(proto: expert_pb2.Expert) -> Expert:
    """Read an expert."""
    return Expert(
        name=proto.name,
        titles=dict(proto.titles),
        descriptions=dict(proto.descriptions),
        live_revision=proto.live_revision,
        backend=proto.backend,
        notices=dict(proto.notices),
    )


def _read_finish(proto: router_service_pb2.ExpertFinish) -> ExpertFinish:
    wrote = proto.HasField("time_to_first_token")
    return ExpertFinish(
        expert=proto.expert,
        revision=proto.revision,
        finish_reason=_read_reason(proto.finish_reason),
        usage=_read_usage(proto.usage),
        time_to_first_token=proto.time_to_first_token.ToTimedelta() if wrote else None,
        elapsed=proto.elapsed.ToTimedelta(),
        notice=proto.notice,
    )


def _read_final(proto: router_service_pb2.Final) -> Final:
    return Final(
        finish_reason=_read_reason(proto.finish_reason),
        usage=_read_usage(proto.usage),
        elapsed=proto.elapsed.ToTimedelta(),
    )


def _read_reason(proto: chat_pb2.FinishReason.ValueType) -> FinishReason:
    return _FINISH_REASONS.get(proto, FinishReason.STOP)


def _read_usage(proto: chat_pb2.Usage) -> Usage:
    return Usage(prompt_tokens=proto.prompt_tokens, completion_tokens=proto.completion_tokens)
