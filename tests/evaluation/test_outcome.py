"""What the router made of a question."""

from tame_router.evaluation.outcome import decide, examine, outcome_of
from tame_router.evaluation.question import Kind, Question
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy
from tests.evaluation.trials import trial

TEXT = "How often should I oil my bicycle chain?"


def test_an_outcome_is_the_decision_that_was_made(classifier: LexicalClassifier) -> None:
    """Every question is decided, in order; what is measured is taken over as it is."""
    router = Router(classifier, SelectionPolicy())
    questions = [
        Question(text=text, kind=Kind.SINGLE, domains=("general",)) for text in (TEXT, "你好嗎")
    ]
    trials = examine(router, questions)
    assert [t.question for t in trials] == questions
    decision = decide(router, TEXT)
    outcome = trials[0].outcome
    assert (outcome.lead, outcome.probabilities) == (decision.lead, decision.probabilities)
    assert outcome.experts == (decision.lead,)
    assert outcome.confidence == decision.probabilities[0].probability
    assert outcome_of(decision).elapsed_us == decision.elapsed_us


def test_a_question_of_several_experts_wants_them_all() -> None:
    """One of them may lead it and it is still not right."""
    probabilities = {"legal": 0.6, "medical": 0.4}
    one = trial("legal medical", probabilities, kind=Kind.MULTI)
    both = trial("legal medical", probabilities, experts=("legal", "medical"), kind=Kind.MULTI)
    assert (one.lead_right, one.right) == (True, False)
    assert (both.lead_right, both.right) == (True, True)


def test_a_question_of_one_expert_wants_it_to_lead() -> None:
    """To be selected beside the lead is not enough."""
    beside = trial("medical", {"legal": 0.6, "medical": 0.4}, experts=("legal", "medical"))
    assert (beside.lead_right, beside.right) == (False, False)
