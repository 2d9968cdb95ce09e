"""What held-out lines say: how to calibrate, when the encoder has to look, how good it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.artefact_document import Hyperparameters, Measures
from tame_router.routing.calibration import (
    ANY_LANGUAGE,
    Calibration,
    expected_calibration_error,
    fit_calibration,
    fit_temperatures,
    log_loss,
)
from tame_router.routing.conformal import ConformalLevels, fit_levels
from tame_router.teaching.linear import NEVER

SHARES = np.round(np.arange(0.0, 2.05, 0.1), 1)
"""What a dense logit may be worth beside a lexical one."""

LEAST_CONFIDENCE = 0.85
"""Below it the encoder looks again, however little held-out lines would lose: other people's
questions are further from the teaching lines than these are from each other."""

CONFIDENCES = np.round(np.arange(LEAST_CONFIDENCE, 1.0, 0.01), 2)
"""Confidences that are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Lines, and what classifiers that did not learn them say.

    Attributes:
        fast: Logits of the fast classifier, shape (n_lines, n_labels).
        dense: Logits of embeddings, of the same shape; None: there is no encoder.
        joint: Logits of questions for two experts, shape (n_lines,).
        truths: Which labels apply, shape (n_lines, n_labels).
        leads: Column of the label that leads, shape (n_lines,).
        files: Language of each line's file.
        spoken: Language each line is read as.
    """

    fast: NDArray[np.float64]
    dense: NDArray[np.float64] | None
    joint: NDArray[np.float64]
    truths: NDArray[np.bool_]
    leads: NDArray[np.intp]
    files: NDArray[np.str_]
    spoken: NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows from held-out lines.

    Attributes:
        fast: Calibration of the fast classifier.
        both: Calibration of the sum of both logits; its relevances are those of dense ones.
        dense_share: What a dense logit is worth beside a lexical one, ≥ 0.
        confidence: Probability from which the fast classifier is believed, in [0, 1].
        joint_threshold: Logit from which a text may need two experts.
        levels: For conformal sets.
        measures: How good the whole is.
    """

    fast: Calibration
    both: Calibration
    dense_share: float
    confidence: float
    joint_threshold: float
    levels: ConformalLevels
    measures: Measures


def judge(held_out: HeldOut, told: Hyperparameters) -> Verdict:
    """Draw the conclusions.

    Args:
        held_out: The lines.
        told: What training was told.
    """
    truths, spoken = held_out.truths, held_out.spoken.tolist()
    fast = fit_calibration(held_out.fast, truths, spoken)
    first = _probabilities(fast, held_out.fast, held_out.spoken)
    single = truths.sum(axis=1) == 1
    leads = held_out.leads[single]
    both, share, confidence, probabilities = fast, 0.0, 0.0, first
    joint_threshold = _least_joint(held_out.joint[~single], told.joint_recall)
    unsure = np.zeros(len(truths), dtype=np.bool_)
    if held_out.dense is not None:
        share = _best_share(held_out, held_out.dense)
        total = held_out.fast + share * held_out.dense
        both = fit_calibration(total, truths, spoken, relevant=share * held_out.dense)
        second = _probabilities(both, total, held_out.spoken)
        confidence = _least_confidence(first[single], second[single], leads, told.accuracy_loss)
        unsure = (first.max(axis=1) < confidence) | (held_out.joint >= joint_threshold)
        probabilities = np.where(unsure[:, None], second, first)
    fast_share = float((~unsure[single]).mean())
    return Verdict(
        fast=fast,
        both=both,
        dense_share=share,
        confidence=confidence,
        joint_threshold=joint_threshold,
        levels=fit_levels(probabilities[single], leads, held_out.spoken[single].tolist()),
        measures=_measure(held_out, probabilities[single], single, fast_share),
    )


def _probabilities(
    calibration: Calibration, logits: NDArray[np.float64], spoken: NDArray[np.str_]
) -> NDArray[np.float64]:
    probabilities = np.empty_like(logits)
    for language in np.unique(spoken):
        mine = spoken == language
        probabilities[mine] = calibration.probabilities(logits[mine], str(language))
    return probabilities


def _best_share(held_out: HeldOut, dense: NDArray[np.float64]) -> float:
    """Give the share with the least log loss after calibration."""
    single = held_out.truths.sum(axis=1) == 1
    leads, spoken = held_out.leads[single], held_out.spoken[single]
    losses = []
    for share in SHARES:
        logits = held_out.fast[single] + share * dense[single]
        temperatures = fit_temperatures(logits, leads, spoken.tolist())
        calibration = Calibration(temperatures=temperatures, slope=1.0, offset=0.0)
        losses.append(log_loss(_probabilities(calibration, logits, spoken), leads))
    return float(SHARES[int(np.argmin(losses))])


def _least_confidence(
    fast: NDArray[np.float64],
    second: NDArray[np.float64],
    leads: NDArray[np.intp],
    accuracy_loss: float,
) -> float:
    """Give the least confidence at which the cascade is nearly as good as asking always."""
    best = float((second.argmax(axis=1) == leads).mean())
    top, guess, look = fast.max(axis=1), fast.argmax(axis=1), second.argmax(axis=1)
    for confidence in CONFIDENCES:
        right = np.where(top >= confidence, guess, look) == leads
        if float(right.mean()) >= best - accuracy_loss:
            return float(confidence)
    return 1.0


def _least_joint(logits: NDArray[np.float64], recall: float) -> float:
    """Give the logit that the stated share of questions for two experts reaches."""
    if not len(logits):
        return -NEVER
    return float(np.quantile(logits, 1 - recall))


def _measure(
    held_out: HeldOut,
    probabilities: NDArray[np.float64],
    single: NDArray[np.bool_],
    fast_share: float,
) -> Measures:
    leads, files = held_out.leads[single], held_out.files[single]
    right = probabilities.argmax(axis=1) == leads
    accuracy = {str(v): float(right[files == v].mean()) for v in np.unique(files)}
    return Measures(
        lines=len(held_out.leads),
        accuracy={ANY_LANGUAGE: float(right.mean()), **accuracy},
        calibration_error=expected_calibration_error(probabilities, leads),
        fast_share=fast_share,
    )
