"""The service is killed while adapters come in and go live, in short: nothing promised is lost."""

import itertools
from pathlib import Path

import pytest

from bench import adapter_crash
from bench.adapter_rig import build
from bench.made_adapter import Size
from tests.fakes.vllm import FakeVllm

pytestmark = pytest.mark.anyio

KILLS = 7
SEED = 5
SIZE = Size(layers=4, rank=16)


def test_a_seed_draws_the_same_kills() -> None:
    """A run can be repeated; everything is killed as often, early and late, some of it twice."""
    drawn = adapter_crash.schedule(1, 50)
    assert drawn == adapter_crash.schedule(1, 50)
    assert drawn != adapter_crash.schedule(2, 50)
    counts = [sum(kill.deed == deed for kill in drawn) for deed in adapter_crash.DEEDS]
    assert sorted(counts) == [7] * 6 + [8]
    assert min(kill.after for kill in drawn) < 0.2
    assert max(kill.after for kill in drawn) > 1
    assert any(kill.again_s is not None for kill in drawn)
    assert any(kill.again_s is None for kill in drawn)
    short = adapter_crash.schedule(SEED, KILLS)
    assert {kill.deed for kill in short} == set(adapter_crash.DEEDS)


@pytest.mark.timeout(600)
async def test_nothing_that_was_promised_is_lost(tmp_path: Path) -> None:
    """After each kill the label is valid and answers, the bytes are whole, and work goes on."""
    with FakeVllm() as fake:
        rig = build(tmp_path, fake, adapter_crash.REGISTRY)
        trial = adapter_crash.Trial(rig, SEED, SIZE)
        await trial.run(adapter_crash.schedule(SEED, KILLS))
    tally = trial.tally
    assert tally.wrong == []
    assert tally.kills >= KILLS
    assert sum(itertools.chain(tally.answered.values(), tally.unanswered.values())) == KILLS
