"""Bytes that nothing needs any more: of old refused and retired revisions, and lost uploads.

A crash between the end of an upload and its record leaves bytes in the store that no record
names: strays. They go once they are as old as an upload may be that is still going on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from tame_router.registry.record import Actor
from tame_router.registry.records.access import Records
from tame_router.registry.request import Collected
from tame_router.registry.storage.revision_store import RevisionStore

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore

MOST_READ: Final = 1000
"""Records that are read at once; publications wait for the one thread of the records meanwhile."""

MOST_MARKED: Final = 20
"""The same of those that are changed, each in a transaction of its own."""

DropUploads = Callable[[datetime], Awaitable[int]]
"""Throws uploads away that began before a moment and were not finished; counts them."""


class Garbage:
    """Removes bytes. What a label, a job, or history within the retention needs is never removed.

    Nor is what is uploaded again meanwhile, where the store is a folder: which revisions go is
    asked under the lock that whoever adds waits for, and an upload is acknowledged only once it
    was seen to lie there after its record said so. A bucket has no such lock. There an upload of
    the same bytes can be lost that ends while they are being removed, within the time that takes
    (a listing and some deletions); its record says that it is there, its publication then that
    its bytes are gone, and uploading it once more brings them back.

    Args:
        records: What is known of revisions.
        store: Where their bytes are.
        drop_uploads: Throws unfinished uploads away.
        retention: Age from which bytes of refused and retired revisions may go.
        upload_age: Age from which an unfinished upload counts as lost, and a stray as one.
    """

    def __init__(
        self,
        records: Records,
        store: RevisionStore,
        drop_uploads: DropUploads,
        *,
        retention: timedelta,
        upload_age: timedelta,
    ) -> None:
        self._records = records
        self._store = store
        self._drop_uploads = drop_uploads
        self._retention = retention
        self._upload_age = upload_age

    async def collect(self, actor: Actor, *, dry_run: bool) -> Collected:
        """Remove what nothing needs.

        Args:
            actor: Who wants it.
            dry_run: Tell what that is, but for unfinished uploads, and remove nothing.

        Raises:
            StoreUnavailableError: When the records cannot be used.
            StorageUnavailableError: When the bytes cannot be removed now.
            CorruptRevisionError: When a manifest that a record names cannot be read; it says
                which, and no bytes are removed.
        """
        now = datetime.now(UTC)
        loop = asyncio.get_running_loop()
        gone: set[str] = set()
        strays: set[str] = set()
        if dry_run:
            names = await self._records.ask(lambda s: tuple(s.garbage(now, self._retention)))
        else:
            # Noted first: a revision whose bytes are going must not be published meanwhile.
            names = await self._marked(now, actor)

        def choose(kept: Mapping[str, float]) -> set[str]:
            """Ask from the store's thread, which holds its lock: who uploads again is safe."""
            oldest_s = self._upload_age.total_seconds()
            old = [name for name, age_s in kept.items() if age_s >= oldest_s]
            noted = asyncio.run_coroutine_threadsafe(self._noted(), loop).result()
            # Those noted as removed also by a process that died before their bytes were.
            removed = (name for name in {*names, *kept} if noted.get(name))
            gone.update(names if dry_run else (), removed)
            strays.update(name for name in old if name not in noted)
            return gone | strays

        freed = await asyncio.to_thread(self._store.collect, choose, dry_run=dry_run)
        uploads = 0 if dry_run else await self._drop_uploads(now - self._upload_age)
        return Collected(
            revisions=tuple(name for name in names if name in gone),
            strays=tuple(sorted(strays)),
            freed_bytes=freed,
            uploads=uploads,
        )

    async def _marked(self, now: datetime, actor: Actor) -> tuple[str, ...]:
        """Note what goes, and forget what is as old."""
        since = now - self._retention
        await self._records.ask(lambda store: store.forget(since))  # so old is not sent again
        await self._records.ask(lambda store: store.drop_jobs(since))
        names = await self._records.ask(lambda store: store.garbage(now, self._retention))
        marked: list[str] = []
        for first in range(0, len(names), MOST_MARKED):
            few = names[first : first + MOST_MARKED]
            marked += await self._records.ask(partial(_mark, names=few, actor=actor))
        return tuple(marked)

    async def _noted(self) -> dict[str, bool]:
        """Give all revisions that have a record, each with whether its bytes were noted to go."""
        noted: dict[str, bool] = {}
        after = ""
        while True:
            page = await self._records.ask(partial(_removals, after=after))
            noted.update(page)
            if len(page) < MOST_READ:
                return noted
            after = page[-1][0]


def _mark(store: "RecordStore", names: Sequence[str], actor: Actor) -> list[str]:
    return [name for name in names if store.mark_removed(name, actor)]


def _removals(store: "RecordStore", after: str) -> Sequence[tuple[str, bool]]:
    return store.removals(after, MOST_READ)
