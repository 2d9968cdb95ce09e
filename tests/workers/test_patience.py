"""A worker that keeps ending is started ever less often, and not given up."""

from tame_router.workers.patience import FIRST_S, LONGEST_S, SETTLED_S, Patience


def test_the_wait_doubles_up_to_its_longest() -> None:
    """Each worker that ends early makes the next one wait twice as long, up to a limit."""
    patience = Patience()
    waits = []
    for _ in range(10):
        patience = patience.ended(1.0)
        waits.append(patience.wait_s)
    assert waits[:3] == [FIRST_S * 2, FIRST_S * 4, FIRST_S * 8]
    assert waits[-1] == LONGEST_S


def test_one_that_worked_is_replaced_at_once() -> None:
    """A worker that had settled starts the count anew."""
    assert Patience(LONGEST_S).ended(SETTLED_S).wait_s == FIRST_S
