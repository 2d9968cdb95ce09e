"""Bytes that nothing needs any more: of old refused and retired revisions, and lost uploads.

A crash between the end of an upload and its record leaves bytes in the store that no record
names: strays. They go once they are as old as an upload may be that is still going on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from tame_router.registry.observer import UNOBSERVED, Observer
from tame_router.registry.record import Actor, Holding
from tame_router.registry.records.access import Records
from tame_router.registry.request import Collected
from tame_router.registry.storage.clearing import Choice
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.telemetry import log

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
        observer: Is told of revisions whose manifests are damaged.
    """

    def __init__(
        self,
        records: Records,
        store: RevisionStore,
        drop_uploads: DropUploads,
        *,
        retention: timedelta,
        upload_age: timedelta,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._records = records
        self._store = store
        self._drop_uploads = drop_uploads
        self._retention = retention
        self._upload_age = upload_age
        self._observer = observer

    async def collect(self, actor: Actor, *, dry_run: bool) -> Collected:
        """Remove what nothing needs.

        A revision whose manifest cannot be read keeps nobody from that: which files it has is in
        its record. It is named, and an alarm is raised.

        Args:
            actor: Who wants it.
            dry_run: Tell what that is, but for unfinished uploads, and remove nothing.

        Raises:
            StoreUnavailableError: When the records cannot be used.
            StorageUnavailableError: When the bytes cannot be removed now; what was noted as gone
                until then goes with the next run.
        """
        now = datetime.now(UTC)
        loop = asyncio.get_running_loop()
        going = _Going()
        if dry_run:
            names = await self._records.ask(lambda s: tuple(s.garbage(now, self._retention)))
        else:
            # Noted first: a revision whose bytes are going must not be published meanwhile.
            names = await self._marked(now, actor)

        def choose(kept: Mapping[str, float]) -> Choice:
            """Ask from the store's thread, which holds its lock: who uploads again is safe."""
            oldest_s = self._upload_age.total_seconds()
            old = {name for name, age_s in kept.items() if age_s >= oldest_s}
            known = asyncio.run_coroutine_threadsafe(self._known(), loop).result()
            # Those noted as removed also by a process that died before their bytes were.
            removed = {n for n in {*names, *kept} if n in known and known[n].removed}
            going.revisions = removed | (set(names) if dry_run else set())
            going.strays = old - known.keys()
            going.earlier = {
                name: one.contents
                for name, one in known.items()
                if one.removed and name not in going.revisions
            }
            staying = known.keys() - going.earlier.keys()
            return Choice(
                going=going.revisions | going.strays,
                contents={name: known[name].contents for name in staying},
            )

        cleared = await asyncio.to_thread(self._store.collect, choose, dry_run=dry_run)
        self._alarm(cleared.unread, "its manifest cannot be read")
        self._alarm(cleared.lost, "its manifest is not there")
        uploads = 0 if dry_run else await self._drop_uploads(now - self._upload_age)
        owners, contents = going.owners(cleared.nameless)
        return Collected(
            revisions=tuple(sorted(going.revisions | owners)),
            strays=tuple(sorted(going.strays)),
            contents=tuple(sorted(contents)),
            damaged=tuple(sorted(cleared.unread | cleared.lost)),
            freed_bytes=cleared.freed_bytes,
            uploads=uploads,
        )

    def _alarm(self, names: Iterable[str], because: str) -> None:
        """Tell the operator of revisions that are not what they were."""
        for name in sorted(names):
            log.event(logging.ERROR, "adapter.corrupt", revision=name, because=because)
            self._observer.adapter_corrupt()

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

    async def _known(self) -> dict[str, Holding]:
        """Give what all revisions that have a record hold, by their names."""
        known: dict[str, Holding] = {}
        after = ""
        while True:
            page = await self._records.ask(partial(_holdings, after=after))
            known.update((one.name, one) for one in page)
            if len(page) < MOST_READ:
                return known
            after = page[-1].name


@dataclass(slots=True)
class _Going:
    """What goes in one run.

    Attributes:
        revisions: Names of those that have a record.
        strays: Names of those that have none.
        earlier: Contents of those whose manifests went in earlier runs, by name.
    """

    revisions: set[str] = field(default_factory=set)
    strays: set[str] = field(default_factory=set)
    earlier: dict[str, Set[str]] = field(default_factory=dict)

    def owners(self, contents: Set[str]) -> tuple[set[str], Set[str]]:
        """Tell whose bytes went that none of these names: an earlier run was broken off there.

        Returns:
            The names of revisions, and the contents that are none of theirs.
        """
        owners = {name for name, own in self.earlier.items() if own & contents}
        return owners, contents - {one for name in owners for one in self.earlier[name]}


def _mark(store: "RecordStore", names: Sequence[str], actor: Actor) -> list[str]:
    return [name for name in names if store.mark_removed(name, actor)]


def _holdings(store: "RecordStore", after: str) -> Sequence[Holding]:
    return store.holdings(after, MOST_READ)
