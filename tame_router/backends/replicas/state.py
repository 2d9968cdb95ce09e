"""The states of a replica, and what leads from one to the next. Values only."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class ReplicaState(enum.StrEnum):
    """Whether a replica gets answers to write."""

    STARTING = "starting"
    """It has not shown yet that it is well and serves the right base model."""
    READY = "ready"
    """It gets answers."""
    DRAINING = "draining"
    """It gets no new ones; those under way go on. For good."""
    EJECTED = "ejected"
    """It failed, and gets none until a probe has passed."""


class ReplicaEvent(enum.StrEnum):
    """What happens to a replica."""

    PASSED = "passed"
    """It is well, serves the right base model, and wrote a token where that was asked of it."""
    FAILED = "failed"
    """A check found that it is not well, or is another server than it should be."""
    TRIPPED = "tripped"
    """Too many answers failed on it: its breaker is open."""
    DRAIN = "drain"
    """The operator takes it out."""


_NEXT: Final[Mapping[tuple[ReplicaState, ReplicaEvent], ReplicaState]] = MappingProxyType(
    {
        (ReplicaState.STARTING, ReplicaEvent.PASSED): ReplicaState.READY,
        (ReplicaState.STARTING, ReplicaEvent.FAILED): ReplicaState.STARTING,
        (ReplicaState.STARTING, ReplicaEvent.TRIPPED): ReplicaState.EJECTED,
        (ReplicaState.STARTING, ReplicaEvent.DRAIN): ReplicaState.DRAINING,
        (ReplicaState.READY, ReplicaEvent.PASSED): ReplicaState.READY,
        (ReplicaState.READY, ReplicaEvent.FAILED): ReplicaState.EJECTED,
        (ReplicaState.READY, ReplicaEvent.TRIPPED): ReplicaState.EJECTED,
        (ReplicaState.READY, ReplicaEvent.DRAIN): ReplicaState.DRAINING,
        (ReplicaState.EJECTED, ReplicaEvent.PASSED): ReplicaState.READY,
        (ReplicaState.EJECTED, ReplicaEvent.FAILED): ReplicaState.EJECTED,
        (ReplicaState.EJECTED, ReplicaEvent.TRIPPED): ReplicaState.EJECTED,
        (ReplicaState.EJECTED, ReplicaEvent.DRAIN): ReplicaState.DRAINING,
        (ReplicaState.DRAINING, ReplicaEvent.PASSED): ReplicaState.DRAINING,
        (ReplicaState.DRAINING, ReplicaEvent.FAILED): ReplicaState.DRAINING,
        (ReplicaState.DRAINING, ReplicaEvent.TRIPPED): ReplicaState.DRAINING,
        (ReplicaState.DRAINING, ReplicaEvent.DRAIN): ReplicaState.DRAINING,
    }
)


def next_state(state: ReplicaState, event: ReplicaEvent) -> ReplicaState:
    """Give the state that an event leads to; there is one for every pair."""
    return _NEXT[state, event]
