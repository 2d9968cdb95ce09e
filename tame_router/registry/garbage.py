"""Bytes that nothing needs any more: of old refused and retired revisions, and lost uploads.

A crash between the end of an upload and its record leaves bytes in the store that no record
names: strays. They go once they are as old as an upload may be that is still going on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tame_router.registry.record import Actor
from tame_router.registry.records.access import Records
from tame_router.registry.request import Collected
from tame_router.registry.storage.revision_store import RevisionStore

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore

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
        """
        now = datetime.now(UTC)
        loop = asyncio.get_running_loop()
        gone: set[str] = set()
        strays: set[str] = set()
        if dry_run:
            names = await self._records.ask(lambda s: tuple(s.garbage(now, self._retention)))
        else:
            # Noted first: a revision whose bytes are going must not be published meanwhile.
            names = await self._records.ask(lambda s: _marked(s, now, self._retention, actor))

        def choose(kept: Mapping[str, float]) -> set[str]:
            """Ask from the store's thread, which holds its lock: who uploads again is safe."""
            oldest_s = self._upload_age.total_seconds()
            old = [name for name, age_s in kept.items() if age_s >= oldest_s]
            asking = self._records.ask(
                lambda s: (_removed(s, {*names, *kept}), _unrecorded(s, old))
            )
            removed, unrecorded = asyncio.run_coroutine_threadsafe(asking, loop).result()
            gone.update(names if dry_run else (), removed)
            strays.update(unrecorded)
            return gone | strays

        freed = await asyncio.to_thread(self._store.collect, choose, dry_run=dry_run)
        uploads = 0 if dry_run else await self._drop_uploads(now - self._upload_age)
        return Collected(
            revisions=tuple(name for name in names if name in gone),
            strays=tuple(sorted(strays)),
            freed_bytes=freed,
            uploads=uploads,
        )


def _marked(
    store: "RecordStore", now: datetime, retention: timedelta, actor: Actor
) -> tuple[str, ...]:
    store.forget(now - retention)  # calls so old are not sent again
    store.drop_jobs(now - retention)
    return tuple(name for name in store.garbage(now, retention) if store.mark_removed(name, actor))


def _removed(store: "RecordStore", names: Iterable[str]) -> list[str]:
    """Give those noted as removed: also by a process that died before their bytes were."""
    records = [store.get(name, with_report=False) for name in names]
    return [record.name for record in records if record and record.removed]


def _unrecorded(store: "RecordStore", names: Iterable[str]) -> list[str]:
    """Give those of which no record says anything."""
    return [name for name in names if store.get(name, with_report=False) is None]
