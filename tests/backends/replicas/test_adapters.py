"""The ledger of one replica's revisions."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.replicas.adapters import REFUSED_S, ReplicaAdapters
from tame_router.backends.replicas.standing import ABSENT_S

NAMES = ("a--0", "b--1", "c--2")


def test_what_is_wanted_and_not_there_is_missing() -> None:
    """In order, until it was prepared; the base model is never missing."""
    ledger = ReplicaAdapters()
    ledger.wanted = frozenset(NAMES[:2])
    assert ledger.missing(0) == NAMES[:2]
    ledger.prepared(NAMES[0])
    ledger.prepared("")
    assert ledger.missing(0) == (NAMES[1],)
    assert ledger.has("")
    assert not ledger.has(NAMES[2])


def test_a_refused_one_is_left_for_a_while() -> None:
    """It is not asked for with every check, but again before answers would go there."""
    ledger = ReplicaAdapters()
    ledger.wanted = frozenset(NAMES[:1])
    ledger.refused(NAMES[0], 100)
    assert ledger.missing(100) == ledger.missing(100 + REFUSED_S - 0.1) == ()
    assert ledger.missing(100 + REFUSED_S) == NAMES[:1]
    assert REFUSED_S < ABSENT_S


@given(
    st.lists(st.tuples(st.sampled_from(["prepared", "refused", "forget"]), st.sampled_from(NAMES)))
)
def test_the_last_thing_seen_counts(events: list[tuple[str, str]]) -> None:
    """A revision is there when it was prepared since it was refused and since all was forgotten."""
    ledger = ReplicaAdapters()
    known: set[str] = set()
    for now, (event, name) in enumerate(events):
        if event == "prepared":
            ledger.prepared(name)
            known.add(name)
        elif event == "refused":
            ledger.refused(name, now)
            known.discard(name)
        else:
            ledger.forget()
            known.clear()
    assert {name for name in NAMES if ledger.has(name)} == known
