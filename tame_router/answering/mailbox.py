"""Where the happenings of an answer's steps wait until they are listened to. Bounded.

What one step writes while nobody listens is put together: a hundred pieces that waited are
handed out as one. Who writes more than fits waits, and with it the reading from its backend.
"""

import asyncio
from collections import deque
from collections.abc import Collection

from tame_router.answering.happening import Happening
from tame_router.backends.backend import Piece


class _Slot:
    """What waits of one step."""

    __slots__ = ("chars", "room", "waiting")

    def __init__(self) -> None:
        self.chars = 0
        self.waiting: deque[Happening] = deque()
        self.room = asyncio.Event()


class Mailbox:
    """Takes happenings of steps, and gives those that are listened to.

    Args:
        steps: Steps there are from the beginning.
        most_chars: Characters of one step that may wait; one piece more is always taken.
    """

    def __init__(self, steps: int, most_chars: int) -> None:
        self._most_chars = most_chars
        self._slots = [_Slot() for _ in range(steps)]
        self._news = asyncio.Event()
        self._next = 0

    def add_step(self) -> None:
        """Make room for one step more."""
        self._slots.append(_Slot())

    async def put(self, index: int, happening: Happening) -> None:
        """Leave what a step did; waits while as much of it waits as may."""
        slot = self._slots[index]
        while slot.chars >= self._most_chars:
            slot.room.clear()
            await slot.room.wait()
        slot.waiting.append(happening)
        if isinstance(happening, Piece):
            slot.chars += len(happening.text)
        self._news.set()

    async def take(self, listening: Collection[int]) -> tuple[int, Happening]:
        """Wait for what one of these steps did; what waits of several is taken by turns.

        Args:
            listening: Numbers of steps, never empty.
        """
        while True:
            for index in sorted(listening, key=lambda i: (i < self._next, i)):
                slot = self._slots[index]
                if slot.waiting:
                    self._next = index + 1
                    return index, self._gathered(slot)
            self._news.clear()
            await self._news.wait()

    def _gathered(self, slot: _Slot) -> Happening:
        first = slot.waiting.popleft()
        if not isinstance(first, Piece):
            return first
        if not (slot.waiting and isinstance(slot.waiting[0], Piece)):
            slot.chars -= len(first.text)
            slot.room.set()
            return first
        pieces = [first]
        while slot.waiting and isinstance(slot.waiting[0], Piece):
            piece = slot.waiting.popleft()
            # The condition of the loop, which a type checker cannot see through `popleft`.
            if isinstance(piece, Piece):
                pieces.append(piece)
        slot.chars = 0
        slot.room.set()
        return Piece(
            text="".join([piece.text for piece in pieces]),
            tool_calls=tuple(call for piece in pieces for call in piece.tool_calls),
            logprobs=_joined([piece.logprobs for piece in pieces if piece.logprobs]),
        )


def _joined(lists: list[bytes]) -> bytes:
    """Put JSON lists behind each other."""
    inner = [listing.strip()[1:-1] for listing in lists]
    return b"[" + b",".join(part for part in inner if part.strip()) + b"]" if inner else b""
