"""What an answer, or a decision, costs however it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tame_router.admission.books import Books
from tame_router.admission.desk import Desk
from tame_router.answering.event import DecisionMade
from tame_router.backends.backend import Generation, Piece
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.errors import (
    BackendFailedError,
    DeadlineExceededError,
    ExpertNotFoundError,
    InvalidRequestError,
    OverloadedError,
    QuotaExceededError,
)
from tame_router.quota.local import LocalQuota
from tame_router.routing.decision import Constraints
from tame_router.tenancy.tenant import Limits, Tenant
from tests.admission.conftest import asks, calls
from tests.admission.test_desk import ALL, TENANT, TEXT, Scene, breaking, ignore, scene

__all__ = ["scene"]

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (asyncio.CancelledError(), len(TEXT) // 2),
        (DeadlineExceededError("late"), len(TEXT) // 2),
        (TimeoutError(), len(TEXT) // 2),
        (InvalidRequestError("wrong"), 0),
        (BackendFailedError("broken"), None),
        (ConnectionResetError(), None),
    ],
)
async def test_only_our_failures_are_refunded(
    scene: Scene, error: BaseException, cost: int | None
) -> None:
    """Before a word: who hangs up pays the prompt, who asks wrongly the request."""

    @asynccontextmanager
    async def fail(generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
        raise error
        yield

    scene.backend.open = fail  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        await scene.desk.answer(asks(calls(TENANT), TEXT), ignore)
    assert scene.quota.settled == [cost]


async def test_hanging_up_before_anybody_is_asked_costs_the_request(scene: Scene) -> None:
    """Asking and leaving again and again is limited as asking is."""
    with pytest.raises(asyncio.CancelledError):
        await scene.desk.answer(
            asks(calls(TENANT), TEXT), breaking(DecisionMade, asyncio.CancelledError())
        )
    assert scene.quota.settled == [0]


async def test_a_decision_counts_as_a_request(catalog: Catalog, scene: Scene) -> None:
    """Without tokens; one that is refused costs nothing, and where none is left none is made."""
    desk = Desk(LiveCatalog(catalog), scene.desk._pipeline, Books(quota=LocalQuota()))
    limited = calls(Tenant(name="limited", read=ALL, limits=Limits(requests_per_minute=2)))
    messages = asks(limited).question.messages
    with pytest.raises(ExpertNotFoundError):
        await desk.route(limited, messages, Constraints(pin="astrology"))
    for _ in range(2):
        await desk.route(limited, messages, Constraints(), explain=True)
    with pytest.raises(QuotaExceededError, match="requests_per_minute is 2"):
        await desk.route(limited, messages, Constraints())
    with pytest.raises(QuotaExceededError, match="requests_per_minute is 2"):
        await desk.answer(asks(limited), ignore)
    await scene.desk.route(calls(TENANT), messages, Constraints())
    assert (scene.quota.reserved, scene.quota.settled) == ([0], [0])


async def test_a_decision_takes_a_place(catalog: Catalog, scene: Scene) -> None:
    """Deciding is work too: a router that is full makes no decisions beside its answers."""
    desk = Desk(LiveCatalog(catalog), scene.desk._pipeline, max_answers=0)
    with pytest.raises(OverloadedError):
        await desk.route(calls(TENANT), asks(calls(TENANT)).question.messages, Constraints())
