"""Receives one upload: the order of its chunks, checksums, digests, checks of its bytes.

For one thread. It knows no network and no disk: bytes go to a sink.
"""

import hashlib
import zlib
from collections.abc import Callable, Sequence

from tame_router.errors_registry import UploadError, UploadInterruptedError
from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.request import Announcement, Chunk, Progress
from tame_router.registry.revision_file import MOST_SIGNATURE_BYTES, SIGNATURE_PATH
from tame_router.registry.uploading.announced_paths import check_paths
from tame_router.registry.uploading.sink import Nowhere, Sink
from tame_router.registry.uploading.upload_refusal import refusal
from tame_router.registry.validation.checker import Checker


class Receiver:
    """Takes an upload's chunks in order.

    Args:
        upload_id: Names the upload.
        announced: What is to come.
        new_checker: Makes what checks it.
        dry: Go on after something fatal was found in the bytes, to find all of it.

    Attributes:
        findings: What was found so far.
        refused: Something fatal was found: the bytes are not wanted any more.
        signature: Bytes of `model.sig`, as far as they have come, and as far as one can be long.
    """

    def __init__(
        self,
        upload_id: str,
        announced: Announcement,
        new_checker: Callable[[], Checker],
        *,
        dry: bool = False,
    ) -> None:
        self._upload_id = upload_id
        self._announced = announced
        self._new_checker = new_checker
        self._checker = new_checker()
        self._sink: Sink = Nowhere()
        self._dry = dry
        self._resumed = False
        self.refused = False
        self._start()

    def _start(self) -> None:
        """Forget all that was received."""
        self.findings: list[Finding] = []
        self.signature = bytearray()
        self._file = 0
        self._done_bytes = 0
        self._start_file()

    def _start_file(self) -> None:
        self._offset = 0
        self._crc32 = 0
        self._digest = hashlib.sha256()

    @property
    def progress(self) -> Progress:
        """How far it is; not all of it need outlive a crash yet."""
        return Progress(
            upload_id=self._upload_id,
            file=self._file,
            offset=self._offset,
            running_crc32=self._crc32,
            received_bytes=self._done_bytes + self._offset,
            size_bytes=self._announced.size_bytes,
        )

    def check_announced(self) -> None:
        """Check what is to come; of what is refused here not a byte is taken.

        Raises:
            UploadError: When it is refused.
        """
        announced = self._announced
        self._note(self._checker.announced(announced.expert, announced.files), final=True)
        self._note(check_paths(announced.files), final=True)

    def begin(self, sink: Sink) -> None:
        """Go on from where an earlier try ended; what it left is read again.

        Args:
            sink: Where bytes go, and what an earlier try left is.

        Raises:
            UploadError: When what it left is refused.
            OSError: When the disk cannot be used.
        """
        self._sink = sink
        while not self._restored():
            # The checker has seen bytes that do not count.
            self._checker = self._new_checker()
            self._start()
            self.check_announced()
        self._resumed = self._offset > 0
        self._open_file()
        self._sink.settle()

    def take(self, chunk: Chunk) -> None:
        """Take the next chunk.

        Raises:
            UploadError: When it is out of place or damaged, or what it holds is refused.
            UploadInterruptedError: When what an earlier try left is not what the caller has; it
                is thrown away.
            OSError: When the disk cannot be used.
        """
        entry = self._placed(chunk)
        crc32 = zlib.crc32(chunk.data, self._crc32)
        if crc32 != chunk.running_crc32:
            raise self._damaged(entry, chunk, crc32)
        self._resumed = False
        self._sink.write(chunk.data)
        self._advance(entry, chunk.data, crc32)
        if self._offset < entry.size_bytes:
            self._sink.reached(self.progress, file_done=False)
        else:
            self._end_file(entry)
            self._open_file()

    def finish(self) -> None:
        """See that all is here, and check it as a whole.

        Raises:
            UploadError: When something is missing, or refused.
            OSError: When the disk cannot be used.
        """
        at = self.progress
        if at.file < len(self._announced.files):
            raise UploadError(
                f"{at.received_bytes} of {at.size_bytes} bytes have come; send the rest, from"
                f" byte {at.offset} of file {at.file}"
            )
        self._note(self._checker.finished())
        self._sink.settle()

    def _restored(self) -> bool:
        """Read what is here; False: a file was not what is announced, and is thrown away."""
        files = self._announced.files
        while self._file < len(files):
            entry = files[self._file]
            for piece in self._sink.staged(entry.path):
                if self._offset + len(piece) > entry.size_bytes:
                    self._sink.forget(entry.path)
                    return False
                self._advance(entry, piece, zlib.crc32(piece, self._crc32))
            if self._offset < entry.size_bytes or not entry.size_bytes:
                break
            if self._digest.hexdigest() != entry.sha256:
                self._sink.forget(entry.path)
                return False
            self._next_file(entry)
        for later in files[self._file + 1 :]:
            self._sink.forget(later.path)
        return True

    def _open_file(self) -> None:
        """Begin the next file, and end those that are empty."""
        while self._file < len(self._announced.files):
            entry = self._announced.files[self._file]
            self._sink.begin(entry.path)
            if self._offset < entry.size_bytes:
                return
            self._end_file(entry)

    def _advance(self, entry: FileEntry, data: bytes, crc32: int) -> None:
        self._digest.update(data)
        if entry.path == SIGNATURE_PATH and len(self.signature) <= MOST_SIGNATURE_BYTES:
            self.signature += data
        self._offset += len(data)
        self._crc32 = crc32
        self._note(self._checker.feed(entry.path, data))

    def _end_file(self, entry: FileEntry) -> None:
        digest = self._digest.hexdigest()
        if digest != entry.sha256:
            self._note([_wrong_digest(entry, digest)])
        self._next_file(entry)
        self._sink.reached(self.progress, file_done=True)

    def _next_file(self, entry: FileEntry) -> None:
        self._file += 1
        self._done_bytes += entry.size_bytes
        self._start_file()

    def _note(self, findings: Sequence[Finding], *, final: bool = False) -> None:
        self.findings += findings
        fatal = [finding for finding in findings if finding.fatal]
        if fatal and (final or not self._dry):
            self.refused = True
            raise refusal(fatal)

    def _placed(self, chunk: Chunk) -> FileEntry:
        """Give the file that a chunk is for, if it is the chunk that must come now."""
        files = self._announced.files
        if (chunk.file, chunk.offset) != (self._file, self._offset) or chunk.file >= len(files):
            raise UploadError(
                f"a chunk is for byte {chunk.offset} of file {chunk.file}; expected byte"
                f" {self._offset} of file {self._file}: announce the files again to go on"
            )
        entry = files[chunk.file]
        over = chunk.offset + len(chunk.data) - entry.size_bytes
        if over > 0:
            self._note([_too_long(entry, over)], final=True)
        return entry

    def _damaged(self, entry: FileEntry, chunk: Chunk, crc32: int) -> Exception:
        """Give the error for a chunk whose checksum is another."""
        if self._resumed:
            self._sink.forget(entry.path)
            return UploadInterruptedError(
                f"what is here of {entry.path} is not what you have; it is thrown away: announce"
                " the files again"
            )
        return UploadError(
            f"running_crc32 of file {chunk.file} at byte {chunk.offset + len(chunk.data)} is"
            f" {chunk.running_crc32:08x}; its bytes have {crc32:08x}: announce the files again to"
            " go on"
        )


def _wrong_digest(entry: FileEntry, digest: str) -> Finding:
    return Finding(
        reason=Reason.DIGEST_MISMATCH,
        message=f"its bytes have the SHA-256 {digest}, announced was {entry.sha256}",
        advice="upload the folder again while nothing changes it",
        path=entry.path,
    )


def _too_long(entry: FileEntry, over: int) -> Finding:
    return Finding(
        reason=Reason.SIZE_MISMATCH,
        message=f"at least {over} bytes more came than the {entry.size_bytes} announced",
        advice="upload the folder again while nothing changes it",
        path=entry.path,
    )
