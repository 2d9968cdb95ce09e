"""What Redis is still to be told."""

import pytest

from tame_router.quota.limit import LIMITS
from tame_router.quota.outbox import LEASE_MS, Outbox, key

REQUESTS = LIMITS["requests_per_minute"]
DAY = LIMITS["tokens_per_day"]


def test_changes_are_put_together_by_tenant() -> None:
    """One command a tenant; what cancels out is not told, and taken out is taken out."""
    outbox = Outbox()
    assert not outbox
    outbox.count("aa", REQUESTS, 7, 1)
    outbox.count("aa", REQUESTS, 7, 1)
    outbox.count("aa", DAY, 3, 5)
    outbox.count("aa", DAY, 3, -5)
    outbox.lease("x1", "aa", held=True)
    outbox.lease("x2", "aa", held=False)
    outbox.count("bb", DAY, 3, -2)
    first, second = outbox.take().commands()
    assert not outbox
    assert first.keys == (key("aa", "streams"), key("aa", "requests_per_minute"))
    assert first.args == (1, LEASE_MS, 1, "x1", "x2", 1, 60, 7, 2)
    assert second.keys == (key("bb", "streams"), key("bb", "tokens_per_day"))
    assert second.args == (0, LEASE_MS, 0, 900, 96, 3, -2)


def test_what_is_in_doubt_errs_towards_less() -> None:
    """What counts is told again, what gives back is not; a later word on a lease stands."""
    outbox = Outbox()
    outbox.count("aa", DAY, 3, 5)
    outbox.count("bb", DAY, 3, -5)
    outbox.lease("x1", "aa", held=True)
    taken = outbox.take()
    outbox.lease("x1", "aa", held=False)
    outbox.put_back(taken)
    (command,) = outbox.commands()
    assert command.args == (0, LEASE_MS, 1, "x1", 900, 96, 3, 5)


def test_a_long_outage_does_not_gather_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where much has gathered, what is too old to count is dropped; where little, nothing is."""
    outbox = Outbox()
    for step in range(100, 200):
        outbox.count("aa", REQUESTS, step, 1)
    outbox.prune(200.0)
    assert len(outbox.commands()[0].keys) == 101
    monkeypatch.setattr("tame_router.quota.outbox.MOST_CHANGES", 50)
    outbox.prune(200.0)
    assert len(outbox.commands()[0].keys) == 1 + 60


def test_counts_stand_in_place_of_all_changes() -> None:
    """A Redis that lost everything is told everything."""
    outbox = Outbox()
    outbox.count("aa", DAY, 3, 5)
    outbox.replace([("bb", "tokens_per_day", 4, 9), ("bb", "tokens_per_day", 5, 0)])
    (command,) = outbox.commands()
    assert command.args == (0, LEASE_MS, 0, 900, 96, 4, 9)
