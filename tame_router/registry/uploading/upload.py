"""One stream of an upload, received by a thread of its own, off the event loop.

The network's bytes come in on the loop; order, checksums, digests, checks and the disk are
the thread's, so that both go on at once. What waits between them is bounded.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tame_router.errors_registry import StorageFullError, UploadInterruptedError
from tame_router.registry.finding import Finding
from tame_router.registry.manifest import Manifest, make_manifest
from tame_router.registry.request import Announcement, Chunk, Progress
from tame_router.registry.storage.storage_error import storage_error
from tame_router.registry.uploading.receiver import Receiver
from tame_router.registry.uploading.sink import Nowhere
from tame_router.registry.uploading.staging import Staging

WAITING_BYTES = 8 * 2**20
"""Bytes that may wait for an upload's thread."""

WAITING_CHUNKS = 64
"""And chunks, however small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An upload of which all is here.

    Attributes:
        manifest: Its files.
        folder: Where they lie under their paths, digested and flushed, until the upload is
            discarded; None: a dry run, which kept nothing.
        findings: What was found; nothing fatal, except by a dry run.
        signature: Bytes of `model.sig`; empty: there is none.
    """

    manifest: Manifest
    folder: Path | None
    findings: tuple[Finding, ...]
    signature: bytes


class Upload:
    """One stream of an upload. Its methods are called one after another.

    Args:
        announced: What is to come.
        receiver: Receives it.
        folder: Where it goes; None: nowhere, a dry run.
        room_bytes: Bytes that all uploads beside it may take, with it; None: no limit.
    """

    def __init__(
        self,
        announced: Announcement,
        receiver: Receiver,
        folder: Path | None,
        *,
        room_bytes: int | None = None,
    ) -> None:
        self._announced = announced
        self._receiver = receiver
        self._folder = folder
        self._room_bytes = room_bytes
        self._staging: Staging | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._waiting_bytes = 0
        self._error: Exception | None = None
        self._discarded = False
        self._interrupted = False
        self._closing: Future[None] | None = None
        self._told = receiver.progress

    @property
    def progress(self) -> Progress:
        """What is safely received; of a dry run, where it began."""
        return self._durable or self._told

    async def begin(self) -> None:
        """Check what is announced, and find what is here already.

        Raises:
            UploadError: When it is refused.
            UploadInterruptedError: When another process receives it.
            StorageFullError: When the disk has no room for it.
            StorageUnavailableError: When the disk cannot be used.
        """
        await self._in_thread(self._begin)
        self._told = self._receiver.progress

    async def write(self, chunk: Chunk) -> Progress | None:
        """Take a chunk, and give what is safely received where that is news.

        What is wrong with a chunk may be raised by a later call.

        Raises:
            UploadError: When it is out of place or damaged, or what it holds is refused.
            UploadInterruptedError: When another stream took over.
            StorageFullError: When the disk is full.
            StorageUnavailableError: When the disk cannot be used.
        """
        self._raise_error()
        size = len(chunk.data)
        self._waiting.append((self._submit(lambda: self._receiver.take(chunk)), size))
        self._waiting_bytes += size
        while self._waiting:
            future, size = self._waiting[0]
            full = self._waiting_bytes > WAITING_BYTES or len(self._waiting) > WAITING_CHUNKS
            if not (full or future.done()):
                break
            self._waiting.popleft()
            self._waiting_bytes -= size
            if not future.done():
                await asyncio.wrap_future(future)
        self._raise_error()
        durable = self._durable
        if durable is None or durable == self._told:
            return None
        self._told = durable
        return durable

    async def finish(self) -> Received:
        """See that all is here, and check it as a whole.

        Raises:
            UploadError: When something is missing or refused.
            UploadInterruptedError: When another stream took over.
            StorageFullError: When the disk is full.
            StorageUnavailableError: When the disk cannot be used.
        """
        await self._in_thread(self._receiver.finish)
        return Received(
            manifest=make_manifest(self._announced.files),
            folder=self._staging.files if self._staging else None,
            findings=tuple(self._receiver.findings),
            signature=bytes(self._receiver.signature),
        )

    def discard(self) -> None:
        """Have what is here thrown away at the end: it is kept elsewhere, or is not wanted."""
        self._discarded = True

    async def interrupt(self) -> None:
        """Let another stream take over: what was received stays, this one takes no more."""
        self._interrupted = True
        await self.close()

    async def close(self) -> None:
        """Let the thread finish what it has, and let go of the folder."""
        if self._closing is None:
            self._closing = self._thread.submit(self._close)
            self._thread.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(self._closing))

    @property
    def _durable(self) -> Progress | None:
        return self._staging.durable if self._staging else None

    def _begin(self) -> None:
        self._receiver.check_announced()
        if self._folder is None:
            self._receiver.begin(Nowhere())
            return
        self._staging = Staging(self._folder)
        if self._room_bytes is not None:
            self._staging.require_share(self._announced.size_bytes, self._room_bytes)
        self._receiver.begin(self._staging)
        progress = self._receiver.progress
        self._staging.make_room(progress.size_bytes - progress.received_bytes)

    def _close(self) -> None:
        if self._staging:
            # An announcement alone is nothing to keep.
            at = self._receiver.progress
            empty = at.received_bytes < min(at.size_bytes, 1)
            unwanted = self._discarded or self._receiver.refused or empty
            self._staging.close(discard=unwanted or isinstance(self._error, StorageFullError))

    async def _in_thread(self, work: Callable[[], None]) -> None:
        """Do something after all that waits."""
        self._raise_error()
        await asyncio.wrap_future(self._submit(work))
        self._raise_error()

    def _submit(self, work: Callable[[], None]) -> Future[None]:
        def guarded() -> None:
            if self._error is not None:
                return
            try:
                work()
            except OSError as error:
                self._error = storage_error(error)
                self._error.__cause__ = error
            except Exception as error:  # raised again where the caller waits
                self._error = error

        return self._thread.submit(guarded)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
        if self._interrupted:
            raise UploadInterruptedError(
                "another stream of this upload took over; announce the files again to take it back"
            )
