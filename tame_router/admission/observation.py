"""What happened in one answer, gathered while its events pass by."""

import time
from collections.abc import Mapping

from tame_router.admission.call import Call
from tame_router.answering.event import (
    DecisionMade,
    Delta,
    Event,
    ExpertFinish,
    Note,
    Part,
)
from tame_router.answering.roster import UNREADABLE
from tame_router.audit.record import AuditRecord, Step
from tame_router.catalog.expert import Catalog
from tame_router.chat import Usage
from tame_router.receipt.digest import AnswerDigest
from tame_router.routing.decision import Decision

CHARS_PER_TOKEN = 2
"""Characters that one token stands for at least, on average: Chinese has one or two."""

_ENDS = (ExpertFinish, Note)
"""What ends an expert's part; made once, not with every event."""

_UNTOLD = Usage()
"""The tokens of an expert that did not tell how many."""


class Observation:
    """Gathers what a record of an answer holds.

    Args:
        call: The answer that is asked for.
        catalog: The experts, for their adapters' digests.
        policy_digest: SHA-256 of the policies that hold for the call, hexadecimal.
        prompt_tokens: About how many tokens an expert reads; counts where it does not tell.
        keep_text: Keep the answer's text, for a tenant that wants it kept.
    """

    __slots__ = (
        "_answer",
        "_begun",
        "_call",
        "_catalog",
        "_decision",
        "_drafted",
        "_first_s",
        "_policy_digest",
        "_prompt_tokens",
        "_steps",
        "_texts",
        "_untold",
        "_written",
    )

    def __init__(
        self,
        call: Call,
        catalog: Catalog,
        *,
        policy_digest: str = "",
        prompt_tokens: int = 0,
        keep_text: bool = False,
    ) -> None:
        self._call = call
        self._catalog = catalog
        self._policy_digest = policy_digest
        self._prompt_tokens = prompt_tokens
        self._written: dict[str, int] = {}
        self._drafted: set[str] = set()
        self._untold = 0
        self._answer = AnswerDigest(call.question.shape)
        self._texts: list[str] | None = [] if keep_text else None
        self._begun = time.perf_counter()
        self._first_s: float | None = None
        self._decision: Decision | None = None
        self._steps: list[Step] = []

    @property
    def wrote(self) -> bool:
        """Whether anything of the answer has been handed out."""
        return self._first_s is not None

    @property
    def tokens(self) -> int:
        """Tokens read and written: as experts told, estimated where one wrote and did not."""
        told = sum(step.prompt_tokens + step.completion_tokens for step in self._steps)
        return told + self._untold + sum(map(self._estimate, self._written.values()))

    @property
    def text(self) -> str:
        """The answer's text so far, where it is kept."""
        return "".join(self._texts or ())

    def see(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Delta):
            if self._first_s is None:
                self._first_s = time.perf_counter() - self._begun
            self._count(event)
            self._answer.add(event.text, event.choice, event.tool_calls)
            if self._texts is not None:
                self._texts.append(event.text)
        elif isinstance(event, DecisionMade):
            self._decision = event.decision
        elif isinstance(event, _ENDS):
            self._end(event)

    def _end(self, event: ExpertFinish | Note) -> None:
        """Take note of how an expert ended, or left."""
        written = self._written.pop(event.expert, 0)
        if isinstance(event, Note):
            # What it wrote has been paid for, and nobody told how much that was.
            self._untold += self._estimate(written)
            if event.reason != UNREADABLE:
                self._steps.append(self._step(event, event.reason, Usage()))
            return
        if event.part is Part.DRAFT:
            self._drafted.add(event.expert)
        if event.usage == _UNTOLD:
            self._untold += self._estimate(written)
        self._steps.append(self._step(event, event.finish_reason.value, event.usage))

    def _count(self, delta: Delta) -> None:
        """Add to what an expert that is under way has written."""
        written = len(delta.text)
        for piece in delta.tool_calls:
            written += len(piece.name) + len(piece.arguments)
        # A draft that became the answer was counted when it was written.
        if delta.part is not Part.LABEL and delta.expert not in self._drafted:
            self._written[delta.expert] = self._written.get(delta.expert, 0) + written

    def record(self, outcome: str, request_digest: str = "") -> AuditRecord:
        """Write the record.

        Args:
            outcome: `ok`, `cancelled`, or the reason of an error.
            request_digest: SHA-256 of the request, hexadecimal; empty: nobody needs it.
        """
        call, decision = self._call, self._decision
        principal = call.caller.principal
        decided: Mapping[str, object] = {}
        if decision is not None:
            decided = {
                "experts": tuple((e.expert, e.probability) for e in decision.experts),
                "decision_reason": decision.reason.value,
                "stage": decision.stage.value,
                "join": decision.join.value,
                "language": decision.language,
                "classifier_digest": decision.classifier_digest,
            }
        return AuditRecord(
            answer_id=call.question.answer_id,
            tenant=call.caller.tenant.name,
            subject=principal.subject,
            method=principal.method.value,
            user=call.question.user,
            edge=call.edge,
            operation=call.operation,
            begin_time=call.begin_time,
            elapsed_s=time.perf_counter() - self._begun,
            outcome=outcome,
            policy_digest=self._policy_digest,
            steps=tuple(self._steps),
            time_to_first_token_s=self._first_s,
            request_digest=request_digest,
            answer_digest=self._answer.hexdigest() if self.wrote else "",
            **decided,  # type: ignore[arg-type]
        )

    def _estimate(self, written: int) -> int:
        """Tell about how many tokens an expert has read and written, by its characters."""
        if not written:
            return 0
        return self._prompt_tokens + -(-written // CHARS_PER_TOKEN)

    def _step(self, event: ExpertFinish | Note, end: str, usage: Usage) -> Step:
        live = self._catalog.expert(event.expert).live
        return Step(
            expert=event.expert,
            revision=event.revision,
            adapter_digest=live.digest if live and live.name == event.revision else "",
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            finish_reason=end,
        )
