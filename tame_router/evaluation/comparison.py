"""Two routers on the same questions: is one better, or was it luck?

The bootstrap is paired: both are judged on the same resamples, so that what is hard or
easy for both cancels out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tame_router.errors import InvalidRequestError
from tame_router.evaluation.bootstrap import Statistic, difference, estimate, mean
from tame_router.evaluation.confusion import accuracy_statistic, macro_f1_statistic
from tame_router.evaluation.outcome import Trial
from tame_router.evaluation.question import Kind, Question
from tame_router.evaluation.table import tabulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A figure of two routers.

    Attributes:
        a: Figure of A.
        b: Figure of B.
        value: B less A; above 0: B is better.
        low: Lower end of the difference's 95 % interval.
        high: Upper end.
        questions: Number of questions behind it, ≥ 1.
    """

    a: float
    b: float
    value: float
    low: float
    high: float
    questions: int

    @property
    def certain(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A question that only one of two routers got right.

    Attributes:
        text: The question.
        id: Its name; empty: it has none.
        expected: The experts it belongs to.
        a: The experts that A selected, the lead first.
        b: The experts that B selected, the lead first.
    """

    text: str
    id: str
    expected: tuple[str, ...]
    a: tuple[str, ...]
    b: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What B does better or worse than A.

    Attributes:
        questions: Number of questions.
        figures: Differences by name: `accuracy` and `macro_f1` over questions of one
            expert, `out_of_domain` (share sent to the fallback), `multi` (share with all
            experts found); those without a question are left out.
        mended: Questions that B gets right and A does not.
        broken: Questions that A gets right and B does not.
    """

    questions: int
    figures: Mapping[str, Difference]
    mended: tuple[Change, ...]
    broken: tuple[Change, ...]


def compare(a: Sequence[Trial], b: Sequence[Trial]) -> Comparison:
    """Compare two routers by their decisions about the same questions, in any order.

    Raises:
        InvalidRequestError: When the questions are not the same, or not their right answers.
    """
    b = _match(a, b)
    pairs = list(zip(a, b, strict=True))
    figures: dict[str, Difference] = {}
    for kind in Kind:
        of_kind = [pair for pair in pairs if pair[0].question.kind is kind]
        if of_kind:
            ours, theirs = zip(*of_kind, strict=True)
            figures |= _differ(_statistics(kind, ours), _statistics(kind, theirs), len(of_kind))
    return Comparison(
        questions=len(pairs),
        figures=figures,
        mended=tuple(_change(*pair) for pair in pairs if pair[1].right and not pair[0].right),
        broken=tuple(_change(*pair) for pair in pairs if pair[0].right and not pair[1].right),
    )


def _match(a: Sequence[Trial], b: Sequence[Trial]) -> Sequence[Trial]:
    """Give B's trials in the order of A's."""
    by_key = {trial.question.key: trial for trial in b}
    mine = {trial.question.key for trial in a}
    for name, only in (("A", mine - by_key.keys()), ("B", by_key.keys() - mine)):
        if only:
            raise InvalidRequestError(
                f"{len(only)} questions stand in {name} only, the first is {min(only)!r};"
                " let both routers decide about the same file"
            )
    for trial in a:
        _refuse_other(trial.question, by_key[trial.question.key].question)
    return [by_key[trial.question.key] for trial in a]


def _refuse_other(a: Question, b: Question) -> None:
    if a.text != b.text:
        raise InvalidRequestError(
            f"question {a.key!r} has one text in A and another in B; expected the same"
        )
    if (a.kind, set(a.domains)) != (b.kind, set(b.domains)):
        raise InvalidRequestError(
            f"question {a.key!r} belongs to {', '.join(a.domains)} ({a.kind}) in A and to"
            f" {', '.join(b.domains)} ({b.kind}) in B; expected the same"
        )


def _statistics(kind: Kind, trials: Sequence[Trial]) -> dict[str, Statistic]:
    if kind is Kind.SINGLE:
        table = tabulate(trials)
        return {"accuracy": accuracy_statistic(table), "macro_f1": macro_f1_statistic(table)}
    return {str(kind): mean(np.array([trial.right for trial in trials]))}


def _differ(
    a: Mapping[str, Statistic], b: Mapping[str, Statistic], questions: int
) -> dict[str, Difference]:
    estimates = estimate({name: difference(a[name], b[name]) for name in a}, questions)
    ones = np.ones((1, questions))
    return {
        name: Difference(
            a=float(a[name](ones)[0]),
            b=float(b[name](ones)[0]),
            value=found.value,
            low=found.low,
            high=found.high,
            questions=questions,
        )
        for name, found in estimates.items()
    }


def _change(a: Trial, b: Trial) -> Change:
    return Change(
        text=a.question.text,
        id=a.question.id,
        expected=a.question.domains,
        a=a.outcome.experts,
        b=b.outcome.experts,
    )
