"""What is measured: every metric of this service with its unit, its labels and its buckets.

Names follow OpenTelemetry; those that begin with `gen_ai` are its conventions for
generative AI. Prometheus knows them with underscores, and with the unit at the end.
"""

from typing import Final

from tame_router.telemetry.instrument_kind import Instrument, Kind

# Bounds that the conventions advise.
# Source: https://github.com/open-telemetry/semantic-conventions-genai
_DURATION_S: Final = tuple(0.01 * 2**step for step in range(14))
_FIRST_TOKEN_S: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0),
)
_PER_TOKEN_S: Final = (*(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),)
_TOKENS: Final = tuple(float(4**step) for step in range(14))
_DECISION_S: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
)

_MODELS: Final = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
)

ANSWER_SECONDS: Final = Instrument(
    name="gen_ai.server.request.duration",
    kind=Kind.HISTOGRAM,
    help="Time from an answer's request to its last word.",
    labels=(*_MODELS, "error.type"),
    unit="s",
    buckets=_DURATION_S,
)
FIRST_TOKEN_SECONDS: Final = Instrument(
    name="gen_ai.server.time_to_first_token",
    kind=Kind.HISTOGRAM,
    help="Time from an answer's request to its first word, of answers that were finished.",
    labels=_MODELS,
    unit="s",
    buckets=_FIRST_TOKEN_S,
)
PER_TOKEN_SECONDS: Final = Instrument(
    name="gen_ai.server.time_per_output_token",
    kind=Kind.HISTOGRAM,
    help="Time per token after the first, of answers that were finished.",
    labels=_MODELS,
    unit="s",
    buckets=_PER_TOKEN_S,
)
TOKENS: Final = Instrument(
    name="gen_ai.client.token.usage",
    kind=Kind.HISTOGRAM,
    help="Tokens that the backends read and wrote for one answer.",
    labels=(*_MODELS, "gen_ai.token.type"),
    unit="{token}",
    buckets=_TOKENS,
)
CALLS: Final = Instrument(
    name="tame.calls",
    kind=Kind.COUNTER,
    help="Calls that ended, by outcome: ok, cancelled, or an error's reason.",
    labels=("edge", "method", "outcome"),
)
UNDER_WAY: Final = Instrument(
    name="tame.calls.under_way", kind=Kind.GAUGE, help="Calls that have begun and not ended."
)
DECISIONS: Final = Instrument(
    name="tame.decisions",
    kind=Kind.COUNTER,
    help="Decisions, by the expert that leads, by what decided, and why.",
    labels=("expert", "stage", "reason"),
)
DECISION_SECONDS: Final = Instrument(
    name="tame.decision.duration",
    kind=Kind.HISTOGRAM,
    help="Time a decision took.",
    labels=("stage",),
    unit="s",
    buckets=_DECISION_S,
)
IDENTITIES_REFUSED: Final = Instrument(
    name="tame.identities.refused",
    kind=Kind.COUNTER,
    help="Calls refused for who made them.",
    labels=("edge", "reason"),
)
QUOTA_REFUSALS: Final = Instrument(
    name="tame.quota.refusals",
    kind=Kind.COUNTER,
    help="Calls refused because a tenant's limit was reached.",
    labels=("limit",),
)
QUOTA_DEGRADED: Final = Instrument(
    name="tame.quota.degraded",
    kind=Kind.GAUGE,
    help="1 while the shared counters cannot be reached and a local share is given out.",
    shared=True,
)
AUDIT_QUEUE: Final = Instrument(
    name="tame.audit.queue", kind=Kind.GAUGE, help="Audit records that wait to be written."
)
BACKEND_ERRORS: Final = Instrument(
    name="tame.backend.errors",
    kind=Kind.COUNTER,
    help="Experts' answers that a backend did not finish, by the error's reason.",
    labels=("expert", "reason"),
)
FALLBACKS: Final = Instrument(
    name="tame.fallbacks",
    kind=Kind.COUNTER,
    help="Times another was asked in the place of the expert that was selected: the base model,"
    " an expert or a backend, and how the one asked before failed.",
    labels=("expert", "kind", "reason"),
)
GUARD_CHARACTERS: Final = Instrument(
    name="tame.guard.characters",
    kind=Kind.COUNTER,
    help="Characters of answers that were looked at for Simplified Chinese.",
    labels=("expert",),
)
GUARD_SIMPLIFIED: Final = Instrument(
    name="tame.guard.simplified",
    kind=Kind.COUNTER,
    help="Simplified characters that an expert wrote to readers of Traditional Chinese, and what"
    " was done: count or convert.",
    labels=("expert", "action"),
)
FAILOVERS: Final = Instrument(
    name="tame.failovers",
    kind=Kind.COUNTER,
    help="Times an answer left a replica: why, and whether it was retried or continued elsewhere.",
    labels=("backend", "failure", "how"),
)
HEDGES: Final = Instrument(
    name="tame.hedges",
    kind=Kind.COUNTER,
    help="First words that were late: which replica of the two that were asked gave them, or why"
    " no second was asked.",
    labels=("backend", "outcome"),
)
REPLICAS: Final = Instrument(
    name="tame.replicas",
    kind=Kind.GAUGE,
    help="Replicas of a backend by state: starting, ready, draining or ejected.",
    shared=True,
    labels=("backend", "state"),
)
REPLICAS_OUT: Final = Instrument(
    name="tame.replicas.out",
    kind=Kind.GAUGE,
    help="Replicas of a backend that get no answers, by the reason.",
    labels=("backend", "why"),
)
BACKEND_LIMIT: Final = Instrument(
    name="tame.backend.limit",
    kind=Kind.GAUGE,
    help="Answers that a backend is given at once, as its first tokens say.",
    labels=("backend",),
)
BACKEND_UNDER_WAY: Final = Instrument(
    name="tame.backend.under_way",
    kind=Kind.GAUGE,
    help="Answers that a backend writes now.",
    labels=("backend",),
)
QUEUED: Final = Instrument(
    name="tame.queue.length",
    kind=Kind.GAUGE,
    help="Answers that wait for their turn at a backend.",
    labels=("backend",),
)
QUEUE_SECONDS: Final = Instrument(
    name="tame.queue.duration",
    kind=Kind.HISTOGRAM,
    help="Time that answers which had to wait waited for their turn at a backend.",
    labels=("backend",),
    unit="s",
    buckets=_FIRST_TOKEN_S,
)
QUEUE_REFUSALS: Final = Instrument(
    name="tame.queue.refusals",
    kind=Kind.COUNTER,
    help="Answers that a queue did not let in, or gave up: for its length, for the wait, or for"
    " the caller's deadline.",
    labels=("backend", "why"),
)
ENCODER_STATE: Final = Instrument(
    name="tame.encoder.state",
    kind=Kind.GAUGE,
    help="1 at the encoder's state: off, loading, ready or failed.",
    shared=True,
    labels=("state",),
)
ADAPTER_CHANGES: Final = Instrument(
    name="tame.adapter.changes",
    kind=Kind.COUNTER,
    help="Steps in adapters' lives that this router wrote down, by the state after them.",
    labels=("state",),
)
ADAPTER_LABEL_MOVES: Final = Instrument(
    name="tame.adapter.label_moves",
    kind=Kind.COUNTER,
    help="Moves of experts' labels: publish, canary, rollback, shadow or prove, by a caller or by"
    " the router.",
    labels=("action", "by"),
)
ADAPTER_COPIES: Final = Instrument(
    name="tame.adapter.copies",
    kind=Kind.COUNTER,
    help="Copies of questions for shadows: answered, failed, or dropped as all places were taken.",
    labels=("outcome",),
)
ADAPTER_CORRUPT: Final = Instrument(
    name="tame.adapter.corrupt",
    kind=Kind.COUNTER,
    help="Times that the bytes of a revision were not what its digest says.",
)
ADAPTERS_UNTRUSTED: Final = Instrument(
    name="tame.adapter.untrusted",
    kind=Kind.GAUGE,
    help="Revisions that answer now though their signature counts no more.",
)
ADAPTER_JOB_FAILURES: Final = Instrument(
    name="tame.adapter.job_failures",
    kind=Kind.COUNTER,
    help="Jobs that failed, and whether they are begun again later or were given up.",
    labels=("kind", "outcome"),
)
TENANT_ANSWERS: Final = Instrument(
    name="tame.tenant.answers",
    kind=Kind.COUNTER,
    help="Answers by tenant; tenants beyond telemetry.metrics_tenants are `other`.",
    labels=("tenant", "outcome"),
)
TENANT_TOKENS: Final = Instrument(
    name="tame.tenant.tokens",
    kind=Kind.COUNTER,
    help="Tokens by tenant, read (input) and written (output).",
    labels=("tenant", "gen_ai.token.type"),
)
BUILD: Final = Instrument(
    name="tame.build.info",
    kind=Kind.GAUGE,
    help="1 at this version.",
    labels=("version",),
    shared=True,
)

INSTRUMENTS: Final = (
    ANSWER_SECONDS,
    FIRST_TOKEN_SECONDS,
    PER_TOKEN_SECONDS,
    TOKENS,
    CALLS,
    UNDER_WAY,
    DECISIONS,
    DECISION_SECONDS,
    IDENTITIES_REFUSED,
    QUOTA_REFUSALS,
    QUOTA_DEGRADED,
    AUDIT_QUEUE,
    BACKEND_ERRORS,
    FALLBACKS,
    GUARD_CHARACTERS,
    GUARD_SIMPLIFIED,
    FAILOVERS,
    HEDGES,
    REPLICAS,
    REPLICAS_OUT,
    BACKEND_LIMIT,
    BACKEND_UNDER_WAY,
    QUEUED,
    QUEUE_SECONDS,
    QUEUE_REFUSALS,
    ENCODER_STATE,
    ADAPTER_CHANGES,
    ADAPTER_LABEL_MOVES,
    ADAPTER_COPIES,
    ADAPTER_CORRUPT,
    ADAPTERS_UNTRUSTED,
    ADAPTER_JOB_FAILURES,
    TENANT_ANSWERS,
    TENANT_TOKENS,
    BUILD,
)
