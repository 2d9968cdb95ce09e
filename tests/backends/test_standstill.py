"""A time limit that passed while the process stood still is no time limit missed."""

import asyncio
import math
import time

import pytest
import uvloop

from tame_router.backends.openai.chat_request import encode_chat
from tame_router.backends.openai.chat_stream import ChatStream
from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.patience import Patience
from tame_router.backends.standstill import LATE_S, TimeLimit, answered, stood_still
from tame_router.errors import BackendSilentError
from tests.fakes.generations import generation
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Silence

pytestmark = pytest.mark.anyio

_SHORT_S = 0.05
_STANDSTILL_S = LATE_S + 0.2


async def late(limit_s: float = _SHORT_S) -> str:
    """Wait for what has come in a standstill."""
    loop = asyncio.get_running_loop()
    come: asyncio.Future[str] = loop.create_future()

    def stand_still() -> None:
        loop.call_soon_threadsafe(loop.call_soon, come.set_result, "here")
        time.sleep(_STANDSTILL_S)

    loop.call_soon(stand_still)
    async with TimeLimit(loop.time() + limit_s):
        return await come


async def test_what_came_in_a_standstill_is_taken() -> None:
    """The limit looks first."""
    assert await late() == "here"


def test_so_it_is_with_the_loop_of_the_service() -> None:
    """Whose clock stands while a callback runs."""
    assert uvloop.run(late()) == "here"


async def test_what_does_not_come_is_given_up() -> None:
    """In time while the process runs, and soon after a standstill too."""
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        await _nothing(loop.time() + _SHORT_S)
    loop.call_later(_SHORT_S / 2, time.sleep, _STANDSTILL_S)
    with pytest.raises(TimeoutError):
        await _nothing(loop.time() + _SHORT_S)


async def test_a_limit_that_has_passed_already_is_one() -> None:
    """However long ago it was: nothing was waited for."""
    with pytest.raises(TimeoutError):
        await _nothing(asyncio.get_running_loop().time() - 2 * LATE_S)


async def test_who_is_in_time_is_not_disturbed() -> None:
    """Neither by the limit nor by another error."""
    loop = asyncio.get_running_loop()
    async with TimeLimit(loop.time() + 60):
        pass
    with pytest.raises(KeyError):
        async with TimeLimit(loop.time() + 60):
            raise KeyError


async def test_a_question_is_asked_again_after_a_standstill_alone() -> None:
    """As often as the process stands still; silence while it runs is silence."""
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        if asked < 3:
            asyncio.get_running_loop().call_soon(time.sleep, _STANDSTILL_S)
            await asyncio.Event().wait()
        return asked

    assert await answered(ask, _SHORT_S) == 3
    with pytest.raises(TimeoutError):
        await answered(asyncio.Event().wait, _SHORT_S)


def test_a_busy_loop_does_not_stand_still() -> None:
    """Milliseconds are none; half a second is."""
    assert not stood_still(10.0, 10.1)
    assert stood_still(10.0, 10.0 + LATE_S)


@pytest.mark.parametrize("late_s", [0.0, 2 * LATE_S])
def test_a_stream_that_begins_too_late_is_watched_over(fake_vllm: FakeVllm, late_s: float) -> None:
    """By the loop of the service too, which makes no timer of what is due already."""
    fake_vllm.next(Silence(events=0))

    async def read() -> None:
        http = HttpClient(
            base_url=fake_vllm.base_url, api_key="", connect_timeout_s=5, max_connections=1
        )
        source = await http.post("chat/completions", encode_chat(BASE_MODEL, generation()))
        patience = Patience(
            begun=asyncio.get_running_loop().time() - 60 - late_s,
            deadline=math.inf,
            begin_by=math.inf,
            first_token_timeout_s=60,
            stall_timeout_s=_SHORT_S,
        )
        stream = ChatStream(source, generation(), patience)
        try:
            async with asyncio.timeout(10):
                await anext(stream)
        finally:
            stream.close()
            await http.close()

    with pytest.raises(BackendSilentError, match="first_token_timeout_s"):
        uvloop.run(read())


async def _nothing(until: float) -> None:
    """Wait for what never comes."""
    async with TimeLimit(until):
        await asyncio.Event().wait()
