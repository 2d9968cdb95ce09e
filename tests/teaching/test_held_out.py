"""What held-out lines say."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tame_router.routing.artefact_document import Hyperparameters
from tame_router.teaching.held_out import LEAST_CONFIDENCE, HeldOut, judge
from tame_router.teaching.linear import NEVER

TOLD = Hyperparameters()
LINES = 300


def make(*, fast: float, dense: float | None, joint: int = 0) -> HeldOut:
    """Make lines whose classifiers are right by a margin, in noise of the size 1.

    Args:
        fast: Margin of the fast classifier.
        dense: Margin of the encoder's; None: there is none.
        joint: Lines at the end that need two experts.
    """
    rng = np.random.default_rng(5)
    leads = rng.integers(0, 3, LINES).astype(np.intp)
    truths = np.eye(3, dtype=np.bool_)[leads]
    truths[LINES - joint :, :] |= np.roll(truths[LINES - joint :, :], 1, axis=1)

    def logits(margin: float) -> NDArray[np.float64]:
        noise: NDArray[np.float64] = rng.normal(size=(LINES, 3)) + margin * truths
        return noise

    several = truths.sum(axis=1) > 1
    return HeldOut(
        fast=logits(fast),
        dense=None if dense is None else logits(dense),
        joint=np.where(several, 4.0, -4.0) + rng.normal(size=LINES),
        truths=truths,
        leads=leads,
        files=np.array(["zh-TW", "en"] * (LINES // 2)),
        spoken=np.array(["zh-TW", "en"] * (LINES // 2)),
    )


def test_without_an_encoder_the_fast_classifier_decides() -> None:
    """There is nothing to ask, and nothing is worth anything beside the words."""
    verdict = judge(make(fast=2, dense=None), TOLD)
    assert (verdict.dense_share, verdict.confidence) == (0.0, 0.0)
    assert verdict.both == verdict.fast
    assert verdict.measures.fast_share == 1
    assert verdict.measures.lines == LINES


def test_an_encoder_that_knows_better_is_asked() -> None:
    """It is worth a share, is asked where words are unsure, and makes the whole better."""
    with_encoder = make(fast=1, dense=4)
    alone = judge(replace(with_encoder, dense=None), TOLD).measures
    verdict = judge(with_encoder, TOLD)
    assert verdict.dense_share > 0
    assert LEAST_CONFIDENCE <= verdict.confidence <= 1
    assert verdict.measures.fast_share < 0.5
    assert verdict.measures.accuracy["any"] > alone.accuracy["any"] + 0.1
    assert verdict.measures.accuracy.keys() == {"any", "en", "zh-TW"}


def test_an_encoder_that_knows_nothing_is_worth_little() -> None:
    """Noise gets hardly a share, and accuracy stays."""
    lines = make(fast=3, dense=0)
    verdict = judge(lines, TOLD)
    alone = judge(replace(lines, dense=None), TOLD).measures
    assert verdict.dense_share <= 0.3
    assert verdict.measures.accuracy["any"] >= alone.accuracy["any"] - 0.02


def test_less_may_be_lost_more_is_asked() -> None:
    """The confidence does not fall when less accuracy may be lost."""
    lines = make(fast=1, dense=4)
    losses = (1.0, 0.05, 0.005, 0.0)
    confidences = [judge(lines, Hyperparameters(accuracy_loss=x)).confidence for x in losses]
    assert confidences == sorted(confidences)
    assert confidences[0] == LEAST_CONFIDENCE


@pytest.mark.parametrize("recall", [0.5, 0.75, 1.0])
def test_questions_for_two_are_noticed_as_often_as_asked(recall: float) -> None:
    """The stated share of them reaches the threshold."""
    lines = make(fast=2, dense=2, joint=60)
    verdict = judge(lines, Hyperparameters(joint_recall=recall))
    assert (lines.joint[-60:] >= verdict.joint_threshold).mean() == pytest.approx(recall, abs=0.02)


def test_without_questions_for_two_none_is_noticed() -> None:
    """What nobody taught is never found."""
    assert judge(make(fast=2, dense=None), TOLD).joint_threshold == -NEVER


def test_levels_are_those_of_the_whole() -> None:
    """A conformal set at nine tenths has a level, and it is one of a probability."""
    verdict = judge(make(fast=2, dense=2), TOLD)
    assert 0 < verdict.levels.least_probability("en", 0.9) < 1
