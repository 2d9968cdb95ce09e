"""Uploads on their way in: received, kept under their digest, and handed on to be checked."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from tame_router.errors import ExpertNotFoundError
from tame_router.errors_registry import StorageFullError
from tame_router.registry.manifest import Manifest, make_manifest
from tame_router.registry.record import Actor, Job, JobKind, RevisionRecord
from tame_router.registry.records.access import Records
from tame_router.registry.request import Announcement, Checked, Chunk, Progress
from tame_router.registry.state import State
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.registry.uploading.upload import Received, Upload
from tame_router.registry.uploading.uploads import Uploads
from tame_router.registry.uploading.wholeness import Wholeness

NEW_EXPERT = "expert.yaml"
"""The file by which an upload describes an expert that is not there yet."""


class Session(Protocol):
    """An upload that is open."""

    @property
    def progress(self) -> Progress:
        """What is safely received."""
        ...

    async def write(self, chunk: Chunk) -> Progress | None:
        """Take a chunk, and give what is safely received where that is news."""
        ...

    async def finish(self) -> RevisionRecord | Checked:
        """Name the revision, once all its bytes are here; of a dry run, tell what was found."""
        ...


class Intake:
    """Takes uploads.

    Args:
        uploads: Receives bytes.
        store: Keeps them.
        records: Knows revisions.
        known: Tells whether there is an expert of a name.
        whole: Reads bytes that are here.
        warm: Gets what checks uploads ready.
        max_tenant_bytes: Bytes that a tenant's revisions may take on disk.
    """

    def __init__(
        self,
        uploads: Uploads,
        store: RevisionStore,
        records: Records,
        known: Callable[[str], bool],
        whole: Wholeness,
        *,
        warm: Callable[[], Awaitable[None]],
        max_tenant_bytes: int,
    ) -> None:
        self._uploads = uploads
        self._store = store
        self._whole = whole
        self._records = records
        self._known = known
        self._warm = warm
        self._max_tenant_bytes = max_tenant_bytes
        self._keeping: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def uploading(
        self, announced: Announcement, actor: Actor, tell: Callable[[], None], *, dry: bool
    ) -> AsyncIterator[Session]:
        """Open an upload, or go on with one.

        Args:
            announced: What is to come.
            actor: Who sends it.
            tell: Called once there is a new revision.
            dry: Only check, and keep nothing.

        Raises:
            ExpertNotFoundError: When there is no such expert, and the upload describes none.
            UploadError: When what is announced cannot be taken.
            StorageFullError: When the tenant, or the disk, has no room for it.
        """
        new = any(file.path == NEW_EXPERT for file in announced.files)
        if not (new or self._known(announced.expert)):
            raise ExpertNotFoundError(
                f"there is no expert {announced.expert[:64]!r}; an upload that makes one brings"
                f" its {NEW_EXPERT}, prompt.md and utterances too",
                metadata={"expert": announced.expert[:64]},
            )
        record = None if dry else await self._same(announced)
        if record is not None and await self._whole.of(record.name):
            yield _Known(announced, record)
            return
        # What mends a revision that was counted already takes no room.
        counted = record is not None or dry
        room_bytes = None if counted else await self._require_room(announced, actor)
        await self._warm()
        async with self._uploads.receiving(
            actor.tenant, announced, dry=dry, room_bytes=room_bytes
        ) as upload:
            yield _Receiving(upload, lambda got: self._keep(announced, got, actor, tell))

    async def _same(self, announced: Announcement) -> RevisionRecord | None:
        """Give the revision of the same bytes; None: there is none, or its bytes were removed."""
        try:
            manifest = make_manifest(announced.files)
        except ValueError:
            return None  # the checker tells what is wrong
        name = manifest.name(announced.expert)
        record = await self._records.ask(lambda store: store.get(name))
        if record is None or record.removed or record.digest != manifest.digest:
            return None
        return record

    async def _require_room(self, announced: Announcement, actor: Actor) -> int:
        """Give the bytes that a tenant may still bring, its unfinished uploads included."""
        used = await self._records.ask(lambda store: store.tenant_bytes(actor.tenant))
        if used + announced.size_bytes > self._max_tenant_bytes:
            raise StorageFullError(
                f"the revisions of tenant {actor.tenant!r} take {used} of {self._max_tenant_bytes}"
                f" bytes, and {announced.size_bytes} more are announced; have old ones removed"
                " (`tame adapter gc`), or ask the operator for more"
            )
        return self._max_tenant_bytes - used

    async def _keep(
        self, announced: Announcement, got: Received, actor: Actor, tell: Callable[[], None]
    ) -> RevisionRecord | Checked:
        """Keep what was received: its bytes first, then the record that says they are here."""
        manifest, folder = got.manifest, got.folder
        name = manifest.name(announced.expert)
        if folder is None:
            return Checked(name=name, findings=got.findings)
        record = _record(announced.expert, manifest, got, actor)
        job = Job(job_id=f"validate-{name}", kind=JobKind.VALIDATE, revision=name, actor=actor)
        put = partial(self._store.put, announced.expert, manifest, folder, take=True)
        async with self._keeping[actor.tenant]:
            # Several that came at once found room before any of them took it.
            if await self._same(announced) is None:
                await self._require_room(announced, actor)
            await asyncio.to_thread(put)
            try:
                record = await self._records.ask(
                    lambda store: store.add(record, actor, "it was uploaded", job=job)
                )
                # Garbage of the same bytes may have been collected between the two; from here on
                # the record keeps them.
                if not await asyncio.to_thread(self._store.contains, name):
                    await asyncio.to_thread(put)
            finally:
                tell()  # also where whoever sent it has left meanwhile
        return record


class _Receiving:
    """An upload whose bytes are coming in."""

    def __init__(
        self,
        upload: Upload,
        keep: Callable[[Received], Coroutine[Any, Any, RevisionRecord | Checked]],
    ) -> None:
        self._upload = upload
        self._keep = keep

    @property
    def progress(self) -> Progress:
        """What is safely received."""
        return self._upload.progress

    async def write(self, chunk: Chunk) -> Progress | None:
        """Take a chunk, and give what is safely received where that is news."""
        return await self._upload.write(chunk)

    async def finish(self) -> RevisionRecord | Checked:
        """Keep the revision; what was staged is not needed any more then."""
        kept = await self._keep(await self._upload.finish())
        self._upload.discard()
        return kept


class _Known:
    """An upload of bytes that are here: nothing of them is taken again."""

    def __init__(self, announced: Announcement, record: RevisionRecord) -> None:
        self._record = record
        size = announced.size_bytes
        self.progress = Progress(
            upload_id=record.digest[:32],
            file=len(announced.files),
            offset=0,
            running_crc32=0,
            received_bytes=size,
            size_bytes=size,
        )

    async def write(self, chunk: Chunk) -> Progress | None:
        """Take nothing: a caller that sends all the same need not be told off."""
        return None

    async def finish(self) -> RevisionRecord | Checked:
        """Give the revision that is here."""
        return self._record


def _record(expert: str, manifest: Manifest, got: Received, actor: Actor) -> RevisionRecord:
    now = datetime.now(UTC)
    return RevisionRecord(
        name=manifest.name(expert),
        expert=expert,
        digest=manifest.digest,
        manifest=manifest,
        state=State.VALIDATING,
        tenant=actor.tenant,
        subject=actor.subject,
        findings=got.findings,
        create_time=now,
        update_time=now,
    )
