"""How much may be asked twice."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.replicas.retry_budget import RetryBudget


@given(st.lists(st.booleans(), max_size=200), st.sampled_from([0.0, 0.125, 0.5]))
def test_second_tries_are_a_share_of_answers(steps: list[bool], share: float) -> None:
    """Never more are paid than the burst, and the share of the answers so far."""
    budget, paid, answers = RetryBudget(share=share, most=4), 0, 0
    for answer in steps:
        if answer:
            budget.earn()
            answers += 1
        else:
            paid += budget.spend()
        assert paid <= 4 + share * answers
