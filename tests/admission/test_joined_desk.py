"""The desk where several experts answer: what is reserved, counted and recorded."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar

import msgspec
import pytest

from tame_router.admission.books import Books
from tame_router.admission.desk import Desk
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.ensemble import Ensemble
from tame_router.answering.event import Delta, Event, Final
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.single import SingleJoin
from tame_router.backends.backend import Generation, Piece
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import Sampling
from tame_router.config import JoinSettings
from tame_router.errors import BackendFailedError, NoExpertAnsweredError, PermissionDeniedError
from tame_router.receipt.digest import text_digest
from tame_router.routing.decision import Constraints, Join
from tame_router.routing.router import Router
from tame_router.telemetry.recording import Recording as TelemetryRecording
from tame_router.telemetry.recording import make_current
from tame_router.tenancy.tenant import Tenant
from tests.admission.conftest import USAGE, WRITTEN, Kept, Recording, asks, calls
from tests.admission.test_desk import TEXT, Counted

pytestmark = pytest.mark.anyio

TENANT = Tenant(name="factory", read=frozenset({"*"}))
EACH = USAGE.prompt_tokens + USAGE.completion_tokens


class Failing(Recording):
    """Answers everything, but for one expert.

    Attributes:
        fails: Beginning of the revision that fails after its first word.
    """

    fails = "medical"

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
        """Start an answer."""
        async with super().open(generation) as pieces:
            failing = generation.revision.startswith(self.fails)
            yield self._breaking() if failing else pieces

    async def _breaking(self) -> AsyncIterator[Piece]:
        yield Piece(text="four")
        raise BackendFailedError("it broke")


async def answered(
    catalog: Catalog,
    router: Router,
    constraints: Constraints,
    *,
    backend: Recording | None = None,
    tenant: Tenant = TENANT,
    sampling: Sampling | None = None,
) -> tuple[list[Event], Kept, Counted]:
    """Answer at a desk, and give the events, the records and the counts."""
    dispatch = Dispatch({"local": backend or Recording()})
    pipeline = Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch), Ensemble(dispatch))
    journal, quota, events = Kept(), Counted(), list[Event]()
    desk = Desk(
        LiveCatalog(catalog), pipeline, Books(quota=quota, journal=journal), policy=router.policy
    )
    call = asks(calls(tenant), TEXT, constraints)
    question = msgspec.structs.replace(call.question, sampling=sampling or Sampling())

    async def emit(event: Event) -> None:
        events.append(event)

    await desk.answer(msgspec.structs.replace(call, question=question), emit)
    return events, journal, quota


@pytest.mark.parametrize(
    ("join", "experts", "steps"),
    [(Join.PANEL, 2, 2), (Join.PANEL, 3, 3), (Join.FUSE, 2, 3), (Join.VOTE, 2, 2)],
)
async def test_every_step_is_reserved(
    catalog: Catalog, router: Router, join: Join, experts: int, steps: int
) -> None:
    """Each reads the question and writes; what is written from drafts reads them too."""
    asked = Constraints(join=join, max_experts=experts)
    _, journal, quota = await answered(catalog, router, asked)
    assert quota.reserved == [steps * (len(TEXT) // 2) + 2 * steps * 512]
    ends = [step.finish_reason for step in journal.records[0].steps]
    told = EACH * ends.count("stop")
    late = len(TEXT) // 2 + len("".join(WRITTEN)) // 2
    assert quota.settled == [told + late * ends.count("NOT_WAITED_FOR")]


async def test_tokens_that_are_named_are_reserved_once(catalog: Catalog, router: Router) -> None:
    """All steps share them."""
    asked = Constraints(join=Join.PANEL, max_experts=2)
    _, _, quota = await answered(catalog, router, asked, sampling=Sampling(max_tokens=100))
    assert quota.reserved == [2 * (len(TEXT) // 2) + 200]


async def test_each_step_is_recorded(catalog: Catalog, router: Router) -> None:
    """The experts and who wrote from their words, with what each read and wrote."""
    asked = Constraints(join=Join.FUSE, allow=frozenset({"legal", "medical"}))
    _, journal, quota = await answered(catalog, router, asked)
    (record,) = journal.records
    assert record.join == "fuse"
    # The general expert may not be used: the lead's base model writes, under the lead's name.
    assert [step.expert for step in record.steps] == ["legal", "medical", "legal"]
    assert record.steps[0].adapter_digest
    assert quota.settled == [3 * EACH]


async def test_who_left_is_recorded_with_the_reason(catalog: Catalog, router: Router) -> None:
    """And what it wrote before is counted by its characters, since nobody told."""
    asked = Constraints(join=Join.PANEL, allow=frozenset({"legal", "medical"}))
    events, journal, quota = await answered(catalog, router, asked, backend=Failing())
    (record,) = journal.records
    assert record.outcome == "ok"
    ends = {step.expert: step.finish_reason for step in record.steps}
    assert ends == {"legal": "stop", "medical": "BACKEND_FAILED"}
    assert quota.settled == [EACH + len(TEXT) // 2 + 2]
    assert isinstance(events[-1], Final)


@pytest.mark.parametrize("join", [Join.VOTE, Join.BEST_OF, Join.FUSE])
async def test_drafts_that_are_all_too_long_are_paid_for(
    catalog: Catalog, router: Router, join: Join
) -> None:
    """Nobody answered, and each has read the question and written as much as is held."""
    size = JoinSettings().most_waiting_chars + 2

    class Babbling(Recording):
        async def _pieces(self) -> AsyncIterator[Piece]:
            yield Piece(text="嗯" * size)
            await asyncio.Event().wait()

    quota = Counted()
    dispatch = Dispatch({"local": Babbling()})
    pipeline = Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch), Ensemble(dispatch))
    desk = Desk(LiveCatalog(catalog), pipeline, Books(quota=quota), policy=router.policy)
    wanted = Constraints(join=join, allow=frozenset({"legal", "medical"}))

    async def emit(event: Event) -> None:
        pass

    with pytest.raises(NoExpertAnsweredError, match="send a smaller max_tokens"):
        await desk.answer(asks(calls(TENANT), TEXT, wanted), emit)
    assert quota.settled == [2 * (len(TEXT) // 2 + -(-size // 2))]


async def test_who_left_is_counted(catalog: Catalog, router: Router) -> None:
    """The failure is in the numbers, though the answer is whole."""

    class Left(TelemetryRecording):
        seen: ClassVar[list[tuple[str, str]]] = []

        def left(self, expert: str, reason: str) -> None:
            self.seen.append((expert, reason))

    context = contextvars.copy_context()
    context.run(make_current, Left())
    asked = Constraints(join=Join.PANEL, allow=frozenset({"legal", "medical"}))
    async with asyncio.TaskGroup() as group:
        group.create_task(answered(catalog, router, asked, backend=Failing()), context=context)
    assert Left.seen == [("medical", "BACKEND_FAILED")]


async def test_what_is_recorded_is_what_was_sent(catalog: Catalog, router: Router) -> None:
    """The digest is of all words, headings included, in the order in which they were sent."""
    asked = Constraints(join=Join.PANEL, allow=frozenset({"legal", "medical"}))
    events, journal, _ = await answered(catalog, router, asked)
    sent = "".join(event.text for event in events if isinstance(event, Delta))
    assert sent.count("An answer.") == 2
    assert journal.records[0].answer_digest == text_digest(sent)


async def test_a_draft_that_wins_is_counted_once(catalog: Catalog, router: Router) -> None:
    """Its words are sent after its end, and are no further tokens."""
    asked = Constraints(join=Join.BEST_OF, allow=frozenset({"legal", "medical"}))
    _, _, quota = await answered(catalog, router, asked)
    assert quota.settled == [2 * EACH]


async def test_a_tenant_uses_its_joins_only(catalog: Catalog, router: Router) -> None:
    """A join that is not granted is refused by name."""
    tenant = replace(TENANT, joins=frozenset({"single", "vote"}))
    with pytest.raises(PermissionDeniedError, match="'panel' is not among"):
        await answered(catalog, router, Constraints(join=Join.PANEL), tenant=tenant)
    events, _, _ = await answered(catalog, router, Constraints(join=Join.VOTE), tenant=tenant)
    assert isinstance(events[-1], Final)


@pytest.mark.parametrize(
    ("join", "asked"), [(Join.PANEL, 2), (Join.FUSE, 2), (Join.VOTE, 2), (Join.SECOND_OPINION, 2)]
)
async def test_hanging_up_costs_every_prompt_that_was_read(
    catalog: Catalog, router: Router, join: Join, asked: int
) -> None:
    """Each expert that was asked has read the question, though none has written."""

    class Silent(Recording):
        reached = 0

        @asynccontextmanager
        async def open(self, generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
            self.reached += 1
            if self.reached == asked:
                task.cancel()
            await asyncio.Event().wait()
            yield self._pieces()

    quota = Counted()
    dispatch = Dispatch({"local": Silent()})
    pipeline = Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch), Ensemble(dispatch))
    desk = Desk(LiveCatalog(catalog), pipeline, Books(quota=quota), policy=router.policy)
    wanted = Constraints(join=join, allow=frozenset({"legal", "medical"}))

    async def emit(event: Event) -> None:
        pass

    task = asyncio.get_running_loop().create_task(
        desk.answer(asks(calls(TENANT), TEXT, wanted), emit)
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    assert quota.settled == [asked * (len(TEXT) // 2)]
