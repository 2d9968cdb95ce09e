"""The life of a revision: every pair of state and event leads somewhere known, or is refused."""

import itertools

import pytest

from tame_router.errors_registry import InvalidTransitionError
from tame_router.registry.state import JUDGED, TRANSITIONS, Event, State, next_state

ALLOWED = {
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
    (State.ACTIVE, Event.PUBLISH): State.ACTIVE,
    (State.ACTIVE, Event.PROVE): State.ACTIVE,
    (State.ACTIVE, Event.REPLACED): State.RETIRED,
    (State.RETIRED, Event.EVALUATE): State.EVALUATING,
    (State.RETIRED, Event.PUBLISH): State.PUBLISHING,
    (State.RETIRED, Event.RETIRE): State.RETIRED,
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_is_known_or_refused(state: State, event: Event) -> None:
    """What may happen leads to its state; all else is refused with the pair and what may."""
    if (state, event) in ALLOWED:
        assert next_state(state, event) is ALLOWED[state, event]
        return
    with pytest.raises(InvalidTransitionError, match=event.value) as caught:
        next_state(state, event)
    assert caught.value.metadata == {"state": state.value, "event": event.value}


def test_nobody_answers_who_was_not_approved() -> None:
    """The only way to ACTIVE leads through APPROVED, and through replicas that were prepared.

    But for what has answered before and is judged again, for which the history is asked.
    """
    into = {state: {at for (at, _), to in TRANSITIONS.items() if to is state} for state in State}
    assert into[State.ACTIVE] == {State.PUBLISHING, State.ACTIVE, *JUDGED}
    assert {event for (at, event), to in TRANSITIONS.items() if to is State.ACTIVE} == {
        Event.PREPARED,
        Event.PROVE,
        Event.PUBLISH,
        Event.RESTORED,
    }
    assert into[State.PUBLISHING] == {State.APPROVED, State.RETIRED}
    assert into[State.APPROVED] == {State.EVALUATING, State.PUBLISHING}
    assert into[State.RETIRED] == {
        State.APPROVED,
        State.PUBLISHING,
        State.ACTIVE,
        State.RETIRED,
    }
