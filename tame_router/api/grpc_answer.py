"""An answer in one message, gathered from its events."""

from tame_router.answering.event import (
    DecisionMade,
    Delta,
    DraftDelta,
    Event,
    ExpertFinish,
    Final,
    Note,
    Part,
    Tally,
)
from tame_router.api.grpc_joined import write_note, write_part, write_tally
from tame_router.api.grpc_logprobs import write_logprobs
from tame_router.api.grpc_response import (
    write_decision,
    write_final,
    write_finish,
    write_reason,
)
from tame_router.chat import FinishReason, ToolCallDelta
from tame_router.v1 import chat_pb2, router_service_pb2


class GatheredChoice:
    """One of the answers, while its pieces arrive."""

    __slots__ = ("calls", "logprobs", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: dict[int, chat_pb2.ToolCall] = {}
        self.logprobs: list[chat_pb2.TokenLogprob] = []

    def add(self, delta: Delta) -> None:
        """Add a piece.

        Raises:
            BackendProtocolError: When its probabilities cannot be read.
        """
        if delta.text:
            self.texts.append(delta.text)
        for piece in delta.tool_calls:
            self._add_call(piece)
        if delta.logprobs:
            self.logprobs += write_logprobs(delta.logprobs)

    @property
    def content(self) -> str:
        """The text so far."""
        return "".join(self.texts)

    @property
    def tool_calls(self) -> list[chat_pb2.ToolCall]:
        """The calls so far, in their order."""
        return [call for _, call in sorted(self.calls.items())]

    def _add_call(self, piece: ToolCallDelta) -> None:
        call = self.calls.setdefault(piece.index, chat_pb2.ToolCall())
        call.id = call.id or piece.id
        call.name = call.name or piece.name
        call.arguments += piece.arguments


class GatheredAnswer:
    """Makes one message of an answer's events."""

    def __init__(self) -> None:
        self._response = router_service_pb2.ChatResponse()
        self._choices = [GatheredChoice()]
        self._other_reasons: tuple[FinishReason, ...] = ()
        self._joined = False
        self._parts: list[router_service_pb2.AnswerPart] = []
        self._drafts: dict[str, router_service_pb2.AnswerPart] = {}

    async def emit(self, event: Event) -> None:
        """Take an event in.

        Raises:
            BackendProtocolError: When a piece's probabilities cannot be read.
        """
        match event:
            case Delta():
                self._choice(event.choice).add(event)
                if self._joined:
                    self._add_part(event)
            case DraftDelta() | Note() | Tally():
                self._take_between(event)
            case DecisionMade():
                self._joined = bool(event.steps)
                self._response.answer_id = event.answer_id
                self._response.decision.CopyFrom(write_decision(event.decision))
            case ExpertFinish():
                self._response.experts.append(write_finish(event))
                self._other_reasons = self._other_reasons or event.other_reasons
            case Final():
                self._response.final.CopyFrom(write_final(event))

    def response(self) -> router_service_pb2.ChatResponse:
        """Give the whole answer, after its last event."""
        first, *others = self._choices
        response = self._response
        response.parts.extend(self._parts)
        response.drafts.extend(self._drafts.values())
        response.content = first.content
        response.tool_calls.extend(first.tool_calls)
        response.logprobs.extend(first.logprobs)
        # An answer that said nothing has an end too.
        missing = len(self._other_reasons) - len(others)
        others += [GatheredChoice() for _ in range(missing)]
        for index, choice in enumerate(others):
            ended = index < len(self._other_reasons)
            reason = self._other_reasons[index] if ended else FinishReason.STOP
            response.other_choices.add(
                content=choice.content,
                tool_calls=choice.tool_calls,
                logprobs=choice.logprobs,
                finish_reason=write_reason(reason),
            )
        return response

    def _take_between(self, event: DraftDelta | Note | Tally) -> None:
        """Take in what is told between experts' words."""
        if isinstance(event, DraftDelta):
            self._add_draft(event)
        elif isinstance(event, Note):
            self._response.notes.append(write_note(event))
        else:
            self._response.tally.CopyFrom(write_tally(event))

    def _add_part(self, delta: Delta) -> None:
        """Put an expert's words to those before of the same part."""
        if delta.part is Part.LABEL:
            return
        last, part = self._parts[-1] if self._parts else None, write_part(delta.part)
        if last is None or (last.expert, last.part) != (delta.expert, part):
            last = router_service_pb2.AnswerPart(
                expert=delta.expert, revision=delta.revision, part=part
            )
            self._parts.append(last)
        last.content += delta.text

    def _add_draft(self, draft: DraftDelta) -> None:
        known = self._drafts.get(draft.expert)
        if known is None:
            known = router_service_pb2.AnswerPart(
                expert=draft.expert,
                revision=draft.revision,
                part=router_service_pb2.PART_DRAFT,
            )
            self._drafts[draft.expert] = known
        known.content += draft.text

    def _choice(self, index: int) -> GatheredChoice:
        while len(self._choices) <= index:
            self._choices.append(GatheredChoice())
        return self._choices[index]
