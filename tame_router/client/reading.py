"""Read what the router sends into the SDK's values."""

from collections.abc import Iterable

from tame_router.chat import FallbackKind, FinishReason, ToolCall, ToolCallDelta, Usage
from tame_router.client.event import (
    Answer,
    Choice,
    Decision,
    DecisionMade,
    Delta,
    Event,
    Expert,
    ExpertFinish,
    ExpertStart,
    Fallback,
    Final,
    TokenLogprob,
)
from tame_router.client.joined import (
    AnswerPart,
    Draft,
    Note,
    Part,
    PlannedStep,
    Tally,
    TallyEntry,
)
from tame_router.v1 import chat_pb2, decision_pb2, expert_pb2, router_service_pb2

_FINISH_REASONS = {
    chat_pb2.FINISH_REASON_STOP: FinishReason.STOP,
    chat_pb2.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    chat_pb2.FINISH_REASON_CONTENT_FILTER: FinishReason.CONTENT_FILTER,
    chat_pb2.FINISH_REASON_TOOL_CALLS: FinishReason.TOOL_CALLS,
}

_PARTS = {
    router_service_pb2.PART_LEAD: Part.LEAD,
    router_service_pb2.PART_EXPERT: Part.EXPERT,
    router_service_pb2.PART_OPINION: Part.OPINION,
    router_service_pb2.PART_JOINED: Part.JOINED,
    router_service_pb2.PART_DRAFT: Part.DRAFT,
    router_service_pb2.PART_LABEL: Part.LABEL,
    router_service_pb2.PART_JUDGE: Part.JUDGE,
}

_FALLBACKS = {
    router_service_pb2.FALLBACK_KIND_BASE_MODEL: FallbackKind.BASE_MODEL,
    router_service_pb2.FALLBACK_KIND_EXPERT: FallbackKind.EXPERT,
    router_service_pb2.FALLBACK_KIND_BACKEND: FallbackKind.BACKEND,
}


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
        join=decision_pb2.Join.Name(proto.join).removeprefix("JOIN_").lower(),
        join_reason=proto.join_reason,
    )


def read_event(proto: router_service_pb2.StreamChatResponse) -> Event | None:
    """Read one event of a stream; None for one that this SDK does not know yet."""
    match proto.WhichOneof("event"):
        case "delta":
            return _read_delta(proto.delta)
        case "decision_made":
            return _read_made(proto.decision_made)
        case "expert_start":
            return _read_start(proto.expert_start)
        case "expert_finish":
            return _read_finish(proto.expert_finish)
        case "final":
            return _read_final(proto.final)
    return _read_between(proto)


def _read_between(proto: router_service_pb2.StreamChatResponse) -> Event | None:
    """Read what is told between experts' words."""
    match proto.WhichOneof("event"):
        case "draft":
            draft = proto.draft
            return Draft(expert=draft.expert, revision=draft.revision, text=draft.text)
        case "note":
            return _read_note(proto.note)
        case "tally":
            return _read_tally(proto.tally)
    return None


def _read_made(proto: router_service_pb2.DecisionMade) -> DecisionMade:
    return DecisionMade(
        answer_id=proto.answer_id,
        decision=read_decision(proto.decision),
        steps=tuple(
            PlannedStep(
                expert=step.expert,
                part=_read_part(step.part),
                max_tokens=step.max_tokens if step.HasField("max_tokens") else None,
                time=step.time.ToTimedelta() if step.HasField("time") else None,
            )
            for step in proto.steps
        ),
    )


def _read_start(proto: router_service_pb2.ExpertStart) -> ExpertStart:
    return ExpertStart(
        expert=proto.expert,
        revision=proto.revision,
        notice=proto.notice,
        part=_read_part(proto.part),
        probability=proto.probability,
        title=proto.title,
        fallback=_read_fallback(proto.fallback) if proto.HasField("fallback") else None,
    )


def _read_fallback(proto: router_service_pb2.Fallback) -> Fallback:
    return Fallback(
        kind=_FALLBACKS.get(proto.kind),
        instead_of=proto.instead_of,
        revision=proto.revision,
        reason=proto.reason,
        backend=proto.backend,
        external=proto.external,
    )


