"""Probabilities that mean what they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tame_router.routing.calibration import (
    ANY_LANGUAGE,
    COLDEST,
    LEAST_LINES,
    Calibration,
    expected_calibration_error,
    fit_calibration,
    fit_sigmoid,
    fit_temperature,
    fit_temperatures,
    log_loss,
    sigmoid,
    softmax,
)

LOGITS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(2, 6)),
    elements=st.floats(-1e5, 1e5, width=32),
)


@given(LOGITS, st.floats(0.01, 100))
def test_softmax_gives_probabilities_in_the_order_of_logits(
    logits: np.ndarray, temperature: float
) -> None:
    """Rows sum to 1, and a temperature never changes which label leads."""
    p = softmax(logits, temperature)
    assert np.isfinite(p).all()
    assert p.sum(axis=1) == pytest.approx(1)
    rows = np.arange(len(p))
    assert (p[rows, logits.argmax(axis=1)] == p.max(axis=1)).all()


def sample(temperature: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and answers that are as often right as softmax(logits / temperature) says."""
    rng = np.random.default_rng(7)
    logits = rng.normal(size=(size, 3)) * 4
    p = softmax(logits, temperature)
    draws = rng.random(size)[:, None]
    return logits, (p.cumsum(axis=1) < draws).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_the_data_is_found(temperature: float) -> None:
    """Fitting recovers the temperature that answers were drawn with, and calibrates."""
    logits, answers = sample(temperature, 20_000)
    assert fit_temperature(logits, answers) == pytest.approx(temperature, rel=0.05)
    assert expected_calibration_error(softmax(logits, temperature), answers) < 0.01


def test_answers_that_are_all_right_do_not_make_it_certain() -> None:
    """Few lines, all right, leave a doubt about as large as one wrong answer."""
    logits = np.array([[1.0, 0.0]] * 20)
    temperature = fit_temperature(logits, np.zeros(20, dtype=np.intp))
    assert temperature > COLDEST * 2
    assert softmax(logits, temperature)[0, 0] == pytest.approx(1 - 1 / 44, abs=1e-3)


def test_no_line_leaves_logits_alone() -> None:
    """Without held-out lines the temperature is 1 and there is no error to state."""
    nothing = np.empty((0, 3))
    none = np.empty(0, dtype=np.intp)
    assert fit_temperature(nothing, none) == 1.0
    assert expected_calibration_error(nothing, none) == 0.0


def test_a_language_gets_its_own_temperature_with_enough_lines() -> None:
    """A language with few lines is left to the temperature for any."""
    cold, cold_answers = sample(0.5, 5_000)
    hot, hot_answers = sample(3.0, LEAST_LINES - 1)
    temperatures = fit_temperatures(
        np.vstack([cold, hot]),
        np.concatenate([cold_answers, hot_answers]),
        ["zh-TW"] * len(cold) + ["en"] * len(hot),
    )
    assert set(temperatures) == {ANY_LANGUAGE, "zh-TW"}
    assert temperatures["zh-TW"] == pytest.approx(0.5, rel=0.1)


def test_log_loss_is_the_cross_entropy() -> None:
    """It is the mean negative logarithm, with the answers smoothed where asked."""
    p = np.array([[0.5, 0.5], [0.9, 0.1]])
    answers = np.array([0, 1])
    assert log_loss(p, answers) == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)
    even = -np.log(p).mean()
    assert log_loss(p, answers, smoothing=0.5) == pytest.approx((log_loss(p, answers) + even) / 2)


def test_calibration_error_is_the_gap_between_saying_and_being() -> None:
    """Saying 0.8 and being right every second time is 0.3 off."""
    p = np.array([[0.8, 0.2]] * 4)
    assert expected_calibration_error(p, np.array([0, 0, 1, 1])) == pytest.approx(0.3)
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0


def test_relevances_mean_what_they_say() -> None:
    """A sigmoid fitted to lines of one label each recovers the odds they were drawn with."""
    rng = np.random.default_rng(11)
    logits = rng.normal(size=(20_000, 2)) * 3
    truths = rng.random(logits.shape) < sigmoid(0.5 * logits - 1)
    alone = truths.sum(axis=1) == 1
    slope, offset = fit_sigmoid(logits[alone], truths[alone])
    relevances = sigmoid(slope * logits[alone] + offset)
    assert relevances.mean() == pytest.approx(truths[alone].mean(), abs=0.01)


@pytest.mark.parametrize("truth", [True, False])
def test_a_sigmoid_without_two_sides_is_left_alone(*, truth: bool) -> None:
    """Where every label applies, or none, nothing can be fitted."""
    assert fit_sigmoid(np.ones((5, 2)), np.full((5, 2), truth)) == (1.0, 0.0)
    assert fit_sigmoid(np.empty((0, 2)), np.empty((0, 2), dtype=np.bool_)) == (1.0, 0.0)


def test_how_many_questions_for_two_were_written_does_not_matter() -> None:
    """Ten times the questions for two experts give the same sigmoid but for their smoothing."""
    rng = np.random.default_rng(3)
    single = np.eye(3, dtype=np.bool_)[rng.integers(0, 3, 600)]
    double = np.roll(np.eye(3, dtype=np.bool_), 1, axis=1)[rng.integers(0, 3, 60)]
    double = double | np.roll(double, 1, axis=1)
    rows = np.vstack([single, double])
    logits = rows * 2.0 + rng.normal(size=rows.shape)
    many = np.concatenate([logits, *[logits[600:]] * 9])
    many_rows = np.concatenate([rows, *[rows[600:]] * 9])
    assert fit_sigmoid(many, many_rows) == pytest.approx(fit_sigmoid(logits, rows), abs=0.05)


def test_a_calibration_keeps_rankings() -> None:
    """Temperatures come from lines of one label, and no order of logits is changed."""
    logits, answers = sample(2.0, 5_000)
    truths = np.eye(3, dtype=np.bool_)[answers]
    calibration = fit_calibration(logits, truths, ["en"] * len(logits))
    assert calibration.temperature("en") == pytest.approx(2.0, rel=0.1)
    assert calibration.temperature("fr") == calibration.temperature(ANY_LANGUAGE)
    order = logits[0].argsort().tolist()
    assert calibration.probabilities(logits[0], "en").argsort().tolist() == order
    assert calibration.relevances(logits[0]).argsort().tolist() == order


@given(
    st.lists(st.floats(-1e5, 1e5, width=32), min_size=1, max_size=9),
    st.floats(0.01, 100),
    st.floats(0.01, 10),
    st.floats(-10, 10),
)
def test_plain_arithmetic_gives_what_arrays_give(
    logits: list[float], temperature: float, slope: float, offset: float
) -> None:
    """Of one text, shares are the probabilities and marks the relevances, but for rounding."""
    heat = {ANY_LANGUAGE: temperature}
    calibration = Calibration(temperatures=heat, slope=slope, offset=offset)
    row = np.array(logits)
    wanted = calibration.probabilities(row, "en")
    assert calibration.shares(logits, "en") == pytest.approx(wanted.tolist(), rel=1e-14, abs=1e-300)
    marks = calibration.relevances(row).tolist()
    assert calibration.marks(logits) == pytest.approx(marks, rel=1e-14, abs=1e-15)
