"""Who finds no room is told before anything is done for it."""

import pytest
from msgspec.structs import replace

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.question import Question
from tame_router.answering.single import SingleJoin
from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import Message, Role
from tame_router.errors import BackendOverloadedError, ExpertNotFoundError
from tame_router.routing.decision import Constraints
from tame_router.routing.router import Router
from tame_router.telemetry.recorder import Recorder
from tests.answering.conftest import Events
from tests.fakes.vllm import FakeVllm
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

QUESTION = Question(
    answer_id="id-12345", messages=(Message(role=Role.USER, content=QUESTIONS["legal"][0]),)
)


@pytest.fixture
def recorder() -> Recorder:
    """Give what counts refusals."""
    return Recorder()


@pytest.fixture
def full(dispatch: Dispatch, recorder: Recorder) -> QueuedBackend:
    """Give a backend whose one place is taken, and that lets nobody wait."""
    limit = LimitRules(start=1, least=1, most=1)
    spec = QueueSpec(name="local", limit=limit, length=0)
    backend = QueuedBackend(dispatch.backends["local"], spec, recorder)
    backend.places.free("")
    return backend


def made(catalog: Catalog, router: Router, **backends: object) -> Pipeline:
    """Give a pipeline before some backends."""
    dispatch = Dispatch(backends)  # type: ignore[arg-type]
    return Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch), dispatch=dispatch)


async def test_a_refusal_is_the_only_event(
    catalog: Catalog,
    router: Router,
    full: QueuedBackend,
    events: Events,
    fake_vllm: FakeVllm,
    recorder: Recorder,
) -> None:
    """Where the chosen expert's backend has no room nothing is sent before, and it is named."""
    pipeline = made(catalog, router, local=full)
    with pytest.raises(BackendOverloadedError) as caught:
        await pipeline.answer(QUESTION, events.emit)
    assert caught.value.metadata["expert"] == "legal"
    assert not events.seen
    assert not fake_vllm.chats
    text = recorder._metrics.render("")[0].decode()
    assert 'tame_queue_refusals_total{backend="local",why="length"} 1.0' in text


async def test_nobody_is_asked_who_would_answer_where_nobody_can(
    catalog: Catalog, router: Router, full: QueuedBackend
) -> None:
    """No backend has room: that is known without a decision."""
    with pytest.raises(BackendOverloadedError):
        made(catalog, router, local=full).require_room(QUESTION)


async def test_another_backend_may_have_room(
    catalog: Catalog, router: Router, full: QueuedBackend, dispatch: Dispatch
) -> None:
    """One that has room, or no queue, may be the chosen expert's; a named expert's is known."""
    pipeline = made(catalog, router, local=full, other=dispatch.backends["local"])
    pipeline.require_room(QUESTION)
    with pytest.raises(BackendOverloadedError):
        pipeline.require_room(replace(QUESTION, constraints=Constraints(pin="legal")))


async def test_a_hidden_expert_looks_like_none(
    catalog: Catalog, router: Router, full: QueuedBackend, dispatch: Dispatch, events: Events
) -> None:
    """That the backend of an expert is full is told to nobody who may not see that expert."""
    pipeline = made(catalog, router, local=full, other=dispatch.backends["local"])
    hidden = replace(QUESTION, constraints=Constraints(pin="legal"), visible=frozenset({"general"}))
    pipeline.require_room(hidden)
    with pytest.raises(ExpertNotFoundError):
        await pipeline.answer(hidden, events.emit)
