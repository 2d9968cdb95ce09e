"""Turn our values into what callers receive."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
from tame_router.api.grpc_duration import fill_duration
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

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

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
    proto = decision_pb2.Decision()
    fill_decision(proto, decision)
    return proto


def fill_decision(proto: decision_pb2.Decision, decision: Decision) -> None:
    """Write a decision into a message that is empty yet."""
    _add(proto.experts, decision.experts)
    _add(proto.probabilities, decision.probabilities)
    proto.stage, proto.join = _STAGES[decision.stage], _JOINS[decision.join]
    proto.reason, proto.join_reason = decision.reason, decision.join_reason
    proto.language = decision.language
    proto.elapsed.seconds, rest_us = divmod(decision.elapsed_us, 1_000_000)
    proto.elapsed.nanos = rest_us * 1_000
    if decision.features:
        proto.features.extend(
            decision_pb2.Feature(text=f.text, weight=f.weight) for f in decision.features
        )
    proto.classifier_digest = decision.classifier_digest
    proto.conformal_set.extend(decision.conformal_set)


def _add(
    protos: "RepeatedCompositeFieldContainer[decision_pb2.ExpertProbability]",
    found: Sequence[ExpertProbability],
) -> None:
    for one in found:
        proto = protos.add()
        proto.expert, proto.probability = one.expert, one.probability
        proto.relevance = one.relevance


def write_reason(reason: FinishReason) -> chat_pb2.FinishReason.ValueType:
    """Write why an answer ended."""
    return _FINISH_REASONS[reason]


def _fill_usage(proto: chat_pb2.Usage, usage: Usage) -> None:
    proto.prompt_tokens, proto.completion_tokens = usage.prompt_tokens, usage.completion_tokens


def write_finish(finish: ExpertFinish) -> router_service_pb2.ExpertFinish:
    """Write how an expert ended."""
    proto = router_service_pb2.ExpertFinish()
    _fill_finish(proto, finish)
    return proto


def _fill_finish(proto: router_service_pb2.ExpertFinish, finish: ExpertFinish) -> None:
    proto.expert, proto.revision, proto.notice = finish.expert, finish.revision, finish.notice
    proto.finish_reason = _FINISH_REASONS[finish.finish_reason]
    _fill_usage(proto.usage, finish.usage)
    fill_duration(proto.elapsed, finish.elapsed_s)
    if finish.other_reasons:
        proto.other_reasons.extend(write_reason(reason) for reason in finish.other_reasons)
    if finish.part is not Part.LEAD:
        proto.part = write_part(finish.part)
    if finish.usage.failovers:
        proto.failovers = finish.usage.failovers
    if finish.fallback:
        proto.fallback.CopyFrom(write_fallback(finish.fallback))
    if finish.time_to_first_token_s is not None:
        fill_duration(proto.time_to_first_token, finish.time_to_first_token_s)


def write_final(final: Final) -> router_service_pb2.Final:
    """Write how the answer ended."""
    proto = router_service_pb2.Final()
    _fill_final(proto, final)
    return proto


def _fill_final(proto: router_service_pb2.Final, final: Final) -> None:
    proto.finish_reason, proto.receipt = _FINISH_REASONS[final.finish_reason], final.receipt
    _fill_usage(proto.usage, final.usage)
    fill_duration(proto.elapsed, final.elapsed_s)


# Assigning takes a quarter of the time of building from keywords.


def _write_delta(delta: Delta) -> router_service_pb2.StreamChatResponse:
    # A chunk of plain text, of which there are many, does not pay for the rest.
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
    response = router_service_pb2.StreamChatResponse()
    proto = response.decision_made
    proto.answer_id = made.answer_id
    fill_decision(proto.decision, made.decision)
    if made.steps:
        proto.steps.extend(map(write_step, made.steps))
    return response


def _write_end(finish: ExpertFinish) -> router_service_pb2.StreamChatResponse:
    response = router_service_pb2.StreamChatResponse()
    _fill_finish(response.expert_finish, finish)
    return response


def _write_last(final: Final) -> router_service_pb2.StreamChatResponse:
    response = router_service_pb2.StreamChatResponse()
    _fill_final(response.final, final)
    return response


_WRITERS: Mapping[type, Callable[[Any], router_service_pb2.StreamChatResponse]] = {
    DecisionMade: _write_made,
    ExpertStart: _write_start,
    Delta: _write_delta,
    DraftDelta: lambda draft: router_service_pb2.StreamChatResponse(draft=write_draft(draft)),
    Note: lambda note: router_service_pb2.StreamChatResponse(note=write_note(note)),
    Tally: lambda tally: router_service_pb2.StreamChatResponse(tally=write_tally(tally)),
    ExpertFinish: _write_end,
    Final: _write_last,
}


def write_event(event: Event) -> router_service_pb2.StreamChatResponse:
    """Write one event of a stream."""
    return _WRITERS[type(event)](event)


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
