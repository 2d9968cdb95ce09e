"""Words that are given away as they arrive: nothing of the answer is lost, doubled or moved."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tame_router.backends.backend import TAKEN, Generation, Piece
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.chat import FinishReason, Format, ResponseFormat, Shape
from tame_router.errors import BackendSilentError
from tests.fakes.generations import REVISION, finish_of, generation, text_of, usage_of
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, Pace, Raw, Silence
from tests.fakes.vllm_wire import answer_events

pytestmark = pytest.mark.anyio

Fakes = tuple[FakeVllm, ...]
WORDS = tuple(f"詞{n} " for n in range(12))
STEADY = Pace(token_s=0.01, answer_tokens=12)


class Taker:
    """Takes pieces, at once or when it is told to; keeps them in one row with those that are read.

    Attributes:
        pieces: All of them, in order.
        given: How many were given away.
        room: There is room for the next.
        error: What taking raises; None: nothing.
    """

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.given = 0
        self.room = asyncio.Event()
        self.room.set()
        self.error: Exception | None = None

    def __call__(self, piece: Piece) -> Awaitable[None]:
        """Take one."""
        if self.error is not None:
            raise self.error
        self.pieces.append(piece)
        self.given += 1
        return TAKEN if self.room.is_set() else self._wait()

    async def _wait(self) -> None:
        await self.room.wait()

    async def read(self, backend: VllmBackend | ReplicaPool, asked: Generation) -> None:
        """Read an answer; what comes behind its first words may be given away."""
        async with backend.open(asked) as stream:
            async for piece in stream:
                if not self.pieces:
                    stream.divert(self)
                self.pieces.append(piece)


async def test_words_are_given_away_in_their_order(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """What is given away and what is read are one answer; the end and its tokens are read."""
    fake_vllm.text = "".join(WORDS)
    fake_vllm.pace = STEADY
    taker = Taker()
    await taker.read(connect(), generation())
    assert text_of(taker.pieces) == "".join(WORDS)
    assert taker.given > 1
    assert taker.pieces[-1].usage is not None


@pytest.mark.parametrize("size", [1, 7, 50])
async def test_words_cut_anywhere_are_given_away_whole(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, size: int
) -> None:
    """Where the network cuts events, only whole ones are given away."""
    events = answer_events(REVISION, WORDS, prompt_tokens=3)
    fake_vllm.next(Raw(body=b"".join(events), chop=size))
    taker = Taker()
    await taker.read(connect(), generation())
    assert text_of(taker.pieces) == "".join(WORDS)
    assert usage_of(taker.pieces).completion_tokens == len(WORDS)


async def test_a_taker_without_room_is_waited_for(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Nothing more is given to it meanwhile, and its time is no silence of the server."""
    fake_vllm.text = "".join(WORDS)
    fake_vllm.pace = STEADY
    taker = Taker()
    taker.room.clear()
    waited: list[int] = []

    def make_room() -> None:
        waited.append(taker.given)
        taker.room.set()

    asyncio.get_running_loop().call_later(0.5, make_room)
    await taker.read(connect(stall_timeout_s=0.2), generation())
    assert waited == [1]
    assert text_of(taker.pieces) == "".join(WORDS)


async def test_silence_behind_words_that_were_given_away(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A server that falls silent is given up, whoever was given its last words."""
    fake_vllm.pace = STEADY
    fake_vllm.next(Silence(events=6))
    taker = Taker()
    with pytest.raises(BackendSilentError, match="stall_timeout_s"):
        await taker.read(connect(stall_timeout_s=0.2), generation())
    assert taker.pieces


async def test_what_taking_raises_is_the_readers(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """An error of the taker ends the reading with it, as if it had been raised there."""
    fake_vllm.pace = STEADY
    taker = Taker()
    taker.error = ValueError("full")
    with pytest.raises(ValueError, match="full"):
        await taker.read(connect(), generation())


@pytest.mark.parametrize(
    "shape",
    [Shape(choices=2), Shape(response_format=ResponseFormat(format=Format.JSON_OBJECT))],
    ids=["several", "json"],
)
async def test_what_is_not_plain_is_read(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, shape: Shape
) -> None:
    """Several answers at once, and JSON that is made valid, are never given away."""
    fake_vllm.pace = STEADY
    taker = Taker()
    await taker.read(connect(), generation(shape=shape))
    assert taker.given == 0
    assert taker.pieces


async def test_words_go_on_elsewhere(pool: ReplicaPool, replicas: Fakes) -> None:
    """Behind a cut the rest comes from another replica, and is given away too."""
    for fake in replicas:
        fake.text = "".join(WORDS)
        fake.pace = STEADY
    await pool.look()
    uncut = Taker()
    await uncut.read(pool, generation(revision=""))
    for fake in replicas:
        fake.next(Cut(after_bytes=2500))
    taker = Taker()
    await taker.read(pool, generation(revision=""))
    assert text_of(taker.pieces) == text_of(uncut.pieces) == "".join(WORDS)
    told, wanted = usage_of(taker.pieces), usage_of(uncut.pieces)
    assert told.completion_tokens == wanted.completion_tokens
    assert told.failovers > 0
    assert taker.given > 1


async def test_a_stop_string_in_words_that_come_one_by_one(
    pool: ReplicaPool, replicas: Fakes
) -> None:
    """It ends the answer, though others of its words were given away."""
    for fake in replicas:
        fake.text = "".join(WORDS)
        fake.pace = STEADY
    await pool.look()
    taker = Taker()
    await taker.read(pool, generation(revision="", stop=("詞7 詞8",)))
    assert text_of(taker.pieces) == "".join(WORDS[:7])
    assert finish_of(taker.pieces) is FinishReason.STOP