def _read_note(proto: router_service_pb2.Note) -> Note:
    return Note(
        expert=proto.expert,
        revision=proto.revision,
        part=_read_part(proto.part),
        reason=proto.reason,
        message=proto.message,
    )


def _read_tally(proto: router_service_pb2.Tally) -> Tally:
    return Tally(
        expert=proto.expert,
        entries=tuple(
            TallyEntry(choice=e.choice, experts=tuple(e.experts), weight=e.weight)
            for e in proto.entries
        ),
    )


def _read_answer_part(proto: router_service_pb2.AnswerPart) -> AnswerPart:
    return AnswerPart(
        expert=proto.expert,
        revision=proto.revision,
        part=_read_part(proto.part),
        content=proto.content,
    )


def _read_part(proto: router_service_pb2.Part.ValueType) -> Part:
    return _PARTS.get(proto, Part.LEAD)


def read_answer(proto: router_service_pb2.ChatResponse) -> Answer:
    """Read a whole answer."""
    return Answer(
        answer_id=proto.answer_id,
        decision=read_decision(proto.decision),
        content=proto.content,
        experts=tuple(map(_read_finish, proto.experts)),
        final=_read_final(proto.final),
        tool_calls=_read_calls(proto.tool_calls),
        logprobs=_read_logprobs(proto.logprobs),
        other_choices=tuple(map(_read_choice, proto.other_choices)),
        parts=tuple(map(_read_answer_part, proto.parts)),
        notes=tuple(map(_read_note, proto.notes)),
        tally=_read_tally(proto.tally) if proto.HasField("tally") else None,
        drafts=tuple(map(_read_answer_part, proto.drafts)),
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


def _read_delta(proto: router_service_pb2.Delta) -> Delta:
    calls = proto.tool_calls
    logprobs = proto.logprobs
    return Delta(
        expert=proto.expert,
        revision=proto.revision,
        text=proto.text,
        choice=proto.choice,
        tool_calls=tuple(map(_read_call_delta, calls)) if calls else (),
        logprobs=_read_logprobs(logprobs) if logprobs else (),
        part=_read_part(proto.part),
    )


def _read_call_delta(proto: chat_pb2.ToolCallDelta) -> ToolCallDelta:
    return ToolCallDelta(index=proto.index, id=proto.id, name=proto.name, arguments=proto.arguments)


def _read_calls(protos: Iterable[chat_pb2.ToolCall]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(id=c.id, name=c.name, arguments=c.arguments) for c in protos)


def _read_choice(proto: router_service_pb2.Choice) -> Choice:
    return Choice(
        content=proto.content,
        finish_reason=_read_reason(proto.finish_reason),
        tool_calls=_read_calls(proto.tool_calls),
        logprobs=_read_logprobs(proto.logprobs),
    )


def _read_logprobs(protos: Iterable[chat_pb2.TokenLogprob]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token=proto.token,
            logprob=proto.logprob,
            raw=proto.raw,
            top_logprobs=_read_logprobs(proto.top_logprobs),
        )
        for proto in protos
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
        other_reasons=tuple(map(_read_reason, proto.other_reasons)),
        part=_read_part(proto.part),
        failovers=proto.failovers,
        fallback=_read_fallback(proto.fallback) if proto.HasField("fallback") else None,
    )


def _read_final(proto: router_service_pb2.Final) -> Final:
    return Final(
        finish_reason=_read_reason(proto.finish_reason),
        usage=_read_usage(proto.usage),
        elapsed=proto.elapsed.ToTimedelta(),
        receipt=proto.receipt,
    )


def _read_reason(proto: chat_pb2.FinishReason.ValueType) -> FinishReason:
    return _FINISH_REASONS.get(proto, FinishReason.STOP)


def _read_usage(proto: chat_pb2.Usage) -> Usage:
    return Usage(prompt_tokens=proto.prompt_tokens, completion_tokens=proto.completion_tokens)
