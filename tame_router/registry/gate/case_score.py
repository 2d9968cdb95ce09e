"""What one answer to one case is worth. Pure.

A choice is scored by the probability that the right one has among those that may be chosen,
free text by the share of its required facts, nothing where it holds a forbidden one.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tame_router.catalog.evaluation import TextCase
from tame_router.routing.simplified import count_simplified

TIE = 0.02
"""Probability by which a right choice may stand behind the likeliest: an engine that computes in
bfloat16 gives equal adapters values that differ by less."""

_HAN_FIRST, _HAN_BEHIND = "\u3400", "\ua000"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """One case as one revision answered it.

    Attributes:
        score: In [0, 1]; 1 is best.
        passed: The right choice is the likeliest, or all facts are there and none forbidden.
        loss: Nats a token of the reference; None for choices.
        text: What it wrote, of cases answered freely; empty: nothing, or it was not asked to.
        han: Chinese characters written.
        simplified: Those of them that only Simplified Chinese uses.
        token_s: Seconds a token behind the first; None where that cannot be told.
    """

    score: float
    passed: bool
    loss: float | None = None
    text: str = ""
    han: int = 0
    simplified: int = 0
    token_s: float | None = None


def score_choice(
    answer: int, choices: Sequence[str], log_likelihoods: Sequence[float]
) -> CaseScore:
    """Score a choice.

    Longer choices are less likely because they are longer: what counts is the mean of a
    UTF-8 byte, which does not depend on how a tokenizer cuts. So that probabilities say
    something, that mean is taken as often as a choice of mean length has bytes.

    Args:
        answer: The right one, from 0.
        choices: What may be chosen.
        log_likelihoods: Of each, summed over its tokens, in nats.

    Source: EleutherAI's lm-evaluation-harness, `acc_norm`.
    """
    lengths = [len(choice.encode()) for choice in choices]
    mean_bytes = sum(lengths) / len(lengths)
    values = [
        log_likelihood / length * mean_bytes
        for log_likelihood, length in zip(log_likelihoods, lengths, strict=True)
    ]
    most = max(values)
    if not math.isfinite(most):
        return CaseScore(score=0.0, passed=False)
    weights = [math.exp(value - most) for value in values]
    probabilities = [weight / sum(weights) for weight in weights]
    right = probabilities[answer]
    return CaseScore(score=right, passed=right >= max(probabilities) - TIE)


def score_text(case: TextCase, text: str, loss: float, token_s: float | None = None) -> CaseScore:
    """Score a free answer.

    Args:
        case: The case.
        text: What was written.
        loss: Nats a token of the reference.
        token_s: Seconds a token.
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
        han=sum(_HAN_FIRST <= character < _HAN_BEHIND for character in text),
        simplified=count_simplified(text),
        token_s=token_s,
    )


def score_reference(loss: float) -> CaseScore:
    """Score a case of which only the reference was looked at: by its probability a token."""
    return CaseScore(score=math.exp(-loss), passed=True, loss=loss)


def normalise(text: str) -> str:
    """Make texts comparable: full-width forms and capitals count as others, white space as one blank."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
