"""The worst mistakes."""

from tame_router.evaluation.mistake import explain_mistakes, worst_mistakes
from tame_router.evaluation.question import Kind
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy
from tests.evaluation.trials import sure, trial


def test_the_surest_mistakes_come_first() -> None:
    """Right answers are none; among equals the order does not depend on the file's."""
    trials = [
        sure("legal", "medical", 0.6, "c"),
        sure("legal", "medical", 0.9, "b"),
        sure("legal", "legal", 0.99, "right"),
        sure("legal", "medical", 0.9, "a"),
    ]
    assert [t.question.id for t in worst_mistakes(trials, 5)] == ["a", "b", "c"]
    assert [t.question.id for t in worst_mistakes(trials, 1)] == ["a"]
    assert worst_mistakes(trials, 0) == ()


def test_a_question_of_several_experts_is_no_mistake_when_one_leads() -> None:
    """What is missing there is breadth, not direction."""
    half = trial("legal medical", {"legal": 1.0}, kind=Kind.MULTI)
    assert worst_mistakes([half], 5) == ()


def test_a_mistake_is_told_with_its_features(classifier: LexicalClassifier) -> None:
    """The router says again what it decided, and what weighed on it."""
    router = Router(classifier, SelectionPolicy())
    text = "How often should I oil my bicycle chain?"
    (mistake,) = explain_mistakes(router, [trial("baking", {"cycling": 1.0}, text=text, name="q")])
    assert (mistake.text, mistake.id, mistake.expected) == (text, "q", ("baking",))
    assert mistake.lead == "cycling"
    assert mistake.reason == "MOST_PROBABLE"
    assert any("bicycle" in f.text or "chain" in f.text for f in mistake.features)
