"""What happened in one answer, gathered while its events pass by."""

import time
from collections.abc import Mapping

from tame_router.admission.call import Call
from tame_router.answering.event import (
    DecisionMade,
    Delta,
    DraftDelta,
    Event,
    ExpertFinish,
    ExpertStart,
    Fallback,
    Note,
    Part,
    PlannedStep,
)
from tame_router.answering.roster import NOT_WAITED_FOR, TOO_LONG, UNREADABLE
from tame_router.audit.record import AuditRecord, Step
from tame_router.catalog.expert import Catalog
from tame_router.chat import FallbackKind, Usage
from tame_router.errors import DeadlineExceededError
from tame_router.receipt.digest import AnswerDigest
from tame_router.routing.decision import Decision

CHARS_PER_TOKEN = 2
"""Characters that one token stands for at least, on average: Chinese has one or two."""

_HAS_READ = frozenset({NOT_WAITED_FOR, TOO_LONG, DeadlineExceededError.reason})
"""Why experts leave that did nothing wrong: what they were given to read has been read."""

_ENDS = (ExpertFinish, Note)
"""What ends an expert's part; made once, not with every event."""

_ASKED_LATER = frozenset({Part.OPINION, Part.JOINED, Part.JUDGE})
"""What those are for who read others' words."""

_UNTOLD = Usage()
"""The tokens of an expert that did not tell how many."""


