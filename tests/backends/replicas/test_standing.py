"""What is known of one replica."""

from random import Random

from tame_router.backends.replicas.choice import Ask, Moment, cache, choose, queue
from tame_router.backends.replicas.standing import LATE_HALF_LIFE_S, MOST_LATE, Standing
from tame_router.backends.vllm.metrics import EngineMetrics

ASK = Ask(revision="", head=1, tokens=10)


def test_no_more_adapters_than_there_is_room_for() -> None:
    """Of more than the server has room for, the one used longest ago is taken to be gone."""
    standing = Standing("a")
    for name in ("one", "two", "three", "one"):
        standing.wrote(name)
    assert list(standing.adapters) == ["two", "three", "one"]
    standing.told(EngineMetrics(max_loras=2), until=5)
    assert list(standing.adapters) == ["three", "one"]
    standing.wrote("four")
    assert list(standing.adapters) == ["one", "four"]


def test_adapters_that_run_are_there() -> None:
    """What runs is on the device, also where this router never asked for it, or was told no."""
    standing = Standing("a")
    standing.lacks("legal", now=0)
    standing.told(EngineMetrics(adapters=("legal",), max_loras=4), until=5)
    assert standing.resident("legal")
    assert not standing.absent("legal", now=1)


def test_the_work_of_others_counts() -> None:
    """What a replica has beside this router's answers costs, and what waits costs twice."""
    standing = Standing("a")
    standing.begin(100)
    standing.told(EngineMetrics(running=4, waiting=2), until=5)
    assert (standing.elsewhere, standing.waiting) == (5, 2)
    assert queue(standing, Moment(ask=ASK, now=4, home="")) == 7


def test_a_full_cache_costs() -> None:
    """As long as there is plenty of room it costs nothing; when it is full, a lot."""
    standing = Standing("a")
    costs = []
    for usage in (0.0, 0.8, 0.9, 1.0):
        standing.told(EngineMetrics(cache_usage=usage), until=5)
        costs.append(round(cache(standing, Moment(ask=ASK, now=4, home="")), 6))
    assert costs == [0, 0, 4, 8]


def test_old_figures_count_for_nothing() -> None:
    """A replica that tells nothing any more is judged by what this router knows itself."""
    full, other = Standing("a"), Standing("b")
    full.told(EngineMetrics(running=50, waiting=50, cache_usage=1), until=5)
    draw = Random(1)
    chosen = {choose([full, other], ASK, now=4, draw=draw).name for _ in range(50)}
    assert "b" in chosen
    moment = Moment(ask=ASK, now=6, home="")
    assert queue(full, moment) == cache(full, moment) == 0


def test_lateness_fades_and_one_answer_is_no_slow_replica() -> None:
    """Each answer counts a quarter, at most three doublings; what is old counts less and less."""
    standing = Standing("a")
    standing.spoke(10.0, now=0)
    assert standing.lateness(0) == MOST_LATE / 4
    for _ in range(40):
        standing.spoke(10.0, now=0)
    assert standing.lateness(0) > 0.99 * MOST_LATE
    assert standing.lateness(LATE_HALF_LIFE_S) == standing.lateness(0) / 2
    for _ in range(8):
        standing.spoke(0.0, now=0)
    assert standing.lateness(0) < 0.4


def test_an_answer_that_was_left_makes_nothing_better() -> None:
    """It would have come later still: it can show that a replica is slow, never that it is not."""
    standing = Standing("a")
    for _ in range(40):
        standing.spoke(3.0, now=0)
    before = standing.lateness(0)
    standing.spoke(1.0, now=0, at_least=True)
    assert standing.lateness(0) == before
    fresh = Standing("b")
    fresh.spoke(2.0, now=0, at_least=True)
    assert fresh.lateness(0) == 0.5


def test_another_process_is_not_slow() -> None:
    """What the one before it took says nothing of it."""
    standing = Standing("a")
    standing.spoke(3.0, now=0)
    standing.forget()
    assert standing.lateness(0) == 0
