"""What happened in one answer, gathered while its events pass by."""

import time
from collections.abc import Mapping

from tame_router.admission.call import Call
from tame_router.answering.event import DecisionMade, Delta, Event, ExpertFinish
from tame_router.audit.record import AuditRecord, Step
from tame_router.catalog.expert import Catalog
from tame_router.chat import Usage
from tame_router.receipt.digest import AnswerDigest
from tame_router.routing.decision import Decision

CHARS_PER_TOKEN = 2
"""Characters that one token stands for at least, on average: Chinese has one or two."""


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
        self._written = 0
        self._untold = 0
        self._answer = AnswerDigest(call.question.shape)
        self._texts: list[str] | None = [] if keep_text else None
        self._begun = time.perf_counter()
        self._first_s: float | None = None
        self._decision: Decision | None = None
        self._steps: list[ExpertFinish] = []

    @property
    def wrote(self) -> bool:
        """Whether anything of the answer has been handed out."""
        return self._first_s is not None

    @property
    def tokens(self) -> int:
        """Tokens read and written: as experts told, estimated where one wrote and did not."""
        told = sum(s.usage.prompt_tokens + s.usage.completion_tokens for s in self._steps)
        return told + self._untold + self._estimate()

    @property
    def text(self) -> str:
        """The answer's text so far, where it is kept."""
        return "".join(self._texts or ())

    def see(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Delta):
            if self._first_s is None:
                self._first_s = time.perf_counter() - self._begun
            self._written += len(event.text)
            for piece in event.tool_calls:
                self._written += len(piece.name) + len(piece.arguments)
            self._answer.add(event.text, event.choice, event.tool_calls)
            if self._texts is not None:
                self._texts.append(event.text)
        elif isinstance(event, DecisionMade):
            self._decision = event.decision
        elif isinstance(event, ExpertFinish):
            self._steps.append(event)
            if event.usage == Usage():
                self._untold += self._estimate()
            self._written = 0

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
            steps=tuple(self._step(finish) for finish in self._steps),
            time_to_first_token_s=self._first_s,
            request_digest=request_digest,
            answer_digest=self._answer.hexdigest() if self.wrote else "",
            **decided,  # type: ignore[arg-type]
        )

    def _estimate(self) -> int:
        """Tell about how many tokens the expert that is under way has read and written."""
        if not self._written:
            return 0
        return self._prompt_tokens + -(-self._written // CHARS_PER_TOKEN)

    def _step(self, finish: ExpertFinish) -> Step:
        live = self._catalog.expert(finish.expert).live
        return Step(
            expert=finish.expert,
            revision=finish.revision,
            adapter_digest=live.digest if live and live.name == finish.revision else "",
            prompt_tokens=finish.usage.prompt_tokens,
            completion_tokens=finish.usage.completion_tokens,
            finish_reason=finish.finish_reason.value,
        )
