"""The run of troubles, in short: no answer is lost, and none is another than it should be."""

import itertools

import pytest

from bench import chaos
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

SECONDS = 9
SEED = 8


def test_a_seed_draws_the_same_troubles() -> None:
    """A run can be repeated; troubles do not overlap, and all kinds come in the long run."""
    drawn = chaos.schedule(SEED, 600)
    assert drawn == chaos.schedule(SEED, 600)
    assert {one.what for one in drawn} == set(chaos.TROUBLES)
    for one, then in itertools.pairwise(drawn):
        assert one.at_s + one.for_s < then.at_s


async def test_no_answer_is_lost(pooled: Settings, replicas: tuple[FakeVllm, ...]) -> None:
    """While replicas fail one after the other, every answer is the one it should be."""
    for fake in replicas:
        fake.pace = Pace(token_s=0.03, answer_tokens=24)
    assert chaos.schedule(SEED, SECONDS)
    settings = changed(pooled, local=chaos.BACKEND)
    tally = await chaos.run(settings, replicas, seconds=SECONDS, seed=SEED, streams=8)
    assert tally.answers
    assert (tally.failed, tally.wrong_text, tally.wrong_usage) == (0, 0, 0), tally.reasons
