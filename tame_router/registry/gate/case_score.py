"""What one answer to one case is worth. Pure.

A choice is scored by the probability of the right letter among those that may be chosen,
free text by the share of its required facts, nothing where it holds a forbidden one.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tame_router.catalog.evaluation import TextCase
from tame_router.routing.simplified import count_simplified

TIE = 0.02
"""Probability by which a right choice may stand behind the likeliest, so that an engine's rounding
does not decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """One case as one revision answered it.

    Attributes:
        score: In [0, 1]; 1 is best. None: nothing was chosen or written, only the reference read.
        passed: The right choice is the likeliest, or all facts are there and none forbidden.
        loss: Nats a token of the reference, ≥ 0; None for choices.
        text: What it wrote; empty for choices.
        characters: Characters written.
        simplified: Those of them that only Simplified Chinese uses.
        token_s: Seconds a token behind the first; None where that cannot be told.
    """

    score: float | None = None
    passed: bool = False
    loss: float | None = None
    text: str = ""
    characters: int = 0
    simplified: int = 0
    token_s: float | None = None


def score_choice(answer: int, log_probabilities: Sequence[float]) -> CaseScore:
    """Score a choice.

    Args:
        answer: The right one, from 0.
        log_probabilities: Of each choice's letter, in nats.
    """
    most = max(log_probabilities)
    if not math.isfinite(most):
        return CaseScore(score=0.0)
    weights = [math.exp(value - most) for value in log_probabilities]
    probabilities = [weight / sum(weights) for weight in weights]
    right = probabilities[answer]
    return CaseScore(score=right, passed=right >= max(probabilities) - TIE)


def score_text(case: TextCase, text: str, loss: float, token_s: float | None) -> CaseScore:
    """Score a free answer.

    Args:
        case: The case.
        text: What was written.
        loss: Nats a token of the reference.
        token_s: Seconds a token; None: cannot be told.
    """
    said = normalise(text)
    found = sum(normalise(fact) in said for fact in case.required)
    forbidden = any(normalise(fact) in said for fact in case.forbidden)
    share = found / len(case.required) if case.required else float(bool(said))
    return CaseScore(
        score=0.0 if forbidden else share,
        passed=not forbidden and share == 1,
        loss=loss,
        text=text,
        characters=len(text),
        simplified=count_simplified(text),
        token_s=token_s,
    )


def normalise(text: str) -> str:
    """Make texts comparable: full-width forms and capitals count as others, white space as one."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
