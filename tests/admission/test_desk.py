"""The desk: what an answer costs, what is recorded of it, and what a tenant may ask for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from tame_router.admission.books import Books
from tame_router.admission.desk import Desk
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import Delta, Event, Final
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.single import SingleJoin
from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import Usage
from tame_router.errors import (
    BackendOverloadedError,
    ExpertNotFoundError,
    NoExpertError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    StreamBrokenError,
    TameError,
)
from tame_router.quota.local import LocalQuota
from tame_router.quota.quota import Reservation
from tame_router.routing.decision import Constraints, Join
from tame_router.routing.router import Router
from tame_router.tenancy.tenant import Limits, Scope, Tenant
from tests.admission.conftest import USAGE, WRITTEN, Kept, Recording, asks, calls

pytestmark = pytest.mark.anyio

ALL = frozenset({"*"})
TEXT = "Can my landlord keep the deposit after a lease?"
ESTIMATE = len(TEXT) // 2 + -(-len("".join(WRITTEN)) // 2)


@dataclass
class Counted:
    """A quota that lets everything in, and notes what is settled."""

    settled: list[int | None] = field(default_factory=list)
    reserved: list[int] = field(default_factory=list)

    async def reserve(self, tenant: Tenant, tokens: int) -> Reservation:
        """Note it."""
        self.reserved.append(tokens)
        return self

    async def take_upload(self, tenant: Tenant, size_bytes: int) -> None:
        """Not be asked."""

    async def settle(self, tokens: int | None) -> None:
        """Note it."""
        self.settled.append(tokens)

    async def close(self) -> None:
        """Hold nothing."""


@dataclass
class Scene:
    """A desk and what stands around it."""

    desk: Desk
    backend: Recording
    quota: Counted
    journal: Kept

    @property
    def outcomes(self) -> list[str]:
        """How calls ended, as recorded."""
        return [record.outcome for record in self.journal.records]


@pytest.fixture
def scene(catalog: Catalog, router: Router) -> Scene:
    """Give a desk."""
    backend, quota, journal = Recording(), Counted(), Kept()
    pipeline = Pipeline(LiveCatalog(catalog), router, SingleJoin(Dispatch({"local": backend})))
    desk = Desk(LiveCatalog(catalog), pipeline, Books(quota=quota, journal=journal))
    return Scene(desk, backend, quota, journal)


async def ignore(event: Event) -> None:
    """Take an event."""


def breaking(kind: type[Event], error: BaseException) -> Callable[[Event], Awaitable[None]]:
    """Give an edge that fails at the first event of a kind."""

    async def emit(event: Event) -> None:
        if isinstance(event, kind):
            raise error

    return emit


TENANT = Tenant(name="factory", read=ALL)


async def test_where_there_is_no_room_nothing_is_set_aside(
    catalog: Catalog, router: Router
) -> None:
    """A refusal for want of room is recorded, and asks nothing of the quota."""
    spec = QueueSpec(limit=LimitRules(start=1, least=1, most=1), length=0)
    backend, quota, journal = QueuedBackend(Recording(), spec), Counted(), Kept()
    dispatch, live = Dispatch({"local": backend}), LiveCatalog(catalog)
    pipeline = Pipeline(live, router, SingleJoin(dispatch), dispatch=dispatch)
    desk = Desk(live, pipeline, Books(quota=quota, journal=journal))
    backend.places.free("other")
    with pytest.raises(BackendOverloadedError):
        await desk.answer(asks(calls(TENANT), TEXT), ignore)
    assert not quota.reserved
    assert [record.outcome for record in journal.records] == ["BACKEND_OVERLOADED"]


async def test_real_use_is_settled_and_recorded(scene: Scene) -> None:
    """What the backend told, not what was thought beforehand."""
    await scene.desk.answer(asks(calls(TENANT), TEXT), ignore)
    assert scene.quota.reserved == [len(TEXT) // 2 + 512]
    assert scene.quota.settled == [USAGE.prompt_tokens + USAGE.completion_tokens]
    assert scene.outcomes == ["ok"]


async def test_a_tenants_priority_reaches_the_backend(scene: Scene) -> None:
    """Its questions go before those of others there, or after them."""
    await scene.desk.answer(asks(calls(replace(TENANT, priority=5)), TEXT), ignore)
    await scene.desk.answer(asks(calls(TENANT), TEXT), ignore)
    assert [generation.priority for generation in scene.backend.asked] == [5, 0]


@pytest.mark.parametrize("usage", [None, Usage()])
async def test_a_backend_that_does_not_tell_is_estimated(scene: Scene, usage: Usage | None) -> None:
    """An answer is never free because nobody counted it."""
    scene.backend.usage = usage
    await scene.desk.answer(asks(calls(TENANT), TEXT), ignore)
    assert scene.quota.settled == [ESTIMATE]


async def test_what_broke_after_words_is_estimated(scene: Scene) -> None:
    """The words were written: they count, with the prompt."""

    def fail() -> None:
        raise StreamBrokenError("broken")

    scene.backend.then = fail
    with pytest.raises(StreamBrokenError):
        await scene.desk.answer(asks(calls(TENANT), TEXT), ignore)
    assert scene.quota.settled == [ESTIMATE]
    assert scene.outcomes == ["STREAM_BROKEN"]


async def test_what_was_cancelled_after_words_is_estimated(scene: Scene) -> None:
    """A caller who hangs up has still used what it read."""
    task: asyncio.Task[None] | None = None

    def cancel() -> None:
        if task is not None:
            task.cancel()

    scene.backend.then = cancel
    loop = asyncio.get_running_loop()
    task = loop.create_task(scene.desk.answer(asks(calls(TENANT), TEXT), ignore))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.quota.settled == [ESTIMATE]
    assert scene.outcomes == ["cancelled"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (asyncio.CancelledError(), "cancelled"),
        (StreamBrokenError("broken"), "STREAM_BROKEN"),
        (ConnectionResetError(), "INTERNAL"),
        (GeneratorExit(), "INTERNAL"),
    ],
)
async def test_one_record_whatever_happens(
    scene: Scene, error: BaseException, outcome: str
) -> None:
    """Before the end it tells what happened; once the end is recorded, that stays."""
    with pytest.raises(type(error)):
        await scene.desk.answer(asks(calls(TENANT)), breaking(Delta, error))
    assert scene.outcomes == [outcome]
    with pytest.raises(type(error)):
        await scene.desk.answer(asks(calls(TENANT)), breaking(Final, error))
    assert scene.outcomes == [outcome, "ok"]
    assert len(scene.quota.settled) == 2


async def test_what_fails_before_a_word_costs_nothing(scene: Scene) -> None:
    """Nobody was asked: the request is given back too."""
    nobody = Tenant(name="nobody")
    with pytest.raises(NoExpertError):
        await scene.desk.answer(asks(calls(nobody)), ignore)
    assert scene.quota.settled == [None]
    assert scene.outcomes == ["NO_EXPERT_ALLOWED"]
    assert scene.backend.asked == []


async def test_asking_for_a_model_that_does_not_exist_is_recorded(scene: Scene) -> None:
    """As over gRPC, whether it is forbidden or absent, and in the same words; it costs nothing."""
    lawyer = Tenant(name="lawyer", read=frozenset({"legal"}))
    for model in ("medical", "astrology", "legal@0000000000000000", "legal@"):
        with pytest.raises(ExpertNotFoundError) as raised:
            await scene.desk.answer(
                msgspec.structs.replace(asks(calls(lawyer)), model=model), ignore
            )
        assert raised.value.metadata == {"model": model}
    assert scene.outcomes == ["EXPERT_NOT_FOUND"] * 4
    assert scene.quota.reserved == []
    await scene.desk.answer(msgspec.structs.replace(asks(calls(lawyer)), model="legal"), ignore)
    assert scene.outcomes[-1] == "ok"


async def test_a_full_quota_is_refused_and_recorded(catalog: Catalog, scene: Scene) -> None:
    """The backend is not asked, and nothing is settled."""
    journal = Kept()
    books = Books(quota=LocalQuota(), journal=journal)
    desk = Desk(LiveCatalog(catalog), scene.desk._pipeline, books)
    limited = Tenant(name="limited", read=ALL, limits=Limits(requests_per_day=1))
    await desk.answer(asks(calls(limited)), ignore)
    with pytest.raises(QuotaExceededError):
        await desk.answer(asks(calls(limited)), ignore)
    assert [record.outcome for record in journal.records] == ["ok", "QUOTA_EXCEEDED"]
    assert len(scene.backend.asked) == 1


async def test_a_scope_that_is_missing_is_refused_and_recorded(scene: Scene) -> None:
    """Deciding and answering both take the scope `chat`."""
    caller = calls(TENANT, frozenset({Scope.USAGE}))
    with pytest.raises(PermissionDeniedError, match="'chat'"):
        await scene.desk.answer(asks(caller), ignore)
    with pytest.raises(PermissionDeniedError, match="'chat'"):
        await scene.desk.route(caller, asks(caller).question.messages, Constraints())
    assert scene.outcomes == ["PERMISSION_DENIED"]
    assert scene.quota.reserved == []


async def test_a_join_that_is_not_granted_is_refused(scene: Scene) -> None:
    """By its name; who names none, or has no list, is not asked about it."""
    named = Constraints(join=Join.SINGLE)
    other = Tenant(name="other", read=ALL, joins=frozenset({"chorus"}))
    with pytest.raises(PermissionDeniedError, match=r"'single' is not among .* chorus") as raised:
        await scene.desk.answer(asks(calls(other), TEXT, named), ignore)
    assert raised.value.metadata == {"join": "single"}
    with pytest.raises(PermissionDeniedError):
        await scene.desk.route(calls(other), asks(calls(other)).question.messages, named)
    await scene.desk.answer(asks(calls(other), TEXT), ignore)
    await scene.desk.answer(asks(calls(TENANT), TEXT, named), ignore)
    assert scene.outcomes == ["PERMISSION_DENIED", "ok", "ok"]


async def test_grants_are_read_once_and_again_when_they_change(scene: Scene) -> None:
    """A tenant's view is kept for as long as the tenant is the same."""
    desk = scene.desk
    assert desk.catalog(calls(TENANT)) is desk.catalog(calls(TENANT))
    fewer = Tenant(name=TENANT.name, read=frozenset({"legal"}))
    assert desk.catalog(calls(fewer)).names == ("legal",)


async def test_more_answers_than_there_are_places_are_refused(
    catalog: Catalog, scene: Scene
) -> None:
    """Refused by the router, not by the tenant's quota; recorded all the same."""
    journal = Kept()
    desk = Desk(LiveCatalog(catalog), scene.desk._pipeline, Books(journal=journal), max_answers=0)
    with pytest.raises(OverloadedError) as raised:
        await desk.answer(asks(calls(TENANT)), ignore)
    assert isinstance(raised.value, TameError)
    assert [record.outcome for record in journal.records] == ["ROUTER_OVERLOADED"]
