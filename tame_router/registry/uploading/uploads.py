"""Uploads that are under way, each by one stream at a time."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tame_router.errors_registry import UploadInterruptedError
from tame_router.registry.request import Announcement
from tame_router.registry.storage.storage_error import storage_error
from tame_router.registry.uploading.receiver import Receiver
from tame_router.registry.uploading.staging import Staging
from tame_router.registry.uploading.upload import Upload
from tame_router.registry.validation.checker import Checker


class Uploads:
    """Receives uploads into a folder.

    Args:
        folder: Where unfinished uploads lie; on the disk of the store their files are linked
            there, not copied. Processes may share it.
        checker_for: Makes what checks an upload; called anew when bytes have to be read again.
    """

    def __init__(self, folder: Path, checker_for: Callable[[Announcement], Checker]) -> None:
        self._folder = folder
        self._checker_for = checker_for
        self._open: dict[str, Upload] = {}

    @asynccontextmanager
    async def receiving(
        self,
        tenant: str,
        announced: Announcement,
        *,
        dry: bool = False,
        room_bytes: int | None = None,
    ) -> AsyncIterator[Upload]:
        """Open an upload, or go on with one; a stream that has it open is interrupted.

        At the end what was received stays for the next try, unless the upload was refused or
        discarded.

        Args:
            tenant: Whose it is.
            announced: What is to come.
            dry: Check only, and keep nothing.
            room_bytes: Bytes that all unfinished uploads of the tenant may take, this one
                included; None: as many as the disk has.

        Raises:
            UploadError: When what is announced, or lies here already, is refused.
            UploadInterruptedError: When another process receives it.
            StorageFullError: When the tenant, or the disk, has no room for it.
            StorageUnavailableError: When the disk cannot be used.
        """
        upload_id = upload_id_of(tenant, announced)
        receiver = Receiver(upload_id, announced, lambda: self._checker_for(announced), dry=dry)
        place = None if dry else self._folder / _folder_of(tenant) / upload_id
        upload = Upload(announced, receiver, place, room_bytes=room_bytes)
        if not dry:
            await self._take_over(upload_id, upload)
        try:
            await upload.begin()
            yield upload
        finally:
            try:
                await upload.close()
            finally:
                if self._open.get(upload_id) is upload:
                    del self._open[upload_id]

    async def collect(self, older_than_s: float) -> int:
        """Throw away what nobody has gone on with for so long, and count it.

        Raises:
            StorageUnavailableError: When the disk cannot be used.
        """
        try:
            return await asyncio.to_thread(self._collect, time.time() - older_than_s)
        except OSError as error:
            raise storage_error(error) from error

    async def _take_over(self, upload_id: str, upload: Upload) -> None:
        while upload_id in self._open:
            before = self._open[upload_id]
            await before.interrupt()
            if self._open.get(upload_id) is before:
                del self._open[upload_id]
        self._open[upload_id] = upload

    def _collect(self, before: float) -> int:
        removed = 0
        for folder in self._folder.glob("*/*/"):
            # An upload that is open is locked, whoever has it open.
            with suppress(UploadInterruptedError, FileNotFoundError):
                if folder.stat().st_mtime < before:
                    Staging(folder).close(discard=True)
                    removed += 1
        return removed


def _folder_of(tenant: str) -> str:
    """Name the folder of a tenant's uploads; its own name need not be fit for one."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:16]


def upload_id_of(tenant: str, announced: Announcement) -> str:
    """Name an upload: the same files of the same tenant, in the same order, have the same name."""
    files = [[file.path, file.size_bytes, file.sha256] for file in announced.files]
    named = [tenant, announced.expert, announced.base_model_digest, files]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]
