"""Who has its share of the places."""

from tame_router.backends.queueing.shares import Shares


def test_places_are_shared_among_those_who_have_any() -> None:
    """One tenant alone has its share with all places, one of two with half of them."""
    shares = Shares({})
    for _ in range(8):
        shares.take("a")
    assert not shares.used_up("a", waiting=3, limit=12)
    assert shares.used_up("a", waiting=4, limit=12)
    assert not shares.used_up("b", waiting=5, limit=12)
    shares.take("b")
    assert shares.used_up("a", waiting=0, limit=12)
    assert not shares.used_up("b", waiting=4, limit=12)
    assert shares.used_up("b", waiting=5, limit=12)


def test_shares_follow_weights_and_are_given_back() -> None:
    """Three times the weight is three times the places; who has none shares nothing."""
    shares = Shares({"a": 3.0})
    shares.take("a")
    shares.take("b")
    assert not shares.used_up("a", waiting=7, limit=12)
    assert shares.used_up("a", waiting=8, limit=12)
    assert shares.used_up("b", waiting=2, limit=12)
    shares.give_back("a")
    assert not shares.used_up("b", waiting=10, limit=12)
    shares.give_back("b")
    assert not shares.used_up("b", waiting=11, limit=12)
    assert shares.used_up("b", waiting=12, limit=12)
