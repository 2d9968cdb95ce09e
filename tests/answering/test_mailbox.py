"""Where happenings wait."""

import asyncio

import pytest

from tame_router.answering.mailbox import Mailbox
from tame_router.backends.backend import Piece
from tests.answering.join_scripts import finish

pytestmark = pytest.mark.anyio


async def test_what_waited_comes_as_one() -> None:
    """Pieces of one step are put together; its end stays apart."""
    mailbox = Mailbox(2, most_chars=100)
    for text in ("a", "b", "c"):
        await mailbox.put(1, Piece(text=text, logprobs=b'[{"token":"%s"}]' % text.encode()))
    await mailbox.put(1, finish("e1"))
    index, piece = await mailbox.take([0, 1])
    assert isinstance(piece, Piece)
    assert (index, piece.text) == (1, "abc")
    assert piece.logprobs == b'[{"token":"a"},{"token":"b"},{"token":"c"}]'
    assert await mailbox.take([1]) == (1, finish("e1"))


async def test_who_is_not_listened_to_is_not_heard() -> None:
    """What another step did is given first, though it came later."""
    mailbox = Mailbox(2, most_chars=100)
    await mailbox.put(1, Piece(text="other"))
    await mailbox.put(0, Piece(text="lead"))
    assert (await mailbox.take([0]))[0] == 0


async def test_steps_take_turns() -> None:
    """Of several that wait none is heard twice before the others are."""
    mailbox = Mailbox(2, most_chars=100)
    for index in (0, 1):
        await mailbox.put(index, Piece(text="x"))
    await mailbox.put(0, finish("e0"))
    heard = [(await mailbox.take([0, 1]))[0] for _ in range(3)]
    assert heard == [0, 1, 0]


async def test_who_writes_more_than_fits_waits() -> None:
    """Until what it wrote has been taken."""
    mailbox = Mailbox(1, most_chars=4)
    await mailbox.put(0, Piece(text="12345"))
    waiting = asyncio.Event()

    async def write() -> None:
        await mailbox.put(0, Piece(text="6"))
        waiting.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        await asyncio.sleep(0)
        assert not waiting.is_set()
        await mailbox.take([0])
        await waiting.wait()
    _, piece = await mailbox.take([0])
    assert isinstance(piece, Piece)
    assert piece.text == "6"
