"""The linear discriminant."""

import numpy as np

from tame_router.teaching.discriminant import find_direction, measure_background


def test_a_mean_is_told_from_the_background() -> None:
    """New rows lie above the middle, old ones below, and these have the spread asked for."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((2, 6)) * 3
    domains = np.arange(400) % 2
    old = (centres[domains] + rng.standard_normal((400, 6))).astype(np.float32)
    new = (np.full(6, 4.0) + rng.standard_normal((20, 6))).astype(np.float32)
    direction = find_direction(measure_background(old, domains), new[:5], spread=4)
    assert (direction.logits(new[5:]) > 0).mean() > 0.9
    assert (direction.logits(old) < 0).mean() > 0.9
    assert np.isclose(direction.logits(old).std(), 4, rtol=1e-3)
