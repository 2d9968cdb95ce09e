"""Two replicas on the way to one first word."""

import anyio
import pytest
from msgspec.structs import replace

from tame_router.backends.replicas.hedge import HedgeRules
from tame_router.backends.vllm.backend import VllmSpec
from tame_router.errors import (
    BackendFailedError,
    BackendSilentError,
    DeadlineExceededError,
    InvalidRequestError,
    TameError,
)
from tests.backends.replicas.asking import (
    QUESTION,
    asked,
    chats,
    closed,
    errors,
    held,
    once,
    write,
)
from tests.backends.replicas.conftest import Fakes, Hedged, Notes
from tests.fakes import vllm_wire as wire
from tests.fakes.vllm import BASE_MODEL
from tests.fakes.vllm_script import Cut, Fault, Late, Refuse, Silence

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "fault", [Silence(events=None), Silence(events=1), Silence(comment_s=0.01)], ids=str
)
async def test_a_late_word_is_asked_of_another(
    hedged: Hedged, replicas: Fakes, notes: Notes, fault: Fault
) -> None:
    """The second writes all of it, told once; the first stops, and is not blamed for an error."""
    async with hedged() as pool:
        uncut = await write(pool)
        once(replicas, fault)
        assert await write(pool) == uncut
        _, *two = sorted(chats(replicas), key=lambda chat: not chat.ended.is_set())
        (loser,) = [chat for chat in two if not chat.ended.is_set()]
        assert await closed(loser)
        with anyio.fail_after(5):  # the fake counts an answer once its last byte has left
            while sum(fake.finished["stop"] for fake in replicas) != 2:  # noqa: ASYNC110 - counters
                await anyio.sleep(0.01)
        assert sum(fake.finished["abort"] for fake in replicas) == 1
        assert notes.hedges == ["second"]
        assert not notes.failovers
        assert errors(pool) == 0


async def test_the_first_may_still_be_sooner(hedged: Hedged, replicas: Fakes, notes: Notes) -> None:
    """Then the second is closed at once, and it is the first that writes on."""
    async with hedged() as pool:
        uncut = await write(pool)
        async with held(lambda: len(chats(replicas)) == 3) as hold:
            once(replicas, Late(hold=hold), Silence(events=1))
            assert await write(pool) == uncut
        late = [chat for chat in chats(replicas) if not chat.ended.is_set()]
        assert await closed(*late)
        assert (len(late), notes.hedges) == (1, ["first"])


async def test_one_of_two_fails(hedged: Hedged, replicas: Fakes, notes: Notes) -> None:
    """The other goes on, nobody else is asked, and the failure counts once."""
    async with hedged() as pool:
        uncut = await write(pool)
        async with held(lambda: errors(pool) == 1) as hold:
            once(replicas, Late(hold=hold), Refuse(status=500))
            assert await write(pool) == uncut
        assert (notes.hedges, notes.failovers) == (["first"], [])
        assert (len(chats(replicas)), errors(pool)) == (3, 1)


async def test_the_first_fails_while_the_second_is_asked(
    hedged: Hedged, replicas: Fakes, notes: Notes
) -> None:
    """So it is the other way round."""
    async with hedged() as pool:
        uncut = await write(pool)
        async with (
            held(lambda: len(chats(replicas)) == 3) as first,
            held(lambda: errors(pool) == 1) as second,
        ):
            once(replicas, Cut(after_events=0, hold=first), Late(hold=second))
            assert await write(pool) == uncut
        assert (len(chats(replicas)), errors(pool)) == (3, 1)
        assert (notes.hedges, notes.failovers) == (["second"], [])


async def test_both_fail(hedged: Hedged, replicas: Fakes, notes: Notes) -> None:
    """Each counts once, and a third is asked, paid from the budget for retries."""
    async with hedged() as pool:
        uncut, usage = await write(pool)
        async with held(lambda: len(chats(replicas)) == 3) as hold:
            once(replicas, Cut(after_events=0, hold=hold), Refuse(status=500))
            assert await write(pool) == (uncut, replace(usage, failovers=1))
        assert (len(chats(replicas)), errors(pool)) == (4, 2)
        assert notes.hedges == ["neither"]
        assert notes.failovers == [("local", "broken", "retried")]


