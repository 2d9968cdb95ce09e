"""The states of a replica: the table is whole, and draining is for good."""

import itertools

import pytest

from tame_router.backends.replicas.state import ReplicaEvent, ReplicaState, next_state


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ReplicaState, ReplicaEvent)))
def test_every_event_leads_somewhere(state: ReplicaState, event: ReplicaEvent) -> None:
    """Every pair leads to a known state; only passing makes ready, and draining never ends."""
    after = next_state(state, event)
    assert after in ReplicaState
    if state is ReplicaState.DRAINING or event is ReplicaEvent.DRAIN:
        assert after is ReplicaState.DRAINING
    elif event is ReplicaEvent.PASSED:
        assert after is ReplicaState.READY
    else:
        assert after is not ReplicaState.READY
