"""How tokens and time are shared among the steps of an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering.event import Part
from tame_router.answering.plan import make_plan, of_step, share_tokens
from tame_router.answering.writing import fusion_step
from tame_router.config import JoinSettings
from tame_router.errors import InvalidRequestError
from tame_router.routing.decision import Join
from tests.answering.join_scripts import QUESTION, expert, plan

SEVERAL = [join for join in Join if join is not Join.SINGLE]


@given(st.sampled_from(SEVERAL), st.integers(2, 6), st.integers(1, 10_000))
def test_all_steps_together_write_no_more_than_was_named(
    join: Join, experts: int, max_tokens: int
) -> None:
    """Shares sum to the caller's number and none is 0; too small a number is refused."""
    least = {Join.SECOND_OPINION: experts + 1, Join.FUSE: 2 * experts}.get(join, experts)
    if max_tokens < least:
        with pytest.raises(InvalidRequestError, match=f"send {least} or more") as caught:
            share_tokens(join, experts, max_tokens)
        assert caught.value.field == "sampling.max_tokens"
        return
    shares, joined = share_tokens(join, experts, max_tokens)
    given_out = [share for share in (*shares, joined) if share is not None]
    assert sum(given_out) == max_tokens
    assert min(given_out) >= 1
    assert (joined is not None) == (join in {Join.SECOND_OPINION, Join.FUSE})


def test_without_a_number_each_writes_what_it_writes() -> None:
    """What the caller leaves open stays the experts'."""
    assert share_tokens(Join.FUSE, 3, None) == ([None, None, None], None)


@pytest.mark.parametrize(
    ("join", "parts", "times", "writer"),
    [
        (Join.PANEL, [Part.LEAD, Part.EXPERT], [9.0, 9.5], 9.5),
        (Join.SECOND_OPINION, [Part.LEAD, Part.DRAFT], [9.0, 6.0], 9.5),
        (Join.FUSE, [Part.DRAFT, Part.DRAFT], [5.0, 5.0], 9.5),
        (Join.VOTE, [Part.DRAFT, Part.DRAFT], [9.5, 9.5], 9.5),
        (Join.BEST_OF, [Part.DRAFT, Part.DRAFT], [8.0, 8.0], 9.5),
    ],
)
def test_time_is_shared(join: Join, parts: list[Part], times: list[float], writer: float) -> None:
    """Side by side the same time, the rest for what is written from it, some of it kept back."""
    experts = [(expert("e0"), 0.6), (expert("e1"), 0.3)]
    found = make_plan(join, experts, expert("writer"), QUESTION, JoinSettings(), left_s=10.0)
    assert [step.planned.part for step in found.steps] == parts
    assert [step.planned.time_s for step in found.steps] == pytest.approx(times)
    assert found.writer.planned.time_s == pytest.approx(writer)
    assert {step.begin_within_s for step in found.steps} == {4.0}
    assert {step.first_token_timeout_s for step in found.steps} == {30.0}
    asked = of_step(QUESTION, found.steps[0], 0, begun=100.0, stall_timeout_s=7.0)
    assert asked.begin_by == 104.0


@pytest.mark.parametrize(("experts", "quorum"), [(2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_quorum_is_more_than_half(experts: int, quorum: int) -> None:
    """By default; a share is rounded up."""
    assert plan(Join.FUSE, [0.1] * experts).quorum == quorum


def test_a_step_is_asked_within_its_limits() -> None:
    """Tokens, deadline and name are its own."""
    work = plan(Join.PANEL)
    lead, other = (
        of_step(QUESTION, step, n, begun=100.0, stall_timeout_s=7.0)
        for n, step in enumerate(work.steps)
    )
    assert (lead.answer_id, other.answer_id) == ("id-12345", "id-12345-1")
    assert lead.deadline is None
    assert (lead.first_token_timeout_s, lead.stall_timeout_s) == (30.0, 7.0)


def test_what_is_written_from_words_goes_before_what_has_not_begun() -> None:
    """Experts have written for it already: a backend's queue is to let it pass."""
    work = plan(Join.FUSE)
    draft = of_step(QUESTION, work.steps[0], 0, begun=100.0, stall_timeout_s=7.0)
    writer = fusion_step(work.writer, QUESTION.messages, [("", "x")], "en")
    joined = of_step(QUESTION, writer, 2, begun=100.0, stall_timeout_s=7.0)
    assert (draft.begun, joined.begun) == (False, True)