async def test_a_request_at_fault(hedged: Hedged, replicas: Fakes) -> None:
    """What the first says of the request holds; what the second alone says does not."""
    refusal = Refuse(status=400, body=wire.error_body(400, "no"))
    async with hedged() as pool:
        uncut = await write(pool)
        async with held(lambda: any(chat.ended.is_set() for chat in chats(replicas)[1:])) as hold:
            once(replicas, Late(hold=hold), refusal)
            assert await write(pool) == uncut
        once(replicas, refusal)
        with pytest.raises(InvalidRequestError):
            await write(pool)
        assert (len(chats(replicas)), errors(pool)) == (4, 0)


async def test_a_caller_that_leaves_closes_both(
    hedged: Hedged, replicas: Fakes, notes: Notes
) -> None:
    """Neither replica writes for nobody."""
    async with hedged() as pool:
        for fake in replicas:
            fake.always = Silence(events=1)
        async with anyio.create_task_group() as group:
            group.start_soon(write, pool)
            await asked(replicas, 2)
            group.cancel_scope.cancel()
        assert await closed(*chats(replicas))
        assert (len(chats(replicas)), notes.hedges) == (2, ["left"])


@pytest.mark.parametrize(
    ("limit", "error"),
    [("deadline", DeadlineExceededError), ("first", BackendSilentError)],
)
async def test_no_limit_is_longer_for_two(
    hedged: Hedged, replicas: Fakes, notes: Notes, limit: str, error: type[TameError]
) -> None:
    """The deadline, and the caller's own limit on the first word, end both and blame none."""
    async with hedged() as pool:
        for fake in replicas:
            fake.always = Silence(events=1)
        begun = anyio.current_time()
        asked = (
            replace(QUESTION, deadline=begun + 1)
            if limit == "deadline"
            else replace(QUESTION, first_token_timeout_s=1)
        )
        with pytest.raises(error):
            await write(pool, asked)
        assert await closed(*chats(replicas))
        assert (len(chats(replicas)), notes.hedges) == (2, ["left"])
        assert errors(pool) == 0


async def test_the_backends_own_limit_blames_who_was_silent(
    hedged: Hedged, replicas: Fakes, notes: Notes
) -> None:
    """It is on each replica: who has not said a word by then has failed, the other goes on."""
    spec = VllmSpec(base_model=BASE_MODEL, first_token_timeout_s=1.6)
    async with hedged(HedgeRules(after_s=0.8, quantile=0), spec) as pool:
        uncut = await write(pool)
        async with held(lambda: errors(pool) == 1) as hold:
            once(replicas, Silence(events=1), Late(hold=hold))
            assert await write(pool) == uncut
        assert (errors(pool), notes.hedges) == (1, ["second"])


async def test_the_winner_may_still_break(hedged: Hedged, replicas: Fakes, notes: Notes) -> None:
    """After its first word it is an answer like any other, and goes on elsewhere."""
    async with hedged() as pool:
        uncut, usage = await write(pool)
        once(replicas, Silence(events=1), Cut(after_events=5))
        assert await write(pool) == (uncut, replace(usage, failovers=1))
        assert notes.hedges == ["second"]
        assert notes.failovers == [("local", "broken", "continued")]


async def test_an_error_of_the_service_is_not_hidden(hedged: Hedged, replicas: Fakes) -> None:
    """A failure of the first before anything is late goes the way of all failures."""
    async with hedged(retry_share=0.0, retry_burst=0) as pool:
        once(replicas, Refuse(status=500))
        with pytest.raises(BackendFailedError):
            await write(pool)
        assert len(chats(replicas)) == 1
