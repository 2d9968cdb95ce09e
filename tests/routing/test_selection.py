"""Selection is a pure function of probabilities, policy and constraints."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.errors import ExpertNotFoundError, InvalidRequestError, NoExpertError
from tame_router.routing.decision import Constraints, Join, Reason
from tame_router.routing.selection import Selection, SelectionPolicy, allowed_experts, select

NAMES = ("electronics", "general", "legal", "manufacturing", "medical")
POLICY = SelectionPolicy()
SURE: Mapping[str, float] = dict(zip(NAMES, (0.05, 0.1, 0.5, 0.05, 0.3), strict=True))
UNSURE: Mapping[str, float] = dict(zip(NAMES, (0.3, 0.1, 0.28, 0.02, 0.3), strict=True))

subsets = st.frozensets(st.sampled_from(NAMES))
probabilities = st.lists(st.floats(0, 1), min_size=5, max_size=5).map(
    lambda values: dict(zip(NAMES, values, strict=True))
)
policies = st.builds(
    SelectionPolicy,
    threshold=st.floats(0, 1),
    fallback=st.sampled_from((*NAMES, "nobody")),
    max_experts=st.integers(1, 6),
    second_threshold=st.floats(0, 1),
)
constraint_values = st.builds(
    Constraints,
    pin=st.just("") | st.sampled_from(NAMES),
    allow=subsets,
    deny=subsets,
    max_experts=st.integers(0, 6),
)


def names(selection: Selection) -> list[str]:
    """List the selected experts."""
    return [p.expert for p in selection.experts]


@given(probabilities, policies, constraint_values)
def test_laws_of_selection(
    values: Mapping[str, float], policy: SelectionPolicy, constraints: Constraints
) -> None:
    """It sums to 1, never names who may not answer, leads with the lead, keeps to the bound."""
    try:
        allowed = allowed_experts(NAMES, constraints)
    except (InvalidRequestError, NoExpertError) as error:
        with pytest.raises(type(error)):
            select(values, policy, constraints)
        return
    selection = select(values, policy, constraints)
    ranked = selection.probabilities
    assert sum(p.probability for p in ranked) == pytest.approx(1)
    assert {p.expert for p in ranked} == allowed
    assert [p.probability for p in ranked] == sorted((p.probability for p in ranked), reverse=True)
    chosen = names(selection)
    assert set(chosen) <= allowed
    assert len(chosen) == len(set(chosen))
    assert 1 <= len(chosen) <= (constraints.max_experts or policy.max_experts)
    if selection.reason is Reason.BELOW_THRESHOLD:
        assert chosen == [policy.fallback]
    else:
        assert selection.experts[0] == ranked[0]
    assert select(dict(sorted(values.items(), reverse=True)), policy, constraints) == selection


@given(probabilities, constraint_values)
def test_who_may_not_answer_leaves_no_trace(
    values: Mapping[str, float], constraints: Constraints
) -> None:
    """A denied expert changes nothing that an absent one would not change."""
    without = {name: p for name, p in values.items() if name not in constraints.deny}
    try:
        denied = select(values, POLICY, constraints)
    except (InvalidRequestError, NoExpertError):
        return
    absent = select(
        without,
        POLICY,
        Constraints(
            pin=constraints.pin,
            allow=constraints.allow - constraints.deny,
            max_experts=constraints.max_experts,
        ),
    )
    assert denied == absent


def test_the_most_probable_expert_answers() -> None:
    """Above the threshold the lead is the most probable, alone by default."""
    selection = select(SURE, POLICY, Constraints())
    assert (names(selection), selection.reason) == (["legal"], Reason.MOST_PROBABLE)
    assert selection.join is Join.SINGLE


def test_a_second_expert_is_selected_where_probable_enough() -> None:
    """With room for more, experts above the second threshold join the lead, never the fallback."""
    assert names(select(SURE, POLICY, Constraints(max_experts=3))) == ["legal", "medical"]
    both = {"general": 0.3, "legal": 0.4, "medical": 0.3}
    assert names(select(both, POLICY, Constraints(max_experts=3))) == ["legal", "medical"]


def test_the_fallback_answers_below_the_threshold() -> None:
    """Where none is sure enough, the fallback answers alone, however improbable."""
    selection = select(UNSURE, POLICY, Constraints(max_experts=3))
    assert (names(selection), selection.reason) == (["general"], Reason.BELOW_THRESHOLD)
    assert selection.experts[0].probability == pytest.approx(0.1)


def test_without_the_fallback_the_most_probable_answers() -> None:
    """Where the fallback may not answer, the reason says so; a tie goes by name."""
    selection = select(
        UNSURE, SelectionPolicy(threshold=0.5), Constraints(deny=frozenset({"general"}))
    )
    assert (names(selection), selection.reason) == (["electronics"], Reason.FALLBACK_NOT_ALLOWED)


def test_one_allowed_expert_answers() -> None:
    """The only one left is certain, and the reason says why."""
    selection = select(SURE, POLICY, Constraints(allow=frozenset({"medical"})))
    assert (names(selection), selection.reason) == (["medical"], Reason.ONLY_ALLOWED)
    assert selection.probabilities[0].probability == 1


def test_a_pinned_expert_answers() -> None:
    """A pin decides alone, whatever the probabilities and how many are asked for."""
    selection = select(SURE, POLICY, Constraints(pin="electronics", max_experts=3))
    assert (names(selection), selection.reason) == (["electronics"], Reason.PINNED)


def test_no_probability_at_all_is_shared_evenly() -> None:
    """Experts that all have probability zero are equally probable."""
    selection = select(dict.fromkeys(NAMES, 0.0), POLICY, Constraints())
    assert {p.probability for p in selection.probabilities} == {0.2}
    assert selection.reason is Reason.BELOW_THRESHOLD


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(pin="chemistry"),
        Constraints(allow=frozenset({"legal", "chemistry"})),
        Constraints(deny=frozenset({"chemistry"})),
    ],
)
def test_an_unknown_expert_is_named(constraints: Constraints) -> None:
    """A constraint on an expert that does not exist is refused by its name."""
    with pytest.raises(ExpertNotFoundError, match="'chemistry'") as raised:
        allowed_experts(NAMES, constraints)
    assert raised.value.metadata == {"expert": "chemistry"}


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(pin="legal", deny=frozenset({"legal"})),
        Constraints(pin="legal", allow=frozenset({"medical"})),
    ],
)
def test_a_pin_that_may_not_answer_is_refused(constraints: Constraints) -> None:
    """Pinning an expert and ruling it out contradict each other."""
    with pytest.raises(InvalidRequestError) as raised:
        allowed_experts(NAMES, constraints)
    assert raised.value.field == "constraints"


def test_a_negative_number_of_experts_is_refused() -> None:
    """The message quotes the value and says what to send."""
    with pytest.raises(InvalidRequestError, match="-1; send at least 1") as raised:
        allowed_experts(NAMES, Constraints(max_experts=-1))
    assert raised.value.field == "constraints.max_experts"


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(deny=frozenset(NAMES)),
        Constraints(allow=frozenset({"legal"}), deny=frozenset({"legal"})),
    ],
)
def test_constraints_that_leave_nobody_are_refused(constraints: Constraints) -> None:
    """Where nobody may answer, the experts there are are listed."""
    with pytest.raises(NoExpertError, match="electronics, general, legal"):
        allowed_experts(NAMES, constraints)
