"""An audit record: who asked, what was decided, what answered, how it ended. Values only."""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one expert did.

    Attributes:
        expert: Name of the expert.
        revision: The adapter revision that answered; empty: the base model without adapter.
        adapter_digest: SHA-256 of the adapter's manifest, hexadecimal; empty as above.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        finish_reason: Why it ended, as on the wire; of one that left an answer of several
            experts, the reason of its note, and no tokens, since nobody told them.
        fallback: What it was in place of the expert that was selected: `base_model`, `expert`, or
            `backend:` and the backend's name; empty: that expert itself.
    """

    expert: str
    revision: str
    adapter_digest: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    fallback: str = ""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer, or one refusal of it. It holds no word of the question or the answer.

    Attributes:
        answer_id: Names the answer everywhere.
        tenant: Whose caller asked.
        subject: Which key, certificate or person asked.
        method: How it showed that: `api_key`, `certificate`, `jwt`, `none`.
        user: The caller's own name for the person that asks; may be empty.
        edge: `grpc` or `http`.
        operation: `chat` or `stream_chat`.
        begin_time: When the request arrived, UTC.
        elapsed_s: From then to the end.
        outcome: `ok`, `cancelled`, or the reason of the error that ended it.
        experts: The selected experts, the lead first, with their probabilities.
        decision_reason: Why these; empty where nothing was decided.
        stage: Which part of the router decided; empty as above.
        join: How answers were joined; empty as above.
        language: Language the question was read as; empty as above.
        classifier_digest: SHA-256 of the trained classifier, hexadecimal; empty as above.
        policy_digest: SHA-256 of the policies of routing and fallback and the tenant's,
            hexadecimal.
        steps: What each expert that was asked did.
        time_to_first_token_s: To the first character; None: nothing was written.
        request_digest: SHA-256 of the request, hexadecimal; see `receipt.digest`.
        answer_digest: SHA-256 of the answer, hexadecimal; empty where there is none.
    """

    answer_id: str
    tenant: str
    subject: str
    method: str
    user: str = ""
    edge: str
    operation: str
    begin_time: datetime
    elapsed_s: float
    outcome: str
    experts: tuple[tuple[str, float], ...] = ()
    decision_reason: str = ""
    stage: str = ""
    join: str = ""
    language: str = ""
    classifier_digest: str = ""
    policy_digest: str = ""
    steps: tuple[Step, ...] = ()
    time_to_first_token_s: float | None = None
    request_digest: str = ""
    answer_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What was said, for tenants that want it kept.

    Attributes:
        question: The conversation as canonical JSON; see `receipt.digest`.
        answer: The answer's text, or its choices as canonical JSON; see `receipt.digest`.
        retain_days: How long it is kept, ≥ 1.
    """

    question: str = field(repr=False)
    answer: str = field(repr=False)
    retain_days: int
