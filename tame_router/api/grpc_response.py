"""Turn our values into what callers receive."""

from tame_router.answering.event import (
    DecisionMade,
    Delta,
    DraftDelta,
    Event,
    ExpertFinish,
    ExpertStart,
    Final,
    Note,
    Part,
    Tally,
)
from tame_router.api.grpc_duration import duration
from tame_router.api.grpc_joined import (
    write_draft,
    write_fallback,
    write_note,
    write_part,
    write_step,
    write_tally,
)
from tame_router.api.grpc_logprobs import write_logprobs
from tame_router.catalog.expert import Expert
from tame_router.chat import FinishReason, Sampling, Usage
from tame_router.routing.decision import Decision, ExpertProbability, Join, Stage
from tame_router.v1 import chat_pb2, decision_pb2, expert_pb2, router_service_pb2

_FINISH_REASONS = {
    FinishReason.STOP: chat_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: chat_pb2.FINISH_REASON_LENGTH,
    FinishReason.CONTENT_FILTER: chat_pb2.FINISH_REASON_CONTENT_FILTER,
    FinishReason.TOOL_CALLS: chat_pb2.FINISH_REASON_TOOL_CALLS,
}
_STAGES = {
    Stage.FAST: decision_pb2.STAGE_FAST,
    Stage.ENCODER: decision_pb2.STAGE_ENCODER,
    Stage.PINNED: decision_pb2.STAGE_PINNED,
}
_JOINS = {
    Join.SINGLE: decision_pb2.JOIN_SINGLE,
    Join.PANEL: decision_pb2.JOIN_PANEL,
    Join.SECOND_OPINION: decision_pb2.JOIN_SECOND_OPINION,
    Join.FUSE: decision_pb2.JOIN_FUSE,
    Join.VOTE: decision_pb2.JOIN_VOTE,
    Join.BEST_OF: decision_pb2.JOIN_BEST_OF,
}


def write_decision(decision: Decision) -> decision_pb2.Decision:
    """Write a decision."""
    return decision_pb2.Decision(
        experts=[_write_probability(p) for p in decision.experts],
        probabilities=[_write_probability(p) for p in decision.probabilities],
        stage=_STAGES[decision.stage],
        reason=decision.reason,
        join=_JOINS[decision.join],
        language=decision.language,
        elapsed=duration(decision.elapsed_us / 1e6),
        features=[decision_pb2.Feature(text=f.text, weight=f.weight) for f in decision.features],
        classifier_digest=decision.classifier_digest,
        conformal_set=decision.conformal_set,
        join_reason=decision.join_reason,
    )


def _write_probability(found: ExpertProbability) -> decision_pb2.ExpertProbability:
    return decision_pb2.ExpertProbability(
        expert=found.expert, probability=found.probability, relevance=found.relevance
    )


def write_reason(reason: FinishReason) -> chat_pb2.FinishReason.ValueType:
    """Write why an answer ended."""
    return _FINISH_REASONS[reason]


def write_usage(usage: Usage) -> chat_pb2.Usage:
    """Write a token count."""
    return chat_pb2.Usage(
        prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens
    )


def write_finish(finish: ExpertFinish) -> router_service_pb2.ExpertFinish:
    """Write how an expert ended."""
    proto = router_service_pb2.ExpertFinish(
        expert=finish.expert,
        revision=finish.revision,
        finish_reason=_FINISH_REASONS[finish.finish_reason],
        usage=write_usage(finish.usage),
        elapsed=duration(finish.elapsed_s),
        notice=finish.notice,
    )
    if finish.other_reasons:
        proto.other_reasons.extend(write_reason(reason) for reason in finish.other_reasons)
    if finish.part is not Part.LEAD:
        proto.part = write_part(finish.part)
    if finish.usage.failovers:
        proto.failovers = finish.usage.failovers
    if finish.fallback:
        proto.fallback.CopyFrom(write_fallback(finish.fallback))
    if finish.time_to_first_token_s is not None:
        proto.time_to_first_token.CopyFrom(duration(finish.time_to_first_token_s))
    return proto


def write_final(final: Final) -> router_service_pb2.Final:
    """Write how the answer ended."""
    return router_service_pb2.Final(
        finish_reason=_FINISH_REASONS[final.finish_reason],
        usage=write_usage(final.usage),
        elapsed=duration(final.elapsed_s),
        receipt=final.receipt,
    )


def _write_delta(delta: Delta) -> router_service_pb2.StreamChatResponse:
    # Assigning takes a quarter of the time of building from keywords, and a chunk of plain
    # text, of which there are many, does not pay for the rest.
    response = router_service_pb2.StreamChatResponse()
    proto = response.delta
    proto.expert, proto.revision, proto.text = delta.expert, delta.revision, delta.text
    if delta.choice:
        proto.choice = delta.choice
    for call in delta.tool_calls:
        proto.tool_calls.add(index=call.index, id=call.id, name=call.name, arguments=call.arguments)
    if delta.logprobs:
        proto.logprobs.extend(write_logprobs(delta.logprobs))
    if delta.part is not Part.LEAD:
        proto.part = write_part(delta.part)
    return response


def _write_start(start: ExpertStart) -> router_service_pb2.StreamChatResponse:
    response = router_service_pb2.StreamChatResponse()
    proto = response.expert_start
    proto.expert, proto.revision, proto.notice = start.expert, start.revision, start.notice
    if start.title:  # one of several
        proto.part = write_part(start.part)
        proto.probability, proto.title = start.probability, start.title
    if start.fallback:
        proto.fallback.CopyFrom(write_fallback(start.fallback))
    return response


def _write_made(made: DecisionMade) -> router_service_pb2.StreamChatResponse:
    return router_service_pb2.StreamChatResponse(
        decision_made=router_service_pb2.DecisionMade(
            answer_id=made.answer_id,
            decision=write_decision(made.decision),
            steps=map(write_step, made.steps),
        )
    )


def _write_between(event: DraftDelta | Note | Tally) -> router_service_pb2.StreamChatResponse:
    """Write what is told between experts' words."""
    if isinstance(event, DraftDelta):
        return router_service_pb2.StreamChatResponse(draft=write_draft(event))
    if isinstance(event, Note):
        return router_service_pb2.StreamChatResponse(note=write_note(event))
    return router_service_pb2.StreamChatResponse(tally=write_tally(event))


def write_event(event: Event) -> router_service_pb2.StreamChatResponse:
    """Write one event of a stream."""
    match event:
        case Delta():
            return _write_delta(event)
        case DecisionMade():
            return _write_made(event)
        case ExpertStart():
            return _write_start(event)
        case DraftDelta() | Note() | Tally():
            return _write_between(event)
        case ExpertFinish():
            return router_service_pb2.StreamChatResponse(expert_finish=write_finish(event))
        case Final():
            return router_service_pb2.StreamChatResponse(final=write_final(event))


def write_sampling(sampling: Sampling) -> chat_pb2.Sampling:
    """Write an expert's sampling values."""
    return chat_pb2.Sampling(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        seed=sampling.seed,
        stop=sampling.stop,
    )


def write_expert(expert: Expert) -> expert_pb2.Expert:
    """Write an expert."""
    return expert_pb2.Expert(
        name=expert.name,
        titles=dict(expert.titles),
        descriptions=dict(expert.descriptions),
        live_revision=expert.live_revision,
        backend=expert.backend,
        sampling=write_sampling(expert.sampling),
        notices=dict(expert.notices),
    )
