"""A revision's life as one table: where it stands, what can happen to it, where it stands then.

```
VALIDATING → EVALUATING → APPROVED → PUBLISHING → ACTIVE → RETIRED → PUBLISHING or EVALUATING
     └────────────┴───────────┴→ REJECTED → VALIDATING (asked for again)
     └────────────┴→ ACTIVE (gone back to while it is judged again)
```
Pure: nothing here reads a clock, a store or a socket.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tame_router.errors_registry import InvalidTransitionError


class State(enum.StrEnum):
    """Where a revision stands."""

    VALIDATING = "validating"
    """Its files are received, and are being checked."""
    EVALUATING = "evaluating"
    """It answers its evaluation set beside the live revision."""
    APPROVED = "approved"
    """It may be published."""
    PUBLISHING = "publishing"
    """Replicas are made ready for it."""
    ACTIVE = "active"
    """It answers callers: all of them, or the share of a canary; or copies, as a shadow."""
    REJECTED = "rejected"
    """It was refused; where the rules have changed since, somebody may ask again."""
    RETIRED = "retired"
    """It has answered, or was withdrawn, and answers no more."""


JUDGED: Final = frozenset({State.VALIDATING, State.EVALUATING})
"""Where it is not known yet whether a revision may be published."""


class Event(enum.StrEnum):
    """What can happen to a revision."""

    VALIDATED = "validated"
    """Files and signature are in order."""
    PASSED = "passed"
    """The gate let it through."""
    FAILED = "failed"
    """Validation, signature or gate refused it."""
    EVALUATE = "evaluate"
    """Somebody wants it evaluated again."""
    PUBLISH = "publish"
    """Somebody wants it to answer."""
    PREPARED = "prepared"
    """Enough replicas answered under its name, and the label moved to it."""
    ABORTED = "aborted"
    """A replica refused it; the label stayed."""
    RETURNED = "returned"
    """Likewise, where it had answered before: it is retired, as it was."""
    REPLACED = "replaced"
    """Another revision took its place, or its canary ended."""
    RETIRE = "retire"
    """Somebody withdrew it."""
    RESTORED = "restored"
    """The label went back to it while it was judged again: it has answered before."""
    PROVE = "prove"
    """As a shadow it was found good."""


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.VALIDATING, Event.VALIDATED): State.EVALUATING,
        (State.VALIDATING, Event.FAILED): State.REJECTED,
        (State.VALIDATING, Event.RESTORED): State.ACTIVE,
        (State.EVALUATING, Event.PASSED): State.APPROVED,
        (State.EVALUATING, Event.FAILED): State.REJECTED,
        (State.EVALUATING, Event.RESTORED): State.ACTIVE,
        (State.APPROVED, Event.FAILED): State.REJECTED,
        (State.APPROVED, Event.EVALUATE): State.EVALUATING,
        (State.REJECTED, Event.EVALUATE): State.VALIDATING,
        (State.APPROVED, Event.PUBLISH): State.PUBLISHING,
        (State.APPROVED, Event.RETIRE): State.RETIRED,
        (State.PUBLISHING, Event.PREPARED): State.ACTIVE,
        (State.PUBLISHING, Event.ABORTED): State.APPROVED,
        (State.PUBLISHING, Event.RETURNED): State.RETIRED,
        # A canary that becomes live for all is published again.
        (State.ACTIVE, Event.PUBLISH): State.ACTIVE,
        (State.ACTIVE, Event.PROVE): State.ACTIVE,
        (State.ACTIVE, Event.REPLACED): State.RETIRED,
        (State.RETIRED, Event.EVALUATE): State.EVALUATING,
        (State.RETIRED, Event.PUBLISH): State.PUBLISHING,
        (State.RETIRED, Event.RETIRE): State.RETIRED,
    }
)
"""All that may happen; every other pair is refused."""


def next_state(state: State, event: Event) -> State:
    """Tell where a revision stands after an event.

    Raises:
        InvalidTransitionError: When that event cannot happen to a revision that stands there.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        possible = sorted(str(known) for at, known in TRANSITIONS if at is state)
        raise InvalidTransitionError(
            f"a revision that is {state} cannot be met by {str(event)!r}; what can happen to it:"
            f" {', '.join(possible) or 'nothing, it stays so'}",
            metadata={"state": str(state), "event": str(event)},
        ) from None
