"""A stream waits as long as it may, no longer, and lets its connection go."""

import asyncio
import threading
from collections.abc import Callable

import anyio
import pytest

from tame_router.backends.backend import Piece
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.chat import FinishReason, Usage
from tame_router.errors import BackendSilentError, DeadlineExceededError, StreamBrokenError
from tests.fakes.generations import (
    REVISION,
    as_json,
    finish_of,
    generation,
    read,
    text_of,
    usage_of,
)
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, Pace, Raw, Received, Silence, Truncate
from tests.fakes.vllm_wire import answer_events, count_tokens

pytestmark = pytest.mark.anyio

PROMPT_TOKENS = count_tokens(as_json(generation()))


async def disconnected(received: Received) -> bool:
    """Wait until the server has seen that the client left."""
    return await anyio.to_thread.run_sync(received.disconnected.wait, 10)


@pytest.mark.parametrize(
    ("silence", "setting"),
    [
        (Silence(events=None), "first_token_timeout_s"),
        (Silence(events=0), "first_token_timeout_s"),
        (Silence(events=1), "first_token_timeout_s"),
        (Silence(events=1, comment_s=0.02), "first_token_timeout_s"),
        (Silence(events=3), "stall_timeout_s"),
        (Silence(events=3, comment_s=0.02), "stall_timeout_s"),
    ],
)
async def test_silence_is_given_up(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, silence: Silence, setting: str
) -> None:
    """A server that sends no words must be left, whether it keeps the connection alive or not."""
    fake_vllm.next(silence)
    backend = connect(first_token_timeout_s=0.2, stall_timeout_s=0.2)
    with pytest.raises(BackendSilentError, match=setting) as caught:
        await read(backend, generation())
    assert caught.value.retry_after_s == 1.0
    assert await disconnected(fake_vllm.chats[0])


@pytest.mark.parametrize(
    "pace", [Pace(answer_tokens=6), Pace(burst=True, answer_tokens=6)], ids=str
)
async def test_a_first_piece_can_be_waited_for(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, pace: Pace
) -> None:
    """It is then read like all others, and so is the end of an answer without words."""
    fake_vllm.pace = pace
    backend = connect()
    whole = text_of(await read(backend, generation()))
    async with backend.open(generation()) as stream:
        await stream.begin()
        assert text_of([piece async for piece in stream]) == whole
    fake_vllm.next(Truncate(events=0))
    async with backend.open(generation()) as stream:
        with pytest.raises(StreamBrokenError):
            await stream.begin()


@pytest.mark.parametrize("first_token_s", [0, 0.25])
async def test_short_stall_after_a_long_first_wait_is_noticed(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, first_token_s: float
) -> None:
    """Once words came, the shorter limit must count, and before them it must not."""
    fake_vllm.pace = Pace(first_token_s=first_token_s)
    fake_vllm.next(Silence(events=3))
    backend = connect(first_token_timeout_s=60, stall_timeout_s=0.1)
    with pytest.raises(BackendSilentError, match="stall_timeout_s"):
        await read(backend, generation())


