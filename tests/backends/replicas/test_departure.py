"""How a replica leaves."""

from tame_router.backends.replicas.departure import Departure


def test_it_leaves_when_nothing_is_under_way() -> None:
    """Not before it was asked, nor while something runs; at once where nothing does."""
    departure = Departure()
    departure.begin()
    departure.end()
    assert not departure.done.is_set()
    departure.begin()
    with departure.held_off():
        departure.ask()
        departure.end()
        assert departure.asked.is_set()
        assert not departure.done.is_set()
    assert departure.done.is_set()
    idle = Departure()
    idle.ask()
    assert idle.done.is_set()
