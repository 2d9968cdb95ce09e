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
    """Tells changes of state.

    Args:
        records: The records.
        poll_s: Time after which a change by another router is seen, at most.
    """

    def __init__(self, records: Records, *, poll_s: float) -> None:
        self._records = records
        self._poll_s = poll_s
        self._news = asyncio.Event()
        self._ended = False

    def end(self) -> None:
        """End all watching, now and from here on: the router stops."""
        self._ended = True
        self.tell()

    def tell(self) -> None:
        """Say that there is a change."""
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
            found = await self._records.ask(partial(_read, after, experts, name))
            for change, record in found:
                after = change.sequence
                yield change, record
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), self._poll_s)


def _read(
    after: int, experts: Collection[str] | None, name: str, store: "RecordStore"
) -> list[tuple[StateChange, RevisionRecord]]:
    found = []
    for change in store.changes(after, experts, BATCH, revision=name):
        record = store.get(change.revision, with_report=False)
        if record is not None:
            found.append((change, record))
    return found
