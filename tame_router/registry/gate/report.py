"""A gate's report: what was asked, how both sides did, what follows. Values, and their JSON."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tame_router.catalog.evaluation import ChoiceCase
from tame_router.evaluation.bootstrap import Estimate
from tame_router.registry.domain.domain import Outlook
from tame_router.registry.finding import Finding
from tame_router.registry.gate.case_score import CaseScore
from tame_router.registry.gate.examination import CaseResult

FORMAT = 1
"""Of the JSON; fields are added, never changed."""


class Measure(enum.StrEnum):
    """What two revisions are compared by."""

    SCORE = "score"
    """Mean of the cases: probability of the right choice, share of the facts."""
    LOSS = "loss"
    """Nats a token of the references, as a share of the live one's."""


class Verdict(enum.StrEnum):
    """What a comparison shows."""

    NOT_WORSE = "not_worse"
    """The whole interval lies above the margin."""
    OPEN = "open"
    """Neither: the set is too small to tell."""
    WORSE = "worse"
    """By more than the margin, and not by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both sides on one set.

    Attributes:
        expert: Whose set.
        measure: Of what.
        candidate: The new revision's value.
        live: That of what answers today.
        difference: By how much the new one is better, with its interval; negative: worse.
        margin: By how much it may be worse.
        verdict: What that shows.
        brought: The set is what the upload brings for its expert.
    """

    expert: str
    measure: Measure
    candidate: float
    live: float
    difference: Estimate
    margin: float
    verdict: Verdict
    brought: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Purity:
    """Simplified characters, as a share of all that was written, in [0, 1]."""

    candidate: float
    live: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Time a token.

    Attributes:
        candidate_s: Seconds a token behind the first, the median of the answers.
        live_s: The same of what answers today.
        ratio: Of the two, the geometric mean of the answers, with its interval.
        limit: Largest ratio that is let through.
    """

    candidate_s: float
    live_s: float
    ratio: Estimate
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the engine tells of its memory, before the new revision was loaded and at the end."""

    before_bytes: int
    after_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCase:
    """One case.

    Attributes:
        expert: Whose set it is of.
        id: Its id there.
        language: zh-TW or en.
        kind: choice or text.
        must_pass: It must be passed.
        candidate: How the new revision did.
        live: How what answers today did.
        brought: The upload brought it.
    """

    expert: str
    id: str
    language: str
    kind: str
    must_pass: bool
    candidate: CaseScore
    live: CaseScore
    brought: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All there is to say.

    Attributes:
        expert: The expert.
        candidate: Name of the new revision.
        live: Name of what answers today; empty: the base model without adapter.
        passed: It may be published: no finding is fatal.
        findings: Why not, and what else is worth knowing.
        comparisons: The expert's own set first.
        purity: None: nothing was written.
        latency: None: too little was written to tell.
        memory: None: the engine does not tell.
        cases: Every case.
        seed: Of lots and intervals.
        confidence: Of the intervals.
        elapsed_s: Time it took.
        domain: What it changes in the router, where it makes its expert; None: it does not.
        format: Of this document.
    """

    expert: str
    candidate: str
    live: str
    passed: bool
    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...] = ()
    purity: Purity | None = None
    latency: Latency | None = None
    memory: Memory | None = None
    cases: tuple[ReportCase, ...] = ()
    seed: int = 0
    confidence: float = 0.95
    elapsed_s: float = 0.0
    domain: Outlook | None = None
    format: int = FORMAT

    @property
    def document(self) -> str:
        """The report as JSON; `read_report` reads it back."""
        return msgspec.json.encode(self).decode()


def read_report(document: str) -> Report:
    """Read a report back.

    Raises:
        ValueError: When the text is none.
    """
    try:
        return msgspec.json.decode(document, type=Report)
    except msgspec.DecodeError as error:
        raise ValueError("the text is no report of a gate") from error


def report_cases(results: Sequence[CaseResult]) -> tuple[ReportCase, ...]:
    """Give what a report tells of each case."""
    return tuple(
        ReportCase(
            expert=result.expert,
            id=result.case.id,
            language=result.case.lang,
            kind="choice" if isinstance(result.case, ChoiceCase) else "text",
            must_pass=result.case.must_pass,
            candidate=result.candidate,
            live=result.live,
            brought=result.brought,
        )
        for result in results
    )
