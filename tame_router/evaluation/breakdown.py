"""Figures by group: accuracy, conformal coverage, and the time of each stage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tame_router.evaluation.outcome import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScore:
    """How many of a group were right.

    Attributes:
        accuracy: Share of right decisions, in [0, 1].
        questions: Size of the group, ≥ 1.
    """

    accuracy: float
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the conformal sets of a group hold.

    Attributes:
        coverage: Share of sets that hold the right expert, in [0, 1].
        mean_size: Experts in a set, on average.
        questions: Size of the group, ≥ 1.
    """

    coverage: float
    mean_size: float
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUse:
    """What one stage of the router did.

    Attributes:
        share: Share of all decisions that it made, in (0, 1].
        questions: How many those are.
        p50_us: Median of their time, in microseconds.
        p99_us: Time that 99 of 100 keep within, in microseconds.
    """

    share: float
    questions: int
    p50_us: float
    p99_us: float


def group(trials: Sequence[Trial], name: Callable[[Trial], str]) -> dict[str, list[Trial]]:
    """Group trials by a name, sorted by it; those whose name is empty are left out."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if key := name(trial):
            groups.setdefault(key, []).append(trial)
    return dict(sorted(groups.items()))


def cell(trial: Trial) -> str:
    """Name a question's style and language, `chat.zh-TW`; empty where it has no style."""
    question = trial.question
    return f"{question.style}.{question.language}" if question.style else ""


def score_groups(trials: Sequence[Trial], name: Callable[[Trial], str]) -> dict[str, GroupScore]:
    """Give the share of right decisions in each group."""
    return {
        key: GroupScore(
            accuracy=sum(t.right for t in members) / len(members), questions=len(members)
        )
        for key, members in group(trials, name).items()
    }


def cover_languages(trials: Sequence[Trial]) -> dict[str, Coverage]:
    """Tell how often the conformal set holds the right expert, by language.

    Empty where no trial has a set: the router knows none then.
    """
    if not any(trial.outcome.conformal_set for trial in trials):
        return {}
    return {
        key: Coverage(
            coverage=float(
                np.mean([t.question.domains[0] in t.outcome.conformal_set for t in members])
            ),
            mean_size=float(np.mean([len(t.outcome.conformal_set) for t in members])),
            questions=len(members),
        )
        for key, members in group(trials, lambda t: t.question.language).items()
    }


def time_stages(trials: Sequence[Trial]) -> dict[str, StageUse]:
    """Tell how much each stage decided, and how long it took."""
    uses = {}
    for stage, members in group(trials, lambda t: str(t.outcome.stage)).items():
        p50, p99 = np.percentile([t.outcome.elapsed_us for t in members], (50, 99))
        uses[stage] = StageUse(
            share=len(members) / len(trials),
            questions=len(members),
            p50_us=float(p50),
            p99_us=float(p99),
        )
    return uses
