"""The cascade: words first, and the encoder where they are not enough."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.routing.artefact import Artefact
from tame_router.routing.cascade import MEANING, Cascade
from tame_router.routing.decision import Stage
from tame_router.routing.lexical import LexicalClassifier
from tests.fakes.encoder import FakeEncoder

NEVER_TWO, ALWAYS_TWO = 1e6, -1e6
TEXTS = (
    "麵團發酵要多久才夠",
    "腳踏車鏈條多久要上油一次",
    "為什麼",
    "which one is best",
    "How do I set the saddle height of my bike?",
    "zyqqux",
    "蛋糕與單車",
    "",
)


class Stand:
    """A cascade over the small school, and what it is made of.

    Args:
        artefact: Trained with the fake encoder.
        confidence: From which the encoder is not asked.
        joint_threshold: From which a text may need two experts.
    """

    def __init__(
        self, artefact: Artefact, *, confidence: float, joint_threshold: float = NEVER_TWO
    ) -> None:
        assert artefact.dense
        parameters = replace(artefact.parameters, joint_threshold=joint_threshold)
        self.fast = LexicalClassifier(parameters, artefact.digest)
        self.encoder = FakeEncoder()
        self.parameters = replace(artefact.dense, confidence=confidence)
        self.cascade = Cascade(self.fast, self.encoder, self.parameters)


def test_a_sure_classifier_is_believed(dense_artefact: Artefact) -> None:
    """Where words are enough the encoder is never asked, and nothing is changed."""
    stand = Stand(dense_artefact, confidence=0.0)
    found, fast = stand.cascade.classify(TEXTS), stand.fast.classify(TEXTS)
    assert (found.probabilities == fast.probabilities).all()
    assert (found.relevances == fast.relevances).all()
    assert found.stages == (Stage.FAST,) * len(TEXTS)
    assert not found.several.any()
    assert stand.encoder.seen == []


def test_an_unsure_classifier_is_helped(dense_artefact: Artefact) -> None:
    """Where nothing is enough the encoder looks at every text, and can tell several experts."""
    stand = Stand(dense_artefact, confidence=1.0)
    found = stand.cascade.classify(TEXTS)
    assert found.stages == (Stage.ENCODER,) * len(TEXTS)
    assert found.several.all()
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (found.relevances >= 0).all()
    assert (found.relevances <= 1).all()
    assert len(stand.encoder.seen) == len(TEXTS)


@given(st.floats(0, 1))
def test_only_what_is_unsure_is_looked_at_again(
    dense_artefact: Artefact, confidence: float
) -> None:
    """The encoder is asked exactly for texts with no label that is probable enough."""
    stand = Stand(dense_artefact, confidence=confidence)
    top = stand.fast.classify(TEXTS).probabilities.max(axis=1)
    unsure = [text for text, p in zip(TEXTS, top, strict=True) if p < confidence]
    found = stand.cascade.classify(TEXTS)
    assert stand.encoder.seen == unsure
    asked = [t for t, s in zip(TEXTS, found.stages, strict=True) if s is Stage.ENCODER]
    assert asked == unsure


def test_a_text_for_two_experts_is_looked_at_again(dense_artefact: Artefact) -> None:
    """However sure of its lead, a text that may need two is the encoder's."""
    stand = Stand(dense_artefact, confidence=0.0, joint_threshold=ALWAYS_TWO)
    found = stand.cascade.classify(TEXTS)
    assert stand.encoder.seen == list(TEXTS)
    assert found.several.all()


@given(st.lists(st.sampled_from(TEXTS)), st.floats(0, 1), st.sampled_from([NEVER_TWO, 0.0]))
def test_a_glance_gives_nothing_exactly_where_the_encoder_is_needed(
    dense_artefact: Artefact, texts: list[str], confidence: float, joint_threshold: float
) -> None:
    """A glance asks no encoder; what it gives is what classifying gives."""
    stand = Stand(dense_artefact, confidence=confidence, joint_threshold=joint_threshold)
    glance = stand.cascade.glance(texts)
    assert stand.encoder.seen == []
    found = stand.cascade.classify(texts)
    assert (glance is None) is bool(stand.encoder.seen)
    if glance is not None:
        assert (glance.probabilities == found.probabilities).all()
        assert glance.stages == found.stages


