"""How a replica leaves its pool: it gets nothing new, finishes what it has, and is let go."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Departure:
    """Counts what uses a replica's connections, and tells when nothing does any more.

    Attributes:
        asked: Set once it gets nothing new, for good.
        done: Set once, thereafter, nothing is under way.
    """

    __slots__ = ("_uses", "asked", "done")

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.done = asyncio.Event()
        self._uses = 0

    def ask(self) -> None:
        """Take note that it gets nothing new."""
        self.asked.set()
        self._settle()

    def begin(self) -> None:
        """Take note of a use; `end` must follow."""
        self._uses += 1

    def end(self) -> None:
        """Take note that a use is over."""
        self._uses -= 1
        self._settle()

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Use it inside."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def _settle(self) -> None:
        if self.asked.is_set() and not self._uses:
            self.done.set()