class Observation:
    """Gathers what a record of an answer holds.

    Args:
        call: The answer that is asked for.
        catalog: The experts, for their adapters' digests.
        policy_digest: SHA-256 of the policies that hold for the call, hexadecimal.
        prompt_tokens: About how many tokens an expert reads; counts where it does not tell.
        keep_text: Keep the answer, for a tenant that wants it kept.
    """

    __slots__ = (
        "_answer",
        "_begun",
        "_call",
        "_catalog",
        "_decision",
        "_drafted",
        "_fallback",
        "_first_s",
        "_keep_text",
        "_open",
        "_planned",
        "_policy_digest",
        "_prompt_tokens",
        "_silent",
        "_spent",
        "_stand_in",
        "_steps",
        "_untold",
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
        self._planned: tuple[PlannedStep, ...] = ()
        self._open: dict[tuple[str, Part], int] = {}
        self._silent: set[str] = set()
        self._untold = 0
        self._drafted = False
        self._spent = False
        self._answer = AnswerDigest(call.question.shape, keep=keep_text)
        self._keep_text = keep_text
        self._begun = time.perf_counter()
        self._first_s: float | None = None
        self._decision: Decision | None = None
        self._steps: list[Step] = []
        self._fallback = ""  # what the one that answers is, where it was not selected
        self._stand_in: ExpertStart | None = None  # it, until it has ended

    @property
    def wrote(self) -> bool:
        """Whether anything of the answer has been handed out."""
        return self._first_s is not None

    @property
    def handed_out(self) -> bool:
        """Whether any words have been, those of drafts included."""
        return self.wrote or self._drafted

    @property
    def spent(self) -> bool:
        """Whether an expert left that did nothing wrong: it had read what it was given."""
        return self._spent

    @property
    def asked(self) -> bool:
        """Whether any expert has been asked."""
        return bool(self._open or self._steps)

    @property
    def tokens(self) -> int:
        """Tokens read and written: as experts told, estimated where one was asked and did not."""
        told = sum(step.prompt_tokens + step.completion_tokens for step in self._steps)
        return told + self._untold + sum(map(self._estimate, self._open.values()))

    @property
    def text(self) -> str:
        """The answer so far, where it is kept, in the form that its digest is made of."""
        return self._answer.canonical() if self._keep_text and self.wrote else ""

    def see(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Delta):
            if self._first_s is None:
                self._first_s = time.perf_counter() - self._begun
            if event.part is not Part.LABEL:
                written = _written(event) if event.tool_calls else len(event.text)
                self._write(event.expert, event.part, written)
            self._answer.add(event.text, event.choice, event.tool_calls)
        elif isinstance(event, DecisionMade):
            self._decision = event.decision
            self._planned = event.steps
        elif isinstance(event, DraftDelta):
            self._drafted = True
            self._write(event.expert, Part.DRAFT, len(event.text))
        elif isinstance(event, ExpertStart):
            self._begin(event)
        elif isinstance(event, _ENDS):
            self._end(event)

    def _begin(self, event: ExpertStart) -> None:
        """Take note that an expert was asked: with the first one all that were planned are.

        But for who writes or judges: that is asked when there are words, and starts then.
        """
        for step in self._planned:
            if step.part not in _ASKED_LATER:
                self._open[step.expert, step.part] = 0
        self._planned = ()
        self._open.setdefault((event.expert, event.part), 0)
        if event.fallback is not None:
            self._fallback, self._stand_in = _named(event.fallback), event

    def _end(self, event: ExpertFinish | Note) -> None:
        """Take note of how an expert ended, or left."""
        self._stand_in = None
        written = self._open.pop((event.expert, event.part), 0)
        if isinstance(event, Note):
            written = max(written, event.written)
            self._spent = self._spent or event.reason in _HAS_READ
            # What it wrote has been paid for, and nobody told how much that was. Of one that
            # failed before a word nothing is counted.
            if written or event.reason in _HAS_READ:
                self._untold += self._estimate(written)
            if event.reason != UNREADABLE:
                self._steps.append(self._step(event, event.reason, Usage()))
            return
        if event.usage == _UNTOLD:
            self._untold += self._estimate(written)
            if event.part is Part.DRAFT and not written:
                self._silent.add(event.expert)
        self._steps.append(self._step(event, str(event.finish_reason), event.usage))

    def _write(self, expert: str, part: Part, written: int) -> None:
        """Add to what an expert that is under way has written."""
        key = (expert, part)
        if key in self._open:
            self._open[key] += written
        elif expert in self._silent:
            # A draft that became the answer, of which neither tokens nor words were seen before.
            self._untold += -(-written // CHARS_PER_TOKEN)

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
                "experts": tuple([(e.expert, e.probability) for e in decision.experts]),
                "decision_reason": str(decision.reason),
                "stage": str(decision.stage),
                "join": str(decision.join),
                "language": decision.language,
                "classifier_digest": decision.classifier_digest,
            }
        return AuditRecord(
            answer_id=call.question.answer_id,
            tenant=call.caller.tenant.name,
            subject=principal.subject,
            method=str(principal.method),
            user=call.question.user,
            edge=call.edge,
            operation=call.operation,
            begin_time=call.begin_time,
            elapsed_s=time.perf_counter() - self._begun,
            outcome=outcome,
            policy_digest=self._policy_digest,
            steps=tuple(self._all_steps(outcome)),
            time_to_first_token_s=self._first_s,
            request_digest=request_digest,
            answer_digest=self._answer.hexdigest() if self.wrote else "",
            **decided,  # type: ignore[arg-type]
        )

    def _estimate(self, written: int) -> int:
        """Tell about how many tokens an expert has read and written, by its characters."""
        return self._prompt_tokens + -(-written // CHARS_PER_TOKEN)

    def _all_steps(self, outcome: str) -> list[Step]:
        """Give what everybody did; who stands in was sent the question, whatever came of it."""
        if self._stand_in is None:
            return self._steps
        return [*self._steps, self._step(self._stand_in, outcome, Usage())]

    def _step(self, event: ExpertStart | ExpertFinish | Note, end: str, usage: Usage) -> Step:
        expert = self._catalog.expert(event.expert)
        return Step(
            expert=event.expert,
            revision=event.revision,
            adapter_digest=expert.digest_of(event.revision),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            finish_reason=end,
            fallback=self._fallback,
        )


def _named(fallback: Fallback) -> str:
    """Name what answers in an expert's place; where questions went is what records are read for."""
    if fallback.kind is FallbackKind.BACKEND:
        return f"{fallback.kind}:{fallback.backend}"
    return fallback.kind.value


def _written(delta: Delta) -> int:
    """Tell how many characters a delta holds, those of calls included."""
    written = len(delta.text)
    for piece in delta.tool_calls:
        written += len(piece.name) + len(piece.arguments)
    return written
