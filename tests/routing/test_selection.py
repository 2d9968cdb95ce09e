"""Selection is a pure function of evidence, policy and constraints."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tame_router.errors import ExpertNotFoundError, InvalidRequestError, NoExpertError
from tame_router.routing.decision import Constraints, Join, Reason
from tame_router.routing.selection import (
    Evidence,
    Selection,
    SelectionPolicy,
    allowed_experts,
    select,
)

NAMES = ("electronics", "general", "legal", "manufacturing", "medical")
POLICY = SelectionPolicy()
SURE = Evidence(probabilities=dict(zip(NAMES, (0.05, 0.1, 0.5, 0.05, 0.3), strict=True)))
UNSURE = Evidence(probabilities=dict(zip(NAMES, (0.3, 0.1, 0.28, 0.02, 0.3), strict=True)))

subsets = st.frozensets(st.sampled_from(NAMES))
rows = st.lists(st.floats(0, 1), min_size=5, max_size=5).map(
    lambda values: dict(zip(NAMES, values, strict=True))
)
evidences = st.builds(
    Evidence,
    probabilities=rows,
    relevances=st.just({}) | rows,
    several=st.booleans(),
    least_probability=st.floats(0, 1),
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


def leave_out(evidence: Evidence, gone: frozenset[str]) -> Evidence:
    """Give the evidence as it would be without some experts."""

    def kept(values: Mapping[str, float]) -> Mapping[str, float]:
        return {name: value for name, value in values.items() if name not in gone}

    return replace(
        evidence,
        probabilities=kept(evidence.probabilities),
        relevances=kept(evidence.relevances),
    )


def names(selection: Selection) -> list[str]:
    """List the selected experts."""
    return [p.expert for p in selection.experts]


@given(evidences, policies, constraint_values)
def test_laws_of_selection(
    evidence: Evidence, policy: SelectionPolicy, constraints: Constraints
) -> None:
    """It sums to 1, never names who may not answer, leads with the lead, keeps to the bound."""
    try:
        allowed = allowed_experts(NAMES, constraints)
    except (InvalidRequestError, NoExpertError) as error:
        with pytest.raises(type(error)):
            select(evidence, policy, constraints)
        return
    selection = select(evidence, policy, constraints)
    ranked = selection.probabilities
    assert sum(p.probability for p in ranked) == pytest.approx(1)
    assert {p.expert for p in ranked} == allowed
    assert [p.probability for p in ranked] == sorted((p.probability for p in ranked), reverse=True)
    chosen = names(selection)
    assert set(chosen) <= allowed
    assert len(chosen) == len(set(chosen))
    assert 1 <= len(chosen) <= (constraints.max_experts or policy.max_experts)
    if selection.reason in {Reason.BELOW_THRESHOLD, Reason.FALLBACK_PLAUSIBLE}:
        assert chosen == [policy.fallback]
    else:
        assert selection.experts[0] == ranked[0]
    assert len(chosen) == 1 or evidence.several
    assert policy.fallback not in chosen or len(chosen) == 1
    assert selection.conformal_set == tuple(
        p.expert for p in ranked if p.probability >= evidence.least_probability
    )
    turned = replace(
        evidence, probabilities=dict(sorted(evidence.probabilities.items(), reverse=True))
    )
    assert select(turned, policy, constraints) == selection


@given(evidences, constraint_values)
def test_who_may_not_answer_leaves_no_trace(evidence: Evidence, constraints: Constraints) -> None:
    """A denied expert changes nothing that an absent one would not change."""
    without = leave_out(evidence, constraints.deny)
    try:
        denied = select(evidence, POLICY, constraints)
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


RELEVANT = replace(
    SURE,
    several=True,
    relevances={"general": 0.9, "legal": 0.8, "medical": 0.3, "electronics": 0.6},
)


def test_a_second_expert_is_selected_where_relevant_enough() -> None:
    """With room for more, the most relevant experts join the lead, never the fallback."""
    assert names(select(RELEVANT, POLICY, Constraints())) == ["legal", "electronics"]
    wide = select(RELEVANT, POLICY, Constraints(max_experts=5))
    assert names(wide) == ["legal", "electronics", "medical"]
    assert [p.relevance for p in wide.experts] == [0.8, 0.6, 0.3]
    assert names(select(RELEVANT, POLICY, Constraints(max_experts=1))) == ["legal"]
    strict = SelectionPolicy(second_threshold=0.5, max_experts=5)
    assert names(select(RELEVANT, strict, Constraints())) == ["legal", "electronics"]


def test_a_question_for_one_expert_has_one() -> None:
    """However relevant others look, they join only where the question may need several."""
    alone = replace(RELEVANT, several=False)
    assert names(select(alone, POLICY, Constraints(max_experts=3))) == ["legal"]


def test_an_expert_of_unknown_relevance_joins_nobody() -> None:
    """Without relevances there is no reason for a second expert."""
    unknown = replace(SURE, several=True)
    assert names(select(unknown, POLICY, Constraints(max_experts=3))) == ["legal"]


def test_nobody_joins_the_fallback() -> None:
    """A fallback that leads answers alone."""
    general = replace(RELEVANT, probabilities={**SURE.probabilities, "general": 2.0})
    assert names(select(general, POLICY, Constraints(max_experts=3))) == ["general"]


def test_a_fallback_that_cannot_be_ruled_out_answers() -> None:
    """A fallback in the conformal set, and likelier than by chance, answers; the reason says so."""
    near = Evidence(probabilities=dict(zip(NAMES, (0.05, 0.3, 0.5, 0.05, 0.1), strict=True)))
    plausible = select(replace(near, least_probability=0.3), POLICY, Constraints())
    assert (names(plausible), plausible.reason) == (["general"], Reason.FALLBACK_PLAUSIBLE)
    assert plausible.conformal_set == ("legal", "general")
    ruled_out = select(replace(near, least_probability=0.31), POLICY, Constraints())
    assert ruled_out.reason is Reason.MOST_PROBABLE
    assert ruled_out.conformal_set == ("legal",)
    everyone = select(replace(SURE, least_probability=0.0), POLICY, Constraints())
    assert len(everyone.conformal_set) == len(NAMES)
    assert everyone.reason is Reason.MOST_PROBABLE  # 0.1 is less than one in five


def test_experts_that_are_not_selected_do_not_help_over_the_threshold() -> None:
    """With one place, an expert alone below the threshold does not answer."""
    split = replace(
        Evidence(probabilities=dict(zip(NAMES, (0.0, 0.2, 0.42, 0.0, 0.38), strict=True))),
        several=True,
        relevances=dict.fromkeys(NAMES, 0.5),
    )
    assert names(select(split, POLICY, Constraints(max_experts=2))) == ["legal", "medical"]
    alone = select(split, POLICY, Constraints(max_experts=1))
    assert (names(alone), alone.reason) == (["general"], Reason.BELOW_THRESHOLD)


def test_a_denied_fallback_is_not_plausible() -> None:
    """Where the fallback may not answer, the conformal set does not name it."""
    constraints = Constraints(deny=frozenset({"general"}))
    denied = select(replace(RELEVANT, least_probability=0.01), POLICY, constraints)
    assert denied.reason is Reason.MOST_PROBABLE
    assert "general" not in denied.conformal_set


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
    selection = select(Evidence(probabilities=dict.fromkeys(NAMES, 0.0)), POLICY, Constraints())
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
