"""Who writes from experts' drafts, and who judges them: nobody the caller may not use."""

import pytest
from msgspec.structs import replace

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.ensemble import Ensemble
from tame_router.answering.event import DecisionMade, Delta, ExpertFinish, ExpertStart, Note, Part
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.question import Question, may_use
from tame_router.answering.single import SingleJoin
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import Message, Role
from tame_router.config import JoinSettings
from tame_router.routing.decision import Constraints, Join
from tame_router.routing.router import Router
from tests.answering.conftest import Events
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.joined_fixture import LEGAL

pytestmark = pytest.mark.anyio

GRANTED = frozenset({"legal", "medical"})
FUSED = Constraints(join=Join.FUSE, max_experts=2)
QUESTION = Question(
    answer_id="id-12345",
    messages=(Message(role=Role.USER, content=LEGAL),),
    constraints=FUSED,
)
REFUSING = {
    "not granted": replace(QUESTION, visible=GRANTED),
    "denied": replace(QUESTION, constraints=replace(FUSED, deny=frozenset({"general"}))),
    "not allowed": replace(QUESTION, constraints=replace(FUSED, allow=GRANTED)),
}


@pytest.fixture
def joining(catalog: Catalog, router: Router, dispatch: Dispatch) -> Pipeline:
    """Give a pipeline with a judge that is neither legal nor medical."""
    ensemble = Ensemble(dispatch, JoinSettings(judge="electronics"))
    return Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch), ensemble)


def named(events: Events) -> set[str]:
    """Give every expert that an event names."""
    told = [e for e in events.seen if isinstance(e, Delta | ExpertStart | ExpertFinish | Note)]
    made = events.seen[0]
    assert isinstance(made, DecisionMade)
    return {event.expert for event in told} | {step.expert for step in made.steps}


@pytest.mark.parametrize("why", list(REFUSING))
async def test_the_base_model_writes_under_the_leads_name(
    joining: Pipeline, events: Events, fake_vllm: FakeVllm, why: str
) -> None:
    """Where the caller may not use the fallback, it is neither asked nor named."""
    await joining.answer(REFUSING[why], events.emit)
    assert "general" not in named(events)
    writer = [e for e in events.seen if isinstance(e, ExpertStart) and e.part is Part.JOINED]
    assert [(e.expert, e.revision) for e in writer] == [("legal", "")]
    asked = fake_vllm.chats[-1].body
    assert asked["model"] == BASE_MODEL
    assert "You are" not in asked["messages"][0]["content"]


async def test_the_fallback_writes_for_those_who_may_use_it(
    joining: Pipeline, events: Events
) -> None:
    """Its name is told, as it always was."""
    await joining.answer(QUESTION, events.emit)
    writer = [e for e in events.seen if isinstance(e, ExpertStart) and e.part is Part.JOINED]
    assert [e.expert for e in writer] == ["general"]


@pytest.mark.parametrize("why", list(REFUSING))
async def test_a_judge_that_may_not_be_used_is_not_asked(
    joining: Pipeline, events: Events, fake_vllm: FakeVllm, why: str
) -> None:
    """Log-probabilities rank the drafts, and are asked for."""
    asked = REFUSING[why]
    deny = frozenset({"general", "electronics"}) if asked.constraints.deny else frozenset[str]()
    hidden = replace(asked.constraints, join=Join.BEST_OF, deny=deny)
    await joining.answer(replace(asked, constraints=hidden), events.emit)
    assert "electronics" not in named(events)
    assert [chat.body.get("logprobs") for chat in fake_vllm.chats] == [True, True]


def test_a_right_and_a_wish_are_both_needed() -> None:
    """An expert may be used where it is visible, not denied, and among those allowed."""
    assert may_use(QUESTION, "general")
    assert not any(may_use(asked, "general") for asked in REFUSING.values())
    assert may_use(REFUSING["not granted"], "legal")
    wishes = Constraints(allow=GRANTED, deny=frozenset({"legal"}))
    assert not may_use(replace(QUESTION, constraints=wishes), "legal")
