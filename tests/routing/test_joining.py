"""Which join, and how many experts: a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.errors import InvalidRequestError
from tame_router.routing.decision import Constraints, Join, JoinReason
from tame_router.routing.joining import JoinRules, choose_join, experts_asked
from tame_router.routing.selection import Evidence, Selection, SelectionPolicy, select
from tests.routing.test_selection import NAMES, evidences

PANEL = SelectionPolicy(join=Join.PANEL)
TWO = Evidence(
    probabilities={"general": 0.02, "legal": 0.6, "medical": 0.3, "electronics": 0.08},
    relevances={"general": 0.0, "legal": 0.9, "medical": 0.8, "electronics": 0.001},
    several=True,
)
ONE = Evidence(probabilities=TWO.probabilities)
WEAK = Evidence(
    probabilities=TWO.probabilities, relevances={"legal": 0.9, "medical": 0.49}, several=True
)
MORE = Evidence(
    probabilities=TWO.probabilities,
    relevances={"legal": 0.9, "medical": 0.8, "electronics": 0.3},
    several=True,
)
THREE = Constraints(join=Join.BEST_OF, max_experts=3)
FOUR = Constraints(join=Join.PANEL, max_experts=4)
SHAPED, LISTED = JoinRules(shaped=True), JoinRules(listed=True)
NO_PANEL = JoinRules(allowed=frozenset({"single", "fuse"}))


@pytest.mark.parametrize(
    ("evidence", "constraints", "rules", "experts", "join", "reason"),
    [
        (ONE, Constraints(), JoinRules(), 1, Join.SINGLE, JoinReason.ONE_EXPERT),
        (TWO, Constraints(), JoinRules(), 2, Join.PANEL, JoinReason.SEVERAL_EXPERTS),
        (WEAK, Constraints(), JoinRules(), 2, Join.SINGLE, JoinReason.UNSURE),
        (MORE, Constraints(max_experts=3), JoinRules(), 2, Join.PANEL, JoinReason.SEVERAL_EXPERTS),
        (TWO, Constraints(max_experts=1), JoinRules(), 1, Join.SINGLE, JoinReason.ONE_EXPERT),
        (TWO, Constraints(), SHAPED, 2, Join.SINGLE, JoinReason.SHAPE),
        (TWO, Constraints(), LISTED, 2, Join.SINGLE, JoinReason.SHAPE),
        (TWO, Constraints(), NO_PANEL, 2, Join.SINGLE, JoinReason.NOT_ALLOWED),
        (TWO, Constraints(join=Join.SINGLE), JoinRules(), 2, Join.SINGLE, JoinReason.ASKED),
        (ONE, Constraints(join=Join.FUSE), JoinRules(), 2, Join.FUSE, JoinReason.ASKED),
        (ONE, Constraints(join=Join.VOTE), SHAPED, 2, Join.VOTE, JoinReason.ASKED),
        (ONE, THREE, SHAPED, 3, Join.BEST_OF, JoinReason.ASKED),
        (ONE, FOUR, JoinRules(), 4, Join.PANEL, JoinReason.ASKED),
        (ONE, Constraints(pin="legal"), JoinRules(), 1, Join.SINGLE, JoinReason.ONE_EXPERT),
    ],
)  # fmt: skip
def test_the_policy(
    evidence: Evidence,
    constraints: Constraints,
    rules: JoinRules,
    experts: int,
    join: Join,
    reason: JoinReason,
) -> None:
    """More than one expert only where the probabilities say so, or the caller asks."""
    selection = select(evidence, PANEL, constraints, rules)
    assert len(selection.experts) == experts
    assert (selection.join, selection.join_reason) == (join, reason)


def test_the_next_most_probable_are_taken_too() -> None:
    """Relevant ones first, then by probability, and the fallback only in the last place."""
    asked = Constraints(join=Join.PANEL, max_experts=4)
    assert names(select(ONE, PANEL, asked)) == ["legal", "medical", "electronics", "general"]
    unsure = Evidence(probabilities={"general": 0.3, "legal": 0.35, "medical": 0.35})
    assert names(select(unsure, PANEL, asked_two())) == ["general", "legal"]


def asked_two() -> Constraints:
    """Ask for a panel without a number."""
    return Constraints(join=Join.PANEL)


def names(selection: Selection) -> list[str]:
    """List the selected experts."""
    return [p.expert for p in selection.experts]


@pytest.mark.parametrize(
    ("constraints", "available", "rules", "field", "words"),
    [
        (Constraints(join=Join.PANEL, pin="legal"), 1, JoinRules(), "join", "one is pinned"),
        (Constraints(join=Join.VOTE), 1, JoinRules(), "join", "one may answer"),
        (Constraints(join=Join.FUSE, max_experts=1), 4, JoinRules(), "max_experts", "2 to 4"),
        (Constraints(join=Join.FUSE, max_experts=5), 9, JoinRules(), "max_experts", "2 to 4"),
        (Constraints(join=Join.FUSE, max_experts=4), 3, JoinRules(), "max_experts", "2 to 3"),
        (Constraints(join=Join.PANEL), 4, SHAPED, "join", "only by single, vote, best_of;"),
        (Constraints(join=Join.SECOND_OPINION), 4, SHAPED, "join", "tools, or a form"),
        (Constraints(join=Join.VOTE), 4, LISTED, "join", "only by single;"),
    ],
)
def test_what_cannot_be_had_is_refused(
    constraints: Constraints, available: int, rules: JoinRules, field: str, words: str
) -> None:
    """By the field's name and with what can be had, never silently changed."""
    with pytest.raises(InvalidRequestError, match=words) as caught:
        experts_asked(constraints, available, default=2, most=4, rules=rules)
    assert caught.value.field == f"constraints.{field}"


@pytest.mark.parametrize("join", [None, Join.SINGLE])
def test_without_a_join_of_several_nobody_is_added(join: Join | None) -> None:
    """`max_experts` alone is a bound, as ever."""
    asked = Constraints(join=join, max_experts=99)
    assert experts_asked(asked, 2, default=2, most=4, rules=JoinRules()) == 0


@pytest.mark.parametrize("policy", list(Join))
def test_the_operators_join_is_never_refused(policy: Join) -> None:
    """Where it cannot be had the lead answers alone, and the decision says why."""
    join, reason = choose_join(2, 2, Constraints(), policy, SHAPED)
    assert (join is policy) == SHAPED.fits(policy)
    assert join is policy or (join, reason) == (Join.SINGLE, JoinReason.SHAPE)


@given(
    evidences,
    st.sampled_from([join for join in Join if join is not Join.SINGLE]),
    st.sampled_from([0, 2, 3, 4]),
    st.frozensets(st.sampled_from(NAMES), max_size=3),
)
def test_asking_for_several_adds_to_those_selected(
    evidence: Evidence, join: Join, experts: int, deny: frozenset[str]
) -> None:
    """The lead stays, so many are asked, nobody twice, and nobody who may not answer."""
    asked = Constraints(join=join, max_experts=experts, deny=deny)
    available = len(NAMES) - len(deny)
    if experts > available:
        with pytest.raises(InvalidRequestError):
            select(evidence, PANEL, asked)
        return
    found = names(select(evidence, PANEL, asked))
    alone = names(select(evidence, PANEL, Constraints(deny=deny, max_experts=experts)))
    assert found[0] == alone[0]
    assert len(found) == len(set(found)) == (experts or 2)
    assert not set(found) & deny
