"""Who is next: priorities before all, and among equals each tenant its share."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.queueing.fair_queue import FairQueue


def drained(queue: FairQueue[str]) -> list[str]:
    """Take everything out."""
    return [queue.pop() for _ in range(len(queue))]


def test_one_tenant_is_served_as_it_came() -> None:
    """Answers of one tenant keep their order."""
    queue: FairQueue[str] = FairQueue()
    for number in range(5):
        queue.put("a", 0, 1.0, str(number))
    assert drained(queue) == list("01234")


def test_a_modest_tenant_does_not_wait_behind_a_greedy_one() -> None:
    """Whoever asks for little is next but one, however much another has waiting."""
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.put("greedy", 0, 1.0, f"g{number}")
    assert queue.ahead("modest", 0) == 1
    queue.put("modest", 0, 1.0, "m")
    assert queue.waits("modest")
    assert drained(queue)[:3] == ["g0", "m", "g1"]
    assert not queue.waits("modest")


def test_shares_follow_weights() -> None:
    """A tenant with three times the weight gets three times as much."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.put("a", 0, 1 / 3, "a")
        queue.put("b", 0, 1.0, "b")
    assert Counter(drained(queue)[:80]) == {"a": 60, "b": 20}


def test_shares_are_of_time() -> None:
    """Long answers cost more: with the same weight there are fewer of them."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.put("long", 0, 4.0, "long")
        queue.put("short", 0, 1.0, "short")
    assert Counter(drained(queue)[:50]) == {"short": 40, "long": 10}


def test_priority_goes_before_everything() -> None:
    """Higher priorities are served first, and lower ones do not count as being ahead."""
    queue: FairQueue[str] = FairQueue()
    for priority in (0, 5, -1, 5):
        queue.put("a", priority, 1.0, str(priority))
    assert [queue.ahead("b", priority) for priority in (9, 5, 0, -1, -5)] == [0, 1, 3, 4, 4]
    assert drained(queue) == ["5", "5", "0", "-1"]


def test_nobody_saves_up() -> None:
    """A tenant that was away comes back with its share, not with all that it did not use."""
    queue: FairQueue[str] = FairQueue()
    for number in range(50):
        queue.put("a", 0, 1.0, f"a{number}")
    for _ in range(40):
        queue.pop()
    for number in range(10):
        queue.put("b", 0, 1.0, f"b{number}")
    assert Counter(item[0] for item in drained(queue)[:10]) == {"a": 5, "b": 5}


def test_leaving_brings_nobody_forward() -> None:
    """An answer that is not waited for any longer has used its share."""
    queue: FairQueue[str] = FairQueue()
    queue.put("b", 0, 1.0, "b0")
    for _ in range(10):
        queue.discard(queue.put("a", 0, 1.0, "left"))
    queue.put("a", 0, 1.0, "a")
    for number in range(1, 12):
        queue.put("b", 0, 1.0, f"b{number}")
    assert drained(queue).index("a") >= 10


def test_nobody_is_next_where_nobody_waits() -> None:
    """An empty queue gives nothing, and leaving twice does no harm."""
    queue: FairQueue[str] = FairQueue()
    turn = queue.put("a", 0, 1.0, "a")
    queue.discard(turn)
    queue.discard(turn)
    assert len(queue) == 0
    with pytest.raises(IndexError):
        queue.pop()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "pop", "discard"]),
            st.sampled_from("abc"),
            st.integers(-1, 1),
            st.floats(0.1, 10),
        )
    )
)
def test_nothing_is_lost(deeds: list[tuple[str, str, int, float]]) -> None:
    """What was put in, and not taken out by its caller, comes out once; `ahead` says when."""
    queue: FairQueue[int] = FairQueue()
    waiting = {}
    for number, (deed, tenant, priority, cost) in enumerate(deeds):
        if deed == "put":
            ahead = queue.ahead(tenant, priority)
            waiting[number] = queue.put(tenant, priority, cost, number)
            assert 0 <= ahead < len(queue)
        elif waiting and deed == "pop":
            del waiting[queue.pop()]
        elif waiting:
            queue.discard(waiting.pop(next(iter(waiting))))
        assert len(queue) == len(waiting)
    assert sorted(queue.pop() for _ in range(len(queue))) == sorted(waiting)
