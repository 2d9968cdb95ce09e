"""What tells a burst from a queue that stands."""

from tame_router.backends.queueing.standing_queue import StandingQueue


def test_a_burst_passes() -> None:
    """A queue that has not been there for long does not stand, nor one where nobody waits."""
    queue = StandingQueue(2.0)
    assert not queue.stands(100.0)
    queue.see(100.0, waited_in=True)
    assert not queue.stands(101.9)
    queue.see(101.9, waited_in=False)
    queue.see(102.0, waited_in=True)
    queue.see(103.0, waited_in=True)
    assert not queue.stands(103.9)


def test_a_queue_that_is_never_empty_stands() -> None:
    """Once somebody has waited at every moment it stands, until nobody has for as long."""
    queue = StandingQueue(2.0)
    queue.see(100.0, waited_in=True)
    assert queue.stands(102.0)
    queue.see(103.0, waited_in=False)
    assert queue.stands(104.9)
    queue.see(104.9, waited_in=True)
    assert queue.stands(105.0)
    queue.see(106.0, waited_in=False)
    queue.see(108.0, waited_in=True)  # nobody asked in between
    assert not queue.stands(109.9)
