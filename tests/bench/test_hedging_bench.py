"""The benchmark of late first words, in short: who is late is asked twice, and no more."""

from contextlib import ExitStack

import pytest

from bench.hedging import REPLICAS, Case, run
from tests.fakes.vllm import FakeVllm

pytestmark = pytest.mark.anyio


async def test_late_words_are_asked_twice() -> None:
    """Seconds are asked within the budget, and each answer has one replica that stopped."""
    with ExitStack() as stack:
        fakes = [stack.enter_context(FakeVllm()) for _ in range(REPLICAS)]
        told = await run(fakes, Case(trouble="hiccups", way="asked twice", answers=80, seed=3))
        assert 0 < told["second_won"] <= told["asked_twice"] <= 8 + 0.1 * 80
        plain = await run(fakes, Case(trouble="slow", way="as it is", answers=40, seed=3))
        assert (plain["asked_twice"], plain["second_won"], plain["stopped"]) == (0, 0, 0)
