"""The router with an encoder: who waits for it, and what follows from what it says."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.chat import Message, Role
from tame_router.errors import NoExpertError
from tame_router.routing.artefact import Artefact
from tame_router.routing.calibration import ANY_LANGUAGE
from tame_router.routing.cascade import MEANING, Cascade
from tame_router.routing.classifier import Classification, Opinion
from tame_router.routing.conformal import STEPS, ConformalLevels
from tame_router.routing.decision import Constraints, Decision, Feature, Reason, Stage
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy
from tests.fakes.encoder import FakeEncoder, SlowEncoder

pytestmark = pytest.mark.anyio

TEXTS = ("麵團發酵要放多久？", "腳踏車鏈條多久上油", "為什麼？", "zyqqux", "cake for a long ride")
CONSTRAINTS = (
    Constraints(),
    Constraints(max_experts=1),
    Constraints(deny=frozenset({"baking"})),
    Constraints(allow=frozenset({"cycling", "general"})),
    Constraints(pin="general"),
)


def says(*texts: str) -> list[Message]:
    """Make a conversation in which the user says some texts."""
    return [Message(role=Role.USER, content=text) for text in texts]


def build(artefact: Artefact, encoder: FakeEncoder, confidence: float) -> Router:
    """Put a router together whose clock stands still."""
    assert artefact.dense
    fast = LexicalClassifier(artefact.parameters, artefact.digest)
    cascade = Cascade(fast, encoder, replace(artefact.dense, confidence=confidence))
    return Router(cascade, SelectionPolicy(), artefact.levels, clock=lambda: 0)


class Certain:
    """A classifier that finds the same in every text."""

    labels = ("baking", "cycling", "general")
    digest = "0" * 64

    def __init__(self, *probabilities: float, several: bool = False) -> None:
        self._opinion = Opinion(
            probabilities=list(probabilities),
            relevances=list(probabilities),
            several=several,
            stage=Stage.FAST,
            language="zh-TW",
        )

    def classify(self, texts: Sequence[str]) -> Classification:
        """Find the same in each."""
        return Classification(opinions=(self._opinion,) * len(texts), width=len(self.labels))

    def glance(self, texts: Sequence[str]) -> Classification:
        """Find the same in each."""
        return self.classify(texts)

    def warm(self) -> bool:
        """Load nothing."""
        return False

    def explain(self, text: str, label: str, limit: int) -> tuple[Feature, ...]:
        """Name the text itself."""
        return (Feature(text=f"{label}: {text}", weight=1.0),)[:limit]


def level(probability: float) -> ConformalLevels:
    """Give levels that are the same at any coverage."""
    return ConformalLevels(levels={ANY_LANGUAGE: (probability,) * (STEPS + 1)})


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("constraints", CONSTRAINTS)
@pytest.mark.parametrize("confidence", [0.0, 0.8, 1.0])
async def test_deciding_is_routing(
    dense_artefact: Artefact, *, confidence: float, constraints: Constraints, explain: bool
) -> None:
    """Both ways give the same decision, whoever is asked."""
    router = build(dense_artefact, FakeEncoder(), confidence)
    for text in TEXTS:
        conversation = says("腳踏車鏈條", text)
        decided = await router.decide(conversation, constraints, explain=explain)
        assert decided == router.route(conversation, constraints, explain=explain)


async def test_the_event_loop_does_not_wait_for_the_encoder(dense_artefact: Artefact) -> None:
    """While the encoder works in a thread of its own the loop goes on."""
    encoder = SlowEncoder()
    router = build(dense_artefact, encoder, 1.0)
    decisions: list[Decision] = []

    async def decide() -> None:
        decisions.append(await router.decide(says(TEXTS[0])))

    async with anyio.create_task_group() as group:
        group.start_soon(decide)
        assert await anyio.to_thread.run_sync(encoder.begun.wait, 10)
        for _ in range(100):
            await asyncio.sleep(0)
        assert decisions == []
        encoder.may_end.set()
    assert decisions[0].stage is Stage.ENCODER
    assert threading.get_ident() not in encoder.threads
    assert len(encoder.threads) == 1


async def test_the_worker_is_the_one_that_was_given(dense_artefact: Artefact) -> None:
    """The encoder runs where the service wants it to."""
    encoder = FakeEncoder()
    assert dense_artefact.dense
    fast = LexicalClassifier(dense_artefact.parameters, dense_artefact.digest)
    cascade = Cascade(fast, encoder, replace(dense_artefact.dense, confidence=1.0))
    with ThreadPoolExecutor(1) as worker:
        own = worker.submit(threading.get_ident).result()
        await Router(cascade, SelectionPolicy(), worker=worker).decide(says(TEXTS[0]))
    assert encoder.threads == {own}


async def test_what_needs_no_encoder_is_decided_at_once(dense_artefact: Artefact) -> None:
    """A sure decision, and a pinned one, ask nobody; a pin is not explained either."""
    encoder = SlowEncoder()
    assert (await build(dense_artefact, encoder, 0.0).decide(says(TEXTS[0]))).stage is Stage.FAST
    unsure = build(dense_artefact, encoder, 1.0)
    for explain in (False, True):
        pinned = await unsure.decide(says(TEXTS[0]), Constraints(pin="cycling"), explain=explain)
        assert (pinned.lead, pinned.stage) == ("cycling", Stage.PINNED)
        assert pinned.features == ()
        assert pinned.conformal_set == ()
    assert not encoder.begun.is_set()


async def test_an_explained_decision_names_the_meaning(dense_artefact: Artefact) -> None:
    """Where the encoder decided, it is among the features."""
    router = build(dense_artefact, FakeEncoder(), 1.0)
    decision = await router.decide(says("腳踏車鏈條多久上油"), explain=True)
    assert decision.lead == "cycling"
    assert MEANING in {feature.text for feature in decision.features}


async def test_refusals_are_the_same(dense_artefact: Artefact) -> None:
    """Constraints are refused before the encoder is asked."""
    encoder = SlowEncoder()
    router = build(dense_artefact, encoder, 1.0)
    nobody = Constraints(deny=frozenset({"baking", "cycling", "general"}))
    with pytest.raises(NoExpertError):
        await router.decide(says(TEXTS[0]), nobody)
    assert not encoder.begun.is_set()


async def test_many_may_ask_at_once(dense_artefact: Artefact) -> None:
    """Decisions under way do not disturb each other, nor do threads."""
    router = build(dense_artefact, FakeEncoder(), 0.8)
    alone = [router.route(says(text)) for text in TEXTS]
    found: dict[int, Decision] = {}

    async def decide(number: int) -> None:
        found[number] = await router.decide(says(TEXTS[number % len(TEXTS)]))

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(decide, number)
    assert all(found[n] == alone[n % len(TEXTS)] for n in range(40))
    with ThreadPoolExecutor(8) as pool:
        routed = list(pool.map(lambda n: router.route(says(TEXTS[n % len(TEXTS)])), range(40)))
    assert routed == [found[n] for n in range(40)]


async def test_a_plausible_fallback_answers() -> None:
    """A fallback above the level answers; at chance it does not, nor without levels."""
    classifier = Certain(0.55, 0.05, 0.4)
    policy = SelectionPolicy()
    plausible = Router(classifier, policy, level(0.2)).route(says("麵團"))
    assert (plausible.lead, plausible.reason) == ("general", Reason.FALLBACK_PLAUSIBLE)
    assert plausible.conformal_set == ("baking", "general")
    for levels in (level(0.45), None):
        decision = Router(classifier, policy, levels).route(says("麵團"))
        assert (decision.lead, decision.reason) == ("baking", Reason.MOST_PROBABLE)
    at_chance = Router(Certain(0.6, 0.1, 0.3), policy, level(0.01)).route(says("麵團"))
    assert at_chance.conformal_set == ("baking", "general", "cycling")
    assert at_chance.reason is Reason.MOST_PROBABLE


async def test_a_second_expert_needs_a_question_for_several() -> None:
    """Two answer where both are relevant and the question may need them, the fallback never."""
    two = Router(Certain(0.6, 0.3, 0.1, several=True), SelectionPolicy()).route(says("麵團"))
    assert [p.expert for p in two.experts] == ["baking", "cycling"]
    one = Router(Certain(0.6, 0.3, 0.1), SelectionPolicy()).route(says("麵團"))
    assert [p.expert for p in one.experts] == ["baking"]


@given(st.sampled_from(TEXTS), st.sampled_from(["麵團", "why"]))
async def test_a_question_is_looked_at_with_its_conversation(
    dense_artefact: Artefact, first: str, last: str
) -> None:
    """Probabilities sum to 1 and relevances stay in range, over several turns too."""
    decision = build(dense_artefact, FakeEncoder(), 0.8).route(says(first, last))
    assert sum(p.probability for p in decision.probabilities) == pytest.approx(1)
    assert all(0 <= p.relevance <= 1 for p in decision.probabilities)


@pytest.mark.parametrize(
    ("written", "plain", "language"),
    [
        ("自行车链条多久要上油一次", "自行車鏈條多久要上油一次", "zh-CN"),
        ("自行车链条跳档怎么调整", "自行車鏈條跳檔怎麼調整", "zh-CN"),
        ("ｂｉｃｙｃｌｅ　ｃｈａｉｎ", "bicycle chain", "en"),
        ("腳踏車\u200b鏈條\ufeff多久上油", "腳踏車鏈條多久上油", "zh-TW"),
        ("🚲 腳踏車鏈條多久上油", "腳踏車鏈條多久上油", "zh-TW"),
    ],
)
async def test_spellings_of_a_question_go_to_one_expert(
    dense_artefact: Artefact, written: str, plain: str, language: str
) -> None:
    """Script, width, emoji and what shows nothing change nobody's lead."""
    for confidence in (0.0, 1.0):
        router = build(dense_artefact, FakeEncoder(), confidence)
        decision = router.route(says(written))
        assert decision.lead == router.route(says(plain)).lead == "cycling"
        assert decision.language == language
