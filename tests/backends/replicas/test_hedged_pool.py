"""Which answers a pool asks a second replica for."""

from dataclasses import replace

import anyio
import msgspec
import pytest

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.hedge import HedgeRules
from tame_router.chat import Message, Role, Shape
from tests.backends.replicas.asking import QUESTION, chats, held, once, write
from tests.backends.replicas.conftest import ASKED_SOON, Fakes, Hedged, Notes
from tests.fakes.vllm_script import Cut, Late, Silence

pytestmark = pytest.mark.anyio


async def test_a_word_in_time_is_asked_once(hedged: Hedged, replicas: Fakes, notes: Notes) -> None:
    """Nothing is asked twice where nothing is late."""
    async with hedged(HedgeRules(after_s=5, quantile=0)) as pool:
        for _ in range(5):
            await write(pool)
        assert (len(chats(replicas)), notes.hedges) == (5, [])


async def test_what_is_late_is_learnt(hedged: Hedged, replicas: Fakes, notes: Notes) -> None:
    """No second is asked before it is known what is usual."""
    async with hedged(HedgeRules(after_s=0.3)) as pool:
        once(replicas, Late(first_token_s=0.6))
        await write(pool)
        assert notes.hedges == []
        for _ in range(10):
            await write(pool)
        once(replicas, Silence(events=1))
        await write(pool)
        assert notes.hedges == ["second"]


async def test_hedges_end_with_their_budget(hedged: Hedged, replicas: Fakes, notes: Notes) -> None:
    """When it is spent nobody is asked twice, and the first is waited for."""
    async with hedged(replace(ASKED_SOON, share=0.0, burst=2)) as pool:
        for _ in range(2):
            once(replicas, Silence(events=1))
            await write(pool)
        async with held(lambda: "unpaid" in notes.hedges) as hold:
            once(replicas, Late(hold=hold))
            await write(pool)
        assert len(chats(replicas)) == 3 + 2
        assert notes.hedges == ["second", "second", "unpaid"]


async def test_no_capacity_is_taken_from_callers(
    hedged: Hedged, replicas: Fakes, notes: Notes
) -> None:
    """Where places are taken or waited for, or answers wait in the others, none is asked twice."""
    async with hedged() as pool:
        pool.spare = lambda: 0.0
        async with held(lambda: len(notes.hedges) == 1) as hold:
            once(replicas, Late(hold=hold))
            await write(pool)
        pool.spare = lambda: 1.0
        for one in pool.replicas:
            one.standing.busy(anyio.current_time() + 60)
        async with held(lambda: len(notes.hedges) == 2) as hold:
            once(replicas, Late(hold=hold))
            await write(pool)
        assert (len(chats(replicas)), notes.hedges) == (2, ["no_room", "no_room"])


@pytest.mark.parametrize(
    "asked",
    [
        msgspec.structs.replace(QUESTION, messages=(Message(role=Role.USER, content="?" * 2_001),)),
        msgspec.structs.replace(QUESTION, shape=Shape(choices=2)),
        msgspec.structs.replace(QUESTION, aside=True),
    ],
    ids=["long", "several", "aside"],
)
async def test_not_everything_is_asked_twice(
    hedged: Hedged, replicas: Fakes, notes: Notes, asked: Generation
) -> None:
    """Long prompts, several choices and what nobody waits for are asked once, however late."""
    async with hedged() as pool:
        once(replicas, Late(first_token_s=0.6))
        async with pool.open(asked) as pieces:
            assert [piece async for piece in pieces]
        assert (len(chats(replicas)), notes.hedges) == (1, [])


async def test_an_answer_that_goes_on_is_asked_once(
    hedged: Hedged, replicas: Fakes, notes: Notes
) -> None:
    """What was begun goes on at one replica, late or not."""
    async with hedged() as pool:
        uncut, usage = await write(pool)
        once(replicas, Cut(after_events=5), Late(first_token_s=0.6))
        assert await write(pool) == (uncut, msgspec.structs.replace(usage, failovers=1))
        assert notes.hedges == []


async def test_who_was_left_is_known_to_be_slow(hedged: Hedged, replicas: Fakes) -> None:
    """A replica whose answers all come from others is one that is late, and is chosen less."""
    async with hedged() as pool:
        for _ in range(10):
            await write(pool)
        once(replicas, Silence(events=1))
        await write(pool)
        late = [one.standing.lateness(anyio.current_time()) for one in pool.replicas]
        assert max(late) > 0.1
