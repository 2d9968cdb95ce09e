"""The router: from a conversation to a decision."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.chat import Message, Role
from tame_router.errors import (
    ConfigError,
    ExpertNotFoundError,
    InvalidRequestError,
    NoExpertError,
)
from tame_router.routing.artefact import Artefact
from tame_router.routing.decision import Constraints, Decision, Join, Reason, Stage
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy


def ticks() -> Iterator[int]:
    """Count up, 5 µs at a time."""
    now = 0
    while True:
        yield now
        now += 5_000


@pytest.fixture(scope="module")
def router(classifier: LexicalClassifier) -> Router:
    """Give a router over the small school."""
    return Router(classifier, SelectionPolicy(), clock=ticks().__next__)


def says(*texts: str) -> list[Message]:
    """Make a conversation in which the user says some texts and is answered."""
    messages = [Message(role=Role.SYSTEM, content="Answer briefly about bicycles.")]
    for text in texts:
        messages.append(Message(role=Role.USER, content=text))
        messages.append(Message(role=Role.ASSISTANT, content="麵包與腳踏車"))
    return messages[:-1]


def test_a_question_goes_to_its_expert(router: Router, artefact: Artefact) -> None:
    """A decision says who, how sure, why, in which language, how fast and by what."""
    decision = router.route(says("麵團發酵要放多久？"))
    assert decision.lead == "baking"
    assert decision.experts == decision.probabilities[:1]
    assert sum(p.probability for p in decision.probabilities) == pytest.approx(1)
    assert (decision.stage, decision.reason) == (Stage.FAST, Reason.MOST_PROBABLE)
    assert (decision.join, decision.language) == (Join.SINGLE, "zh-TW")
    assert decision.elapsed_us == 5
    assert decision.features == ()
    assert decision.classifier_digest == artefact.digest


def test_an_explanation_names_what_weighed_for_the_lead(router: Router) -> None:
    """Features are given where they are asked for."""
    decision = router.route(says("How do I oil a bicycle chain?"), explain=True)
    assert decision.lead == "cycling"
    assert decision.language == "en"
    assert 0 < len(decision.features) <= 8
    assert decision.features[0].weight > 0


def test_a_follow_up_stays_and_a_new_subject_moves(router: Router) -> None:
    """The turns of the user decide; those of system and assistant do not count."""
    assert router.route(says("腳踏車鏈條多久上油", "為什麼？")).lead == "cycling"
    assert router.route(says("腳踏車鏈條多久上油", "那麵團發酵要多久才夠？")).lead == "baking"
    assert router.route(says("Which flour is best for bread?", "Why?")).lead == "baking"


def test_the_same_conversation_has_the_same_decision(router: Router) -> None:
    """No state is kept between calls."""
    first = router.route(says("為什麼？"))
    router.route(says("腳踏車鏈條多久上油", "為什麼？"))
    assert router.route(says("為什麼？")) == first


def test_what_cannot_be_told_goes_to_the_fallback(classifier: LexicalClassifier) -> None:
    """Below the threshold the fallback answers."""
    router = Router(classifier, SelectionPolicy(threshold=0.99))
    decision = router.route(says("zyqqux"))
    assert (decision.lead, decision.reason) == ("general", Reason.BELOW_THRESHOLD)


def test_a_pin_needs_no_classifier(router: Router) -> None:
    """The pinned expert is certain, nothing was classified, and nothing is explained."""
    decision = router.route(says("麵團"), Constraints(pin="cycling"), explain=True)
    assert (decision.lead, decision.reason) == ("cycling", Reason.PINNED)
    assert decision.stage is Stage.PINNED
    assert [p.probability for p in decision.probabilities] == [1.0]
    assert decision.features == ()


def test_constraints_are_kept(router: Router) -> None:
    """Who is denied is not among the probabilities."""
    decision = router.route(says("麵團發酵"), Constraints(deny=frozenset({"baking"})))
    assert {p.expert for p in decision.probabilities} == {"cycling", "general"}
    assert decision.lead != "baking"


@pytest.mark.parametrize(
    ("constraints", "error"),
    [
        (Constraints(pin="nobody"), ExpertNotFoundError),
        (Constraints(pin="baking", deny=frozenset({"baking"})), InvalidRequestError),
        (Constraints(deny=frozenset({"baking", "cycling", "general"})), NoExpertError),
    ],
)
def test_impossible_constraints_are_refused(
    router: Router, constraints: Constraints, error: type[Exception]
) -> None:
    """Constraints are checked before anything is read."""
    with pytest.raises(error):
        router.route(says("麵團"), constraints)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [Message(role=Role.USER, content=" \n\u3000")],
        [Message(role=Role.SYSTEM, content="hello")],
    ],
)
def test_a_silent_user_is_refused(router: Router, messages: list[Message]) -> None:
    """Without a text from the user there is nothing to route."""
    with pytest.raises(InvalidRequestError) as raised:
        router.route(messages)
    assert raised.value.field == "messages"


def test_a_fallback_that_is_no_expert_stops_the_start(classifier: LexicalClassifier) -> None:
    """A misspelt fallback is found before the first question, not at it."""
    with pytest.raises(ConfigError, match=r"routing\.fallback names 'generel'"):
        Router(classifier, SelectionPolicy(fallback="generel"))


def test_texts_are_classified_in_a_batch(router: Router) -> None:
    """A batch classifies each text on its own, in the order of the experts."""
    found = router.classify(["麵團", "腳踏車"])
    assert router.experts == ("baking", "cycling", "general")
    assert found.probabilities.argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize(
    "unit", ["麵團發酵要多久才夠，", "bread dough ", " ", "a", "麵", "👍\u200d"]
)
def test_a_mebibyte_takes_no_longer_than_a_page(classifier: LexicalClassifier, unit: str) -> None:
    """The time for a text has a bound that does not grow with it."""
    router = Router(classifier, SelectionPolicy())
    text = (unit * (2**20 // len(unit)))[: 2**20 - 1] + "?"
    fastest_s = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        router.route(says(text, text, text, text))
        fastest_s = min(fastest_s, time.perf_counter() - begun)
    assert fastest_s < 0.05


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_any_conversation_has_a_decision(router: Router, texts: list[str]) -> None:
    """Whatever the user says, someone answers, or the request is refused as empty."""
    try:
        decision: Decision = router.route(says(*texts))
    except InvalidRequestError:
        assert not "".join(texts).strip()
        return
    assert decision.lead in router.experts
