"""Turn what happens among several experts into what callers receive."""

from tame_router.answering.event import DraftDelta, Fallback, Note, Part, PlannedStep, Tally
from tame_router.api.grpc_duration import duration
from tame_router.chat import FallbackKind
from tame_router.v1 import router_service_pb2

_PARTS = {
    Part.LEAD: router_service_pb2.PART_LEAD,
    Part.EXPERT: router_service_pb2.PART_EXPERT,
    Part.OPINION: router_service_pb2.PART_OPINION,
    Part.JOINED: router_service_pb2.PART_JOINED,
    Part.DRAFT: router_service_pb2.PART_DRAFT,
    Part.LABEL: router_service_pb2.PART_LABEL,
    Part.JUDGE: router_service_pb2.PART_JUDGE,
}

_FALLBACKS = {
    FallbackKind.BASE_MODEL: router_service_pb2.FALLBACK_KIND_BASE_MODEL,
    FallbackKind.EXPERT: router_service_pb2.FALLBACK_KIND_EXPERT,
    FallbackKind.BACKEND: router_service_pb2.FALLBACK_KIND_BACKEND,
}


def write_fallback(fallback: Fallback) -> router_service_pb2.Fallback:
    """Write that another answers in an expert's place."""
    return router_service_pb2.Fallback(
        kind=_FALLBACKS[fallback.kind],
        instead_of=fallback.instead_of,
        revision=fallback.revision,
        reason=fallback.reason,
        backend=fallback.backend,
        external=fallback.external,
    )


def write_part(part: Part) -> router_service_pb2.Part.ValueType:
    """Write what an expert's words are to the answer."""
    return _PARTS[part]


def write_step(step: PlannedStep) -> router_service_pb2.PlannedStep:
    """Write what one expert was given."""
    return router_service_pb2.PlannedStep(
        expert=step.expert,
        part=_PARTS[step.part],
        max_tokens=step.max_tokens,
        time=None if step.time_s is None else duration(max(0.0, step.time_s)),
    )


def write_note(note: Note) -> router_service_pb2.Note:
    """Write that an expert left."""
    return router_service_pb2.Note(
        expert=note.expert,
        revision=note.revision,
        part=_PARTS[note.part],
        reason=note.reason,
        message=note.message,
    )


def write_draft(draft: DraftDelta) -> router_service_pb2.Draft:
    """Write a piece of a draft."""
    return router_service_pb2.Draft(expert=draft.expert, revision=draft.revision, text=draft.text)


def write_tally(tally: Tally) -> router_service_pb2.Tally:
    """Write how answers were weighed."""
    return router_service_pb2.Tally(
        expert=tally.expert,
        entries=[
            router_service_pb2.TallyEntry(
                choice=entry.choice, experts=entry.experts, weight=entry.weight
            )
            for entry in tally.entries
        ],
    )
