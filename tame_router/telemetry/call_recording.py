"""The recording of a call that is kept: a server span, a span of the backend, and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tame_router.errors import AdmissionError, BackendError, QuotaExceededError, TameError
from tame_router.telemetry import instrument
from tame_router.telemetry.metric import TRACE_LABEL, Metrics
from tame_router.telemetry.names import OTHER, Names
from tame_router.telemetry.recording import Answered, Decided, Recording
from tame_router.telemetry.trace import Attribute, CallSpan
from tame_router.telemetry.upstream import Upstream

AUTO: Final = "tame-auto"
"""The model's name where the router decides."""

PROVIDER: Final = "tame-router"
"""Our own `gen_ai.provider.name`."""

OK: Final = "ok"
CANCELLED: Final = "cancelled"
PINNED: Final = "pinned"

_OPERATION: Final = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where recordings are written.

    Attributes:
        metrics: All metrics.
        upstreams: Backends by name.
        tenants: Tenants that metrics name.
        words: Every other value of a label that is not ours alone.
    """

    metrics: Metrics
    upstreams: Mapping[str, Upstream]
    tenants: Names
    words: Names


class CallRecording(Recording):
    """Keeps what one call leaves behind.

    Args:
        ledger: Where it is written.
        span: The call's own.
        edge: `grpc` or `http`.
        method: What is called; bounded already.
    """

    __slots__ = (
        "_backend_span",
        "_edge",
        "_exemplar",
        "_fell_back",
        "_ledger",
        "_method",
        "_models",
        "_outcome",
        "_span",
        "_tenant",
        "_told",
        "_why",
        "trace",
    )

    def __init__(self, ledger: Ledger, span: CallSpan, edge: str, method: str) -> None:
        self._ledger = ledger
        self._span = span
        self._edge = edge
        self._method = method
        self._outcome = OK
        self._tenant = ""
        self._why = ""
        self._told = True  # until an answer is asked for, there is nothing to tell of one
        self._models = (_OPERATION, PROVIDER, AUTO, "")
        self._backend_span: CallSpan | None = None
        self._fell_back = False
        trace_id = span.trace_id
        self._exemplar = {TRACE_LABEL: trace_id} if trace_id else None
        self.trace: dict[str, str] = {}

    def identified(self, tenant: str) -> None:
        """Note whose call it is."""
        self._tenant = self._ledger.tenants.bounded(tenant)
        if self._span.kept:
            self._span.put({"tame.tenant": tenant})

    def refused(self, why: str) -> None:
        """Note why an identity does not count."""
        self._why = why

    def asked(self, answer_id: str, pin: str = "") -> None:
        """Note that an answer is wanted."""
        self._told = False
        model = pin[:64] or AUTO
        if pin:
            self._models = (_OPERATION, PROVIDER, OTHER, "")
        if not self._span.kept:
            return
        self._span.rename(f"{_OPERATION} {model}")
        self._span.put(
            {
                "gen_ai.operation.name": _OPERATION,
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": model,
                "gen_ai.response.id": answer_id,
            }
        )

    def decided(self, decision: Decided, *, revision: str = "", backend: str = "") -> None:
        """Note who answers; where an answer is wanted, the backend's span begins."""
        metrics, lead = self._ledger.metrics, decision.lead
        stage, reason = str(decision.stage), str(decision.reason)
        metrics.add(instrument.DECISIONS, (lead, stage, reason))
        metrics.observe(
            instrument.DECISION_SECONDS, (stage,), decision.elapsed_us * 1e-6, self._exemplar
        )
        if self._span.kept:
            self._span.put(
                {
                    "tame.expert": lead,
                    "tame.revision": revision,
                    "tame.probability": round(decision.experts[0].probability, 4),
                    "tame.stage": stage,
                    "tame.reason": reason,
                    "tame.join": str(decision.join),
                    "tame.decision_us": decision.elapsed_us,
                }
            )
        if not self._told:
            self._models = (_OPERATION, PROVIDER, lead if stage == PINNED else AUTO, lead)
            if not self._span.silent:
                self._ask_backend(revision or lead, backend)

    def left(self, expert: str, reason: str) -> None:
        """Note that one of several experts failed."""
        self._ledger.metrics.add(instrument.BACKEND_ERRORS, (expert, reason))

    def fell_back(
        self, lead: str, kind: str, reason: str, *, expert: str, revision: str, backend: str
    ) -> None:
        """Note that another is asked in the place of an expert: the backend's span begins anew."""
        self._fell_back = True
        self._ledger.metrics.add(instrument.FALLBACKS, (lead, kind, reason))
        self._end_backend(reason)
        self._models = (*self._models[:3], expert)
        if self._span.kept:
            self._span.put({"tame.fallback": kind, "tame.fallback.reason": reason})
        if not self._told and not self._span.silent:
            self._ask_backend(revision or expert, backend)

    def guarded(self, expert: str, action: str, *, seen: int, simplified: int) -> None:
        """Note what the guard of Traditional Chinese found."""
        metrics = self._ledger.metrics
        metrics.add(instrument.GUARD_CHARACTERS, (expert,), seen)
        metrics.add(instrument.GUARD_SIMPLIFIED, (expert, action), simplified)

    def answered(self, facts: Answered) -> None:
        """Note how the answer ended."""
        if self._told:
            return
        self._told = True
        read = written = 0
        for step in facts.steps:
            read += step.prompt_tokens
            written += step.completion_tokens
        self._count(facts, read, written)
        if self._span.kept:
            self._put_answer(facts, read, written)
        self._end_backend(facts.outcome)

    def failed(self, error: TameError) -> None:
        """Note that the call ended with an error."""
        self._end_as(error.reason)
        metrics, words = self._ledger.metrics, self._ledger.words
        if isinstance(error, QuotaExceededError):
            limit = words.bounded(error.metadata.get("limit", "unknown"))
            metrics.add(instrument.QUOTA_REFUSALS, (limit,))
        elif isinstance(error, AdmissionError):
            why = words.bounded(self._why or error.reason.lower())
            metrics.add(instrument.IDENTITIES_REFUSED, (self._edge, why))
        elif isinstance(error, BackendError) and "fallback_1" not in error.metadata:
            # Where nobody answered for an expert, it and they were counted as they left.
            metrics.add(instrument.BACKEND_ERRORS, (self._models[3], error.reason))

    def cancelled(self) -> None:
        """Note that the caller left."""
        self._end_as(CANCELLED)

    def end(self) -> None:
        """Write down what is known. Called once, by the recorder."""
        labels = (self._edge, self._method, self._outcome)
        self._ledger.metrics.add(instrument.CALLS, labels)
        self._end_backend(self._outcome)
        if self._outcome != OK:
            self._span.fail(self._outcome)
        self._span.end()

    def _end_as(self, outcome: str) -> None:
        if self._outcome == OK:
            self._outcome = outcome

    def _ask_backend(self, model: str, backend: str) -> None:
        upstream = self._ledger.upstreams.get(backend) or Upstream(provider=OTHER)
        self._backend_span = self._span.child(
            f"{_OPERATION} {model}",
            {
                "gen_ai.operation.name": _OPERATION,
                "gen_ai.request.model": model,
                "tame.backend": backend,
                **upstream.attributes(),
            },
        )
        self.trace.update(self._backend_span.headers())

    def _end_backend(self, outcome: str) -> None:
        span, self._backend_span = self._backend_span, None
        if span is None:
            return
        if outcome != OK:
            span.fail(outcome)
        if span is not self._span:
            span.end()

    def _model(self, facts: Answered) -> str:
        """Name the adapter revision that answered; empty: none did."""
        if not facts.steps:
            return ""
        return facts.steps[-1 if self._fell_back else 0].revision

    def _put_answer(self, facts: Answered, read: int, written: int) -> None:
        found: dict[str, Attribute] = {
            "gen_ai.usage.input_tokens": read,
            "gen_ai.usage.output_tokens": written,
            "gen_ai.response.finish_reasons": tuple(step.finish_reason for step in facts.steps),
            "gen_ai.response.model": self._model(facts) or self._models[3],
        }
        if facts.time_to_first_token_s is not None:
            found["gen_ai.response.time_to_first_chunk"] = facts.time_to_first_token_s
        self._span.put(found)
        if self._backend_span:
            self._backend_span.put(found)

    def _count(self, facts: Answered, read: int, written: int) -> None:
        metrics, models, exemplar = self._ledger.metrics, self._models, self._exemplar
        outcome, first = facts.outcome, facts.time_to_first_token_s
        error = "" if outcome == OK else outcome
        metrics.observe(instrument.ANSWER_SECONDS, (*models, error), facts.elapsed_s, exemplar)
        metrics.add(instrument.TENANT_ANSWERS, (self._tenant, outcome))
        if facts.steps:
            metrics.observe(instrument.TOKENS, (*models, "input"), read)
            metrics.observe(instrument.TOKENS, (*models, "output"), written)
            metrics.add(instrument.TENANT_TOKENS, (self._tenant, "input"), read)
            metrics.add(instrument.TENANT_TOKENS, (self._tenant, "output"), written)
        if error or first is None:
            return
        metrics.observe(instrument.FIRST_TOKEN_SECONDS, models, first, exemplar)
        if written > 1:
            each = (facts.elapsed_s - first) / (written - 1)
            metrics.observe(instrument.PER_TOKEN_SECONDS, models, each)
