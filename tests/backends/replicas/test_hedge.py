"""When an answer is asked twice."""

import pytest
from msgspec.structs import replace

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.choice import Ask
from tame_router.backends.replicas.hedge import HedgeRules, Hedging, hedgeable, roomy
from tame_router.backends.replicas.standing import ABSENT_S, Standing
from tame_router.backends.vllm.metrics import EngineMetrics
from tame_router.chat import Message, Role, Sampling, Shape

RULES = HedgeRules(most_prompt_chars=10)
SHORT = Generation(
    revision="legal",
    messages=(Message(role=Role.USER, content="?" * 10),),
    sampling=Sampling(),
    request_id="r",
)
ASK = Ask.of(SHORT)


def test_what_may_be_asked_twice() -> None:
    """A short prompt of one choice that somebody waits for, and of which nothing is written."""
    assert hedgeable(SHORT, ASK, RULES)
    long = replace(SHORT, messages=(Message(role=Role.USER, content="?" * 11),))
    assert not hedgeable(long, Ask.of(long), RULES)
    several = replace(SHORT, shape=Shape(choices=2))
    for other in (several, replace(SHORT, aside=True), replace(SHORT, continued=True)):
        assert not hedgeable(other, ASK, RULES)


def test_when_a_word_is_late() -> None:
    """After what is usual, never before the least wait, and never while nothing is known."""
    hedging = Hedging(HedgeRules(after_s=0.25))
    assert hedging.after_s(None) is None
    assert hedging.after_s(0.1) == 0.25
    assert hedging.after_s(2.0) == 2.0
    fixed = Hedging(HedgeRules(after_s=0.25, quantile=0))
    assert fixed.after_s(None) == fixed.after_s(2.0) == 0.25


def test_hedges_are_a_share() -> None:
    """A burst, and then no more than the share of the answers."""
    budget = Hedging(HedgeRules(share=0.1, burst=2)).budget
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    asked = 0
    for _ in range(1_000):
        budget.earn()
        asked += budget.spend()
    assert 98 <= asked <= 100


def having(revision: str = "legal") -> Standing:
    """Give a replica with that adapter, and no room for another."""
    standing = Standing("a")
    standing.told(EngineMetrics(max_loras=1), until=100)
    standing.wrote(revision)
    return standing


@pytest.mark.parametrize("now", [0.0, 1.0])
def test_a_replica_with_room(now: float) -> None:
    """It has the adapter or room for one, and nothing speaks against it."""
    assert roomy(having(), ASK, now)
    assert not roomy(having("medical"), ASK, now)
    free = Standing("a")
    assert roomy(free, ASK, now)
    free.lacks("legal", now)
    assert not roomy(free, ASK, now)
    assert roomy(free, ASK, now + ABSENT_S)


def test_a_replica_without_room() -> None:
    """One that is busy, where answers wait, whose cache is full or that erred is not asked."""
    busy, waiting, full, erred = (having() for _ in range(4))
    busy.busy(10)
    waiting.told(EngineMetrics(waiting=1, max_loras=1), until=10)
    full.told(EngineMetrics(cache_usage=0.9, max_loras=1), until=10)
    erred.erred(5)
    assert [roomy(one, ASK, 5) for one in (busy, waiting, full, erred)] == [False] * 4
    assert [roomy(one, ASK, 11) for one in (busy, waiting, full, erred)] == [True] * 4
