"""The figures of `bench/routing.py`: what a router's decisions are worth, with intervals.

Values only; how they were come by, and how they look, is decided elsewhere.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tame_router.errors import InvalidRequestError
from tame_router.evaluation.bootstrap import (
    Estimate,
    FloatArray,
    Statistic,
    estimate,
    estimate_share,
    mean,
)
from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.question import Kind, Question, read_questions
from tame_router.evaluation.reliability import BINS
from tame_router.evaluation.table import Table, tabulate
from tame_router.routing.decision import Stage

CELLS = ("chat.zh-TW", "chat.en", "exam.zh-TW", "exam.en")
"""Style and language of the questions, as the table names them."""

OUT_OF_DOMAIN_FILE = "ood"
"""Stem of the file in which what belongs to the fallback is out of domain, said or not."""

Share = Estimate | None
"""None: there is no question to measure it with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leads:
    """How often the right expert led.

    Attributes:
        accuracy: By cell, and `all`; over questions of one domain.
        ood_general: Share of questions out of domain that the fallback was given.
    """

    accuracy: Mapping[str, Share]
    ood_general: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the decisions of our router are worth.

    Attributes:
        leads: How often the right expert led.
        f1: By domain, over questions of one domain.
        multi_both: Share of two-domain questions for which both experts were selected.
        two_selected: Share of one-domain questions for which more than one was.
        ece: Expected calibration error over questions of one domain.
        fast_share: Share of questions of one domain that the encoder did not look at.
        accuracy_lost: Accuracy of the router that always asks the encoder, less this one's,
            over the same resamples; None where there is no encoder.
        router_ms_p50: Median time of a decision over all questions, in milliseconds.
        answered: The expert that was given each question.
    """

    leads: Leads
    f1: Mapping[str, Share]
    multi_both: Share
    two_selected: Share
    ece: Share
    fast_share: Share
    accuracy_lost: Share
    router_ms_p50: float
    answered: tuple[str, ...]


def read_folder(folder: Path, experts: Sequence[str], fallback: str) -> tuple[Question, ...]:
    """Read the questions of all `.jsonl` files in a folder that hold any; none: empty.

    Raises:
        InvalidRequestError: When a file has a line that is no such question.
    """
    questions: list[Question] = []
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        if not path.read_text(encoding="utf-8-sig").strip():
            continue
        read: Iterable[Question] = read_questions([path], experts, fallback)
        if path.stem == OUT_OF_DOMAIN_FILE:
            read = (_out_of_domain(question, fallback) for question in read)
        questions += read
    return tuple(questions)


def _out_of_domain(question: Question, fallback: str) -> Question:
    if question.domains != (fallback,):
        raise InvalidRequestError(
            f"{OUT_OF_DOMAIN_FILE}.jsonl: {question.key!r} belongs to"
            f" {', '.join(question.domains)}; expected questions of {fallback!r} only"
        )
    return replace(question, kind=Kind.OUT_OF_DOMAIN)


def measure_leads(questions: Sequence[Question], leads: Sequence[str]) -> Leads:
    """Measure how often the right expert led.

    Args:
        questions: Of any kind; those of several domains are passed over.
        leads: The expert that was given each.
    """
    hits: dict[str, list[bool]] = {name: [] for name in ("all", *CELLS)}
    out: list[bool] = []
    for question, lead in zip(questions, leads, strict=True):
        right = lead in question.domains
        if question.kind is Kind.OUT_OF_DOMAIN:
            out.append(right)
        elif question.kind is Kind.SINGLE:
            hits["all"].append(right)
            hits.get(f"{question.style}.{question.language}", []).append(right)
    return Leads(
        accuracy={name: _share(found) for name, found in hits.items()}, ood_general=_share(out)
    )


def measure_quality(
    trials: Sequence[Trial], always: Sequence[Trial], experts: Sequence[str]
) -> Quality:
    """Measure our router.

    Args:
        trials: What it decided, one at the least.
        always: What it decided about the same questions where the encoder looks at each;
            empty: there is no encoder.
        experts: Names of all experts.
    """
    single = [t for t in trials if t.question.kind is Kind.SINGLE]
    multi = [t for t in trials if t.question.kind is Kind.MULTI]
    table = tabulate(single, experts)
    return Quality(
        leads=measure_leads([t.question for t in trials], [t.outcome.lead for t in trials]),
        f1={name: _measure_f1(table, column) for column, name in enumerate(table.experts)},
        multi_both=_share([t.right for t in multi]),
        two_selected=_share([len(t.outcome.experts) > 1 for t in single]),
        ece=_measure(_calibration_error(table), table.size),
        fast_share=_share([t.outcome.stage is Stage.FAST for t in single]),
        accuracy_lost=_measure_loss(single, always),
        router_ms_p50=float(np.median([t.outcome.elapsed_us for t in trials])) / 1e3,
        answered=tuple(t.outcome.lead for t in trials),
    )


def measure_lead_over(
    questions: Sequence[Question], ours: Sequence[str], theirs: Sequence[str]
) -> Share:
    """Measure by how much our accuracy is higher than a peer's, over the same resamples."""
    ahead = [
        float(our in question.domains) - float(their in question.domains)
        for question, our, their in zip(questions, ours, theirs, strict=True)
        if question.kind is Kind.SINGLE
    ]
    return _measure(mean(np.array(ahead)), len(ahead))


def _share(hits: Sequence[bool]) -> Share:
    return estimate_share(hits) if hits else None


def _measure(statistic: Statistic, questions: int) -> Share:
    return estimate({"figure": statistic}, questions)["figure"] if questions else None


def _measure_f1(table: Table, column: int) -> Share:
    own, given = table.domains == column, table.leads == column
    both = _sum(own & given)
    either = _sum(own.astype(np.float64) + given)
    if not own.any():
        return None
    return _measure(lambda w: 2 * both(w) / np.maximum(either(w), 1), table.size)


def _calibration_error(table: Table) -> Statistic:
    """Give the statistic that is `calibration.expected_calibration_error`."""
    gaps = table.top_right - table.confidences
    bin_of = np.minimum((table.confidences * BINS).astype(int), BINS - 1)
    cells = np.where(bin_of[:, None] == np.arange(BINS), gaps[:, None], 0.0)

    def statistic(weights: FloatArray) -> FloatArray:
        errors: FloatArray = np.abs(weights @ cells).sum(axis=1) / table.size
        return errors

    return statistic


def _measure_loss(single: Sequence[Trial], always: Sequence[Trial]) -> Share:
    asked = [t for t in always if t.question.kind is Kind.SINGLE]
    if not asked:
        return None
    return measure_lead_over(
        [trial.question for trial in single],
        [trial.outcome.lead for trial in asked],
        [trial.outcome.lead for trial in single],
    )


def _sum(values: NDArray[np.generic]) -> Callable[[FloatArray], FloatArray]:
    numbers = values.astype(np.float64)

    def statistic(weights: FloatArray) -> FloatArray:
        sums: FloatArray = weights @ numbers
        return sums

    return statistic