def test_evidence_is_added_logit_by_logit(dense_artefact: Artefact) -> None:
    """The probabilities are those of both logits together, the relevances of the encoder's."""
    stand = Stand(dense_artefact, confidence=1.0)
    text = "腳踏車鏈條多久要上油一次"
    dense = stand.parameters
    evidence = FakeEncoder().embed([text])[0] @ dense.weights + dense.bias
    both = stand.fast.logits(text) + evidence
    found = stand.cascade.classify([text])
    wanted = dense.calibration.probabilities(both, "zh-TW")
    assert found.probabilities[0] == pytest.approx(wanted, abs=1e-6)
    assert found.relevances[0] == pytest.approx(dense.calibration.relevances(evidence), abs=1e-6)


def test_no_text_is_no_row(dense_artefact: Artefact) -> None:
    """Nothing asked is nothing found, by either way."""
    stand = Stand(dense_artefact, confidence=1.0)
    assert stand.cascade.classify([]).probabilities.shape == (0, 3)
    glance = stand.cascade.glance([])
    assert glance is not None
    assert glance.stages == ()


def test_an_explanation_names_what_the_encoder_found(dense_artefact: Artefact) -> None:
    """Where it was asked it stands among the features, by its weight above the mean."""
    stand = Stand(dense_artefact, confidence=1.0)
    text = "腳踏車鏈條多久要上油一次"
    features = stand.cascade.explain(text, "cycling", 8)
    weights = [abs(feature.weight) for feature in features]
    assert weights == sorted(weights, reverse=True)
    assert len(features) <= 8
    (meaning,) = (feature for feature in features if feature.text == MEANING)
    assert meaning.weight > 0
    assert any(feature.text != MEANING for feature in features)
    assert len(stand.cascade.explain(text, "cycling", 2)) == 2


def test_a_sure_decision_is_explained_by_words(dense_artefact: Artefact) -> None:
    """Where the encoder is not asked, it is no part of the explanation."""
    stand = Stand(dense_artefact, confidence=0.0)
    text = "腳踏車鏈條多久要上油一次"
    features = stand.cascade.explain(text, "cycling", 8)
    assert features == stand.fast.explain(text, "cycling", 8)
    assert MEANING not in {feature.text for feature in features}
    assert stand.encoder.seen == []


def test_the_encoder_reads_traditional_and_not_all_of_a_book(dense_artefact: Artefact) -> None:
    """Simplified text reaches the encoder converted, and a long one by its head and tail."""
    stand = Stand(dense_artefact, confidence=1.0)
    stand.cascade.classify(["劳动合同要多久", "麵團" * 5_000 + "嗎"])
    converted, short = stand.encoder.seen
    assert converted == "勞動合同要多久"
    assert len(short) <= 400
    assert short.endswith("嗎")


def test_it_is_warmed_by_its_encoder(dense_artefact: Artefact) -> None:
    """Warming loads the encoder, and labels and digest are those of the fast classifier."""
    stand = Stand(dense_artefact, confidence=1.0)
    assert stand.cascade.warm()
    assert stand.encoder.seen == [""]
    assert not stand.fast.warm()
    assert stand.cascade.labels == stand.fast.labels == ("baking", "cycling", "general")
    assert stand.cascade.digest == dense_artefact.digest


def test_threads_do_not_disturb_each_other(dense_artefact: Artefact) -> None:
    """Many threads at once find what one finds."""
    stand = Stand(dense_artefact, confidence=0.9)
    alone = stand.cascade.classify(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: stand.cascade.classify(TEXTS), range(32)))
    assert all(np.array_equal(f.probabilities, alone.probabilities) for f in found)
    assert {f.stages for f in found} == {alone.stages}
