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


def test_who_is_sent_away_counts_as_waiting() -> None:
    """Where nobody may wait the queue is empty, and stands for as long as some are sent away."""
    queue = StandingQueue(2.0)
    queue.see(100.0, waited_in=True)
    queue.see(103.0, waited_in=False)
    for now in (104.0, 105.5, 107.0):
        queue.sent_away(now, 0)
    assert queue.stands(108.9)
    assert not queue.stands(109.0)
    queue.sent_away(110.0, 0)  # by its deadline: that makes no queue
    assert not queue.stands(110.0)


def test_it_stands_for_as_long_as_answers_take() -> None:
    """Long answers end in waves: between two of those the load is not over."""
    queue = StandingQueue(2.0)
    queue.take(10.0)
    queue.see(100.0, waited_in=True)
    queue.see(103.0, waited_in=False)
    assert queue.stands(112.9)
    assert not queue.stands(113.0)


def test_how_often_somebody_is_sent_away() -> None:
    """The mean of the last few times, of those who have a priority as high, or higher."""
    queue = StandingQueue(2.0)
    assert queue.gap_s(0, 100.0) == 2.0
    for number in range(400):
        queue.sent_away(100.0 + number / 100, 5)
    assert 0.0099 < queue.gap_s(5, 104.0) < 0.011
    assert queue.gap_s(0, 104.0) == queue.gap_s(5, 104.0)
    assert queue.gap_s(6, 104.0) == 2.0


def test_who_is_sent_away_no_more_is_forgotten() -> None:
    """Those who came all the time, and no longer do, keep nobody of a lower priority away."""
    queue = StandingQueue(2.0)
    queue.see(90.0, waited_in=True)
    for number in range(400):
        queue.sent_away(100.0 + number / 100, 5)
    for now in (104.0, 105.0, 106.0, 107.0):  # the queue stands on
        queue.sent_away(now, 0)
    assert queue.stands(107.0)
    assert queue.gap_s(0, 107.0) > 2.0 / 32
