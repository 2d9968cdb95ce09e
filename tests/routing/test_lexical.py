"""The fast classifier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.decision import Stage
from tame_router.routing.lexical import LONGEST_TEXT_CHARS, LexicalClassifier

QUESTIONS = {
    "麵包發酵": "baking",
    "How do I bake a sponge cake in this oven?": "baking",
    "腳踏車的鏈條": "cycling",
    "the derailleur of my bicycle": "cycling",
    "講個笑話": "general",
    "what is the weather": "general",
}


def test_questions_go_to_their_expert(classifier: LexicalClassifier) -> None:
    """Questions worded otherwise than the lines are told apart in both languages."""
    found = classifier.classify(list(QUESTIONS))
    names = [classifier.labels[i] for i in found.probabilities.argmax(axis=1)]
    assert names == list(QUESTIONS.values())
    assert found.stages == (Stage.FAST,) * len(QUESTIONS)


def test_spelling_changes_nothing(classifier: LexicalClassifier) -> None:
    """Case, width and invisible characters give the same probabilities."""
    one, other = classifier.classify(["bike 鏈條", "ＢＩＫＥ\u200b　鏈條 "]).probabilities
    assert (one == other).all()


def test_no_text_gives_no_row(classifier: LexicalClassifier) -> None:
    """An empty batch has a shape of its own."""
    found = classifier.classify([])
    assert found.probabilities.shape == (0, 3)
    assert found.stages == ()


@given(st.text())
def test_any_text_has_probabilities(classifier: LexicalClassifier, text: str) -> None:
    """Any text, however odd, gives finite probabilities that sum to 1."""
    (row,) = classifier.classify([text]).probabilities
    assert row.dtype == np.float32
    assert np.isfinite(row).all()
    assert row.sum() == pytest.approx(1, abs=1e-5)


def test_unknown_words_leave_doubt(classifier: LexicalClassifier) -> None:
    """The more of a text was never seen, the less certain the classifier is."""
    known, diluted = classifier.classify(
        ["bicycle chain", "bicycle chain zyqqux wvkkrol jjpxx qqwwzzk vvkkjjq"]
    ).probabilities.max(axis=1)
    assert diluted < known


def test_only_head_and_tail_of_a_long_text_are_read(classifier: LexicalClassifier) -> None:
    """What stands in the middle of a very long text does not count."""
    half = "麵包 " * LONGEST_TEXT_CHARS
    one, other = classifier.classify([half + half, half + "腳踏車" + half]).probabilities
    assert one == pytest.approx(other, abs=1e-6)


def test_features_explain_the_logits(classifier: LexicalClassifier) -> None:
    """The heaviest feature for a label is a word of it, and none lies within another."""
    found = classifier.explain("我的腳踏車 chain 壞了", "cycling", 4)
    assert len(found) == 4
    assert found[0].weight > 0
    assert {"chain", "車"} <= {f.text for f in found}
    weights = [abs(f.weight) for f in found]
    assert weights == sorted(weights, reverse=True)
    for one in found:
        assert not any(one is not other and f" {one.text} " in f" {other.text} " for other in found)


def test_what_speaks_for_one_label_speaks_against_others(classifier: LexicalClassifier) -> None:
    """The same word is positive for its own expert and negative for another."""
    (mine,) = classifier.explain("chain", "cycling", 1)
    others = [f for f in classifier.explain("chain", "baking", 9) if f.text == mine.text]
    assert all(f.weight < 0 for f in others)


def test_nothing_known_explains_nothing(classifier: LexicalClassifier) -> None:
    """A text without a known feature has no explanation."""
    assert classifier.explain("???", "baking", 5) == ()
