"""Changes of state as they happen, to those who watch; also those by other routers."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection
from functools import partial
from typing import TYPE_CHECKING, Final

from tame_router.registry.record import RevisionRecord, StateChange
from tame_router.registry.records.access import Records

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore

BATCH: Final = 100
"""Changes that are read at once."""


class Feed:
    """Tells changes of state. However many watch, one question in `poll_s` finds that there is any.

    Args:
        records: The records.
        poll_s: Time after which a change by another router is seen, at most.
    """

    def __init__(self, records: Records, *, poll_s: float) -> None:
        self._records = records
        self._poll_s = poll_s
        self._news = asyncio.Event()
        self._ended = False
        self._asking = asyncio.Lock()
        self._last = 0
        self._due_s = 0.0  # when the records are asked again, on the event loop's clock

    def end(self) -> None:
        """End all watching, now and from here on: the router stops."""
        self._ended = True
        self.tell()

    def tell(self) -> None:
        """Say that there is a change."""
        self._due_s = 0.0
        self._news.set()
        self._news = asyncio.Event()

    async def start(self, name: str) -> int:
        """Give the number behind which a watcher begins that has seen nothing yet.

        Args:
            name: The revision that is watched, whose present state comes first; empty: all are,
                and only changes to come are told.
        """
        last = await self._records.ask(lambda store: store.last_sequence(name))
        return max(last - 1, 0) if name else last

    async def changes(
        self, after: int, experts: Collection[str] | None, name: str = ""
    ) -> AsyncGenerator[tuple[StateChange, RevisionRecord], None]:
        """Give changes in order, until watching is ended.

        Args:
            after: Number of the last one that is known.
            experts: Of these experts' revisions; None: of all.
            name: Of this revision; empty: of all.
        """
        while not self._ended:
            news = self._news
            last = await self._reached()
            if last <= after:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(self._due_s):
                        await news.wait()
                continue
            found = await self._records.ask(partial(_read, after, experts, name))
            for change, record in found:
                after = change.sequence
                yield change, record
            if len(found) < BATCH:  # whatever came up to the last one is not for this watcher
                after = max(after, last)

    async def _reached(self) -> int:
        """Give the number of the last change, as the records said at most `poll_s` ago."""
        async with self._asking:
            now_s = asyncio.get_running_loop().time()
            if now_s >= self._due_s:
                # Before the answer: what is told of while it is under way is asked for again.
                self._due_s = now_s + self._poll_s
                self._last = await self._records.ask(lambda store: store.sequence())
            return self._last


def _read(
    after: int, experts: Collection[str] | None, name: str, store: "RecordStore"
) -> list[tuple[StateChange, RevisionRecord]]:
    found = []
    for change in store.changes(after, experts, BATCH, revision=name):
        record = store.get(change.revision, with_report=False)
        if record is not None:
            found.append((change, record))
    return found