async def test_slow_but_steady_answer_is_waited_for(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """An answer that takes longer than a stall may last must pass when words keep coming."""
    fake_vllm.pace = Pace(token_s=0.03, answer_tokens=16)
    backend = connect(first_token_timeout_s=0.3, stall_timeout_s=0.3)
    pieces = await read(backend, generation())
    assert len(pieces) > 8


async def test_slow_reader_is_not_a_silent_backend(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Time that the reader takes for a piece must not count against the server."""
    fake_vllm.pace = Pace(token_s=0.02, answer_tokens=8)
    backend = connect(first_token_timeout_s=0.2, stall_timeout_s=0.2)
    asked = generation()
    pieces: list[Piece] = []
    async with backend.open(asked) as stream:
        async for piece in stream:
            if not pieces:
                loop = asyncio.get_running_loop()
                slow = loop.create_future()
                loop.call_later(0.5, slow.set_result, None)
                await slow
            pieces.append(piece)
    assert finish_of(pieces)


@pytest.mark.parametrize("silence", [Silence(events=None), Silence(events=0), Silence(events=3)])
async def test_deadline_ends_the_wait(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, silence: Silence
) -> None:
    """The caller's deadline must end a generation at any stage, on the server too."""
    fake_vllm.next(silence)
    backend = connect()
    deadline = asyncio.get_running_loop().time() + 0.1
    with pytest.raises(DeadlineExceededError):
        await read(backend, generation(deadline=deadline))
    assert await disconnected(fake_vllm.chats[0])
    assert fake_vllm.finished["abort"] == 1


async def test_deadline_counts_while_the_reader_is_busy(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """The server must be stopped at the deadline even when nobody is reading just then."""
    fake_vllm.next(Silence(events=3))
    backend = connect()
    deadline = asyncio.get_running_loop().time() + 0.2
    async with backend.open(generation(deadline=deadline)) as stream:
        await anext(stream)
        assert await disconnected(fake_vllm.chats[0])
        with pytest.raises(DeadlineExceededError):
            await anext(stream)


async def test_past_deadline_asks_nothing(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A generation whose deadline has passed must not reach the server."""
    backend = connect()
    with pytest.raises(DeadlineExceededError):
        await read(backend, generation(deadline=asyncio.get_running_loop().time()))
    assert fake_vllm.received == []


@pytest.mark.parametrize(
    "fault",
    [Cut(after_bytes=0), Cut(after_bytes=300), Truncate(events=0), Truncate(events=4)],
)
async def test_broken_answer_is_broken(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, fault: Cut | Truncate
) -> None:
    """An answer that ends early, cleanly or not, must be a broken stream worth another try."""
    fake_vllm.next(fault)
    backend = connect()
    with pytest.raises(StreamBrokenError) as caught:
        await read(backend, generation())
    assert caught.value.retry_after_s == 1.0


async def test_break_after_the_last_word_does_not_spoil_the_answer(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A connection that breaks once the finish was read must leave a whole answer."""
    fake_vllm.text = "abc"
    hold = threading.Event()
    events = answer_events(REVISION, ("a", "b", "c"), prompt_tokens=PROMPT_TOKENS)
    fake_vllm.next(Cut(after_bytes=len(b"".join(events[:-2])), hold=hold))
    backend = connect()
    pieces: list[Piece] = []
    async with backend.open(generation()) as stream:
        async for piece in stream:
            pieces.append(piece)
            if piece.finish_reason:
                hold.set()
    assert text_of(pieces) == "abc"
    assert finish_of(pieces) is FinishReason.STOP


async def test_endless_body_after_the_answer_costs_the_connection_only(
    connect: Callable[..., VllmBackend],
    fake_vllm: FakeVllm,
) -> None:
    """A body that does not end after [DONE] must be left after a moment, the answer whole."""
    fake_vllm.next(Silence(events=100))
    backend = connect()
    pieces = await read(backend, generation())
    assert finish_of(pieces) is FinishReason.STOP
    assert await disconnected(fake_vllm.chats[0])


@pytest.mark.parametrize("size", [1, 7])
async def test_bytes_cut_anywhere_give_the_same_words(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, size: int
) -> None:
    """Characters cut in the middle by the network must come out whole."""
    events = answer_events(REVISION, ("《勞動基準法》", "🩺", '"\\'), prompt_tokens=3)
    fake_vllm.next(Raw(body=b"".join(events), chop=size))
    backend = connect()
    pieces = await read(backend, generation())
    assert text_of(pieces) == '《勞動基準法》🩺"\\'
    assert usage_of(pieces) == Usage(prompt_tokens=3, completion_tokens=3)


async def test_leaving_early_stops_the_server(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Leaving the context before the end must close the connection at once."""
    fake_vllm.pace = Pace(token_s=0.01, answer_tokens=2000)
    backend = connect()
    async with backend.open(generation()) as stream:
        await anext(stream)
    assert await disconnected(fake_vllm.chats[0])
    assert fake_vllm.finished == {"stop": 0, "length": 0, "abort": 1}


@pytest.mark.parametrize("events", [None, 0, 3])
async def test_cancelling_stops_the_server(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, events: int | None
) -> None:
    """A cancelled task must stop its generation, whatever it was waiting for."""
    fake_vllm.next(Silence(events=events))
    backend = connect()
    async with anyio.create_task_group() as group:
        group.start_soon(read, backend, generation())
        received = await anyio.to_thread.run_sync(lambda: fake_vllm.inbox.get(timeout=10))
        group.cancel_scope.cancel()
    assert await disconnected(received)


async def test_connection_is_used_again_after_a_whole_answer(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Answers read to their end must share a connection."""
    backend = connect()
    for _ in range(5):
        await read(backend, generation())
    assert len({one.connection for one in fake_vllm.chats}) == 1


async def test_burst_is_one_piece(connect: Callable[..., VllmBackend], fake_vllm: FakeVllm) -> None:
    """An answer that arrives at once must not be handed out token by token."""
    fake_vllm.pace = Pace(burst=True, answer_tokens=64)
    backend = connect()
    asked = generation()
    pieces = await read(backend, asked)
    assert len(pieces) <= 3
    assert text_of(pieces) == "".join(fake_vllm.tokens_for(REVISION, as_json(asked)))
