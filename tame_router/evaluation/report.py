"""The report: every figure about a router, measured over questions with known answers.

Values only. How it looks is decided in `markdown`, `page` and the command line.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tame_router.evaluation.bootstrap import Estimate, estimate, estimate_share
from tame_router.evaluation.breakdown import (
    Coverage,
    GroupScore,
    StageUse,
    cell,
    cover_languages,
    score_groups,
    time_stages,
)
from tame_router.evaluation.confusion import (
    DomainScore,
    accuracy_statistic,
    count_confusion,
    macro_f1_statistic,
    score_domains,
)
from tame_router.evaluation.mistake import Mistake
from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.question import Kind
from tame_router.evaluation.reliability import Bin, bin_reliability, brier_statistic
from tame_router.evaluation.risk_coverage import RiskPoint, aurc_statistic, trace_risk
from tame_router.evaluation.table import Table, tabulate
from tame_router.routing.calibration import expected_calibration_error

DECIMALS = 6
"""Decimals of a number in JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleFigures:
    """Figures over the questions that belong to one expert.

    Attributes:
        accuracy: Share that went to their expert.
        macro_f1: Mean F1 of the experts that have a question.
        brier: Brier score of the probabilities, in [0, 2].
        aurc: Area under the risk-coverage curve, in [0, 1].
        calibration_error: Expected calibration error, in [0, 1].
        several_selected: Share for which more than one expert was selected, in [0, 1].
        domains: Precision, recall and F1 by expert.
        languages: Accuracy by language.
        cells: Accuracy by style and language, `chat.zh-TW`.
        sources: Accuracy by source.
        coverage: Of conformal sets, by language; empty where the router has none.
        confusion: Counts, a row for the right expert, a column for the one that answered.
        reliability: Bins of the highest probability.
        risk_coverage: The curve, from the surest questions to all.
    """

    accuracy: Estimate
    macro_f1: Estimate
    brier: Estimate
    aurc: Estimate
    calibration_error: float
    several_selected: float
    domains: Mapping[str, DomainScore]
    languages: Mapping[str, GroupScore]
    cells: Mapping[str, GroupScore]
    sources: Mapping[str, GroupScore]
    coverage: Mapping[str, Coverage]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Bin, ...]
    risk_coverage: tuple[RiskPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfDomainFigures:
    """Figures over the questions that belong to no expert.

    Attributes:
        to_fallback: Share that went to the fallback.
        languages: The same by language.
        topics: The same by topic.
    """

    to_fallback: Estimate
    languages: Mapping[str, GroupScore]
    topics: Mapping[str, GroupScore]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiFigures:
    """Figures over the questions that belong to several experts.

    Attributes:
        all_found: Share for which all of them were selected.
        lead_found: Share that was led by one of them.
    """

    all_found: Estimate
    lead_found: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was measured.

    Attributes:
        questions: Number of all questions.
        experts: Their names, sorted; rows and columns of the confusion.
        fallback: The expert that questions out of domain belong to.
        classifier_digest: Digest of the classifier, in hexadecimal.
        single: Over questions of one expert; None where there is none.
        out_of_domain: Over questions of no expert; None where there is none.
        multi: Over questions of several experts; None where there is none.
        stages: What each stage decided, and how long it took, over all questions.
        mistakes: The worst ones, the surest first.
    """

    questions: int
    experts: tuple[str, ...]
    fallback: str
    classifier_digest: str
    single: SingleFigures | None
    out_of_domain: OutOfDomainFigures | None
    multi: MultiFigures | None
    stages: Mapping[str, StageUse]
    mistakes: tuple[Mistake, ...]


def measure(
    trials: Sequence[Trial],
    *,
    experts: Sequence[str],
    fallback: str,
    classifier_digest: str = "",
    mistakes: Sequence[Mistake] = (),
) -> Report:
    """Measure a router by what it decided.

    Args:
        trials: Questions and decisions, one at the least.
        experts: Names of all experts.
        fallback: The expert that questions out of domain belong to.
        classifier_digest: Digest of the classifier, in hexadecimal.
        mistakes: The worst ones, explained.
    """
    of_kind = {kind: [t for t in trials if t.question.kind is kind] for kind in Kind}
    table = tabulate(of_kind[Kind.SINGLE], experts)
    return Report(
        questions=len(trials),
        experts=table.experts,
        fallback=fallback,
        classifier_digest=classifier_digest,
        single=_measure_single(of_kind[Kind.SINGLE], table) if table.size else None,
        out_of_domain=_measure_out_of_domain(of_kind[Kind.OUT_OF_DOMAIN]),
        multi=_measure_multi(of_kind[Kind.MULTI]),
        stages=time_stages(trials),
        mistakes=tuple(mistakes),
    )


def report_document(report: Report) -> dict[str, Any]:
    """Write a report as one JSON object: its fields, with numbers rounded."""
    rounded: dict[str, Any] = as_json(dataclasses.asdict(report))
    return rounded


def as_json(value: Any) -> Any:
    """Round all numbers in a value of plain containers, and turn tuples into lists."""
    match value:
        case msgspec.Struct():
            return as_json(msgspec.structs.asdict(value))
        case float():
            return round(value, DECIMALS)
        case dict():
            return {key: as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json(item) for item in value]
    return value


def _measure_single(trials: Sequence[Trial], table: Table) -> SingleFigures:
    statistics = {
        "accuracy": accuracy_statistic(table),
        "macro_f1": macro_f1_statistic(table),
        "brier": brier_statistic(table),
        "aurc": aurc_statistic(table),
    }
    several = sum(len(trial.outcome.experts) > 1 for trial in trials)
    estimates = estimate(statistics, table.size)
    return SingleFigures(
        accuracy=estimates["accuracy"],
        macro_f1=estimates["macro_f1"],
        brier=estimates["brier"],
        aurc=estimates["aurc"],
        calibration_error=expected_calibration_error(table.probabilities, table.domains),
        several_selected=several / len(trials),
        domains=score_domains(table),
        languages=score_groups(trials, lambda t: t.question.language),
        cells=score_groups(trials, cell),
        sources=score_groups(trials, lambda t: t.question.source),
        coverage=cover_languages(trials),
        confusion=tuple(tuple(row) for row in count_confusion(table).tolist()),
        reliability=bin_reliability(table),
        risk_coverage=trace_risk(table),
    )


def _measure_out_of_domain(trials: Sequence[Trial]) -> OutOfDomainFigures | None:
    if not trials:
        return None
    return OutOfDomainFigures(
        to_fallback=estimate_share([t.right for t in trials]),
        languages=score_groups(trials, lambda t: t.question.language),
        topics=score_groups(trials, lambda t: t.question.topic),
    )


def _measure_multi(trials: Sequence[Trial]) -> MultiFigures | None:
    if not trials:
        return None
    return MultiFigures(
        all_found=estimate_share([t.right for t in trials]),
        lead_found=estimate_share([t.lead_right for t in trials]),
    )
