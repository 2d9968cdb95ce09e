"""An upload into memory, with faults where a test says so."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tame_router.errors import TameError
from tame_router.errors_registry import UploadError
from tame_router.registry.finding import Finding
from tame_router.registry.record import RevisionRecord
from tame_router.registry.request import Announcement, Checked, Chunk, Progress


@dataclass(slots=True)
class Staged:
    """What is received of an upload.

    Attributes:
        announced: What is to come.
        content: The bytes of each file.
        acknowledged: Of all files together, so many are safe.
    """

    announced: Announcement
    content: list[bytearray]
    acknowledged: int = 0

    def progress(self) -> Progress:
        """Tell where to go on: behind what is acknowledged."""
        left = self.acknowledged
        for number, file in enumerate(self.announced.files):
            if left < file.size_bytes:
                crc = zlib.crc32(self.content[number][:left])
                return self._progress(number, left, crc)
            left -= file.size_bytes
        return self._progress(len(self.announced.files), 0, 0)

    def _progress(self, file: int, offset: int, crc: int) -> Progress:
        return Progress(
            upload_id="upload-1",
            file=file,
            offset=offset,
            running_crc32=crc,
            received_bytes=self.acknowledged,
            size_bytes=self.announced.size_bytes,
        )

    def files(self) -> dict[str, bytes]:
        """Give the bytes of each file by its path."""
        paths = [file.path for file in self.announced.files]
        return dict(zip(paths, map(bytes, self.content), strict=True))

    def forget(self) -> None:
        """Lose what was never acknowledged, as a crash does."""
        left = self.acknowledged
        for number, file in enumerate(self.announced.files):
            del self.content[number][left:]
            left = max(0, left - file.size_bytes)


@dataclass(slots=True)
class Script:
    """What the registry is to do wrong.

    Attributes:
        acknowledge_bytes: Acknowledge after so many more bytes.
        break_at: Raise `break_with` when so many bytes are there; each is used once.
        break_with: What is raised then.
        stalled: Set then instead, and the upload stands still; None: it breaks.
        refusal: Findings with which any upload is refused at its announcement.
        verdict: Findings of the gate; a fatal one rejects.
        report: The gate's.
        hold: The gate says nothing until it is told to.
        publish_with: Raised instead of publishing; None: nothing is.
    """

    acknowledge_bytes: int = 2**20
    break_at: list[int] = field(default_factory=list)
    break_with: Callable[[], BaseException] = lambda: RuntimeError("not in the script")
    stalled: asyncio.Event | None = None
    refusal: tuple[Finding, ...] = ()
    verdict: tuple[Finding, ...] = ()
    report: str = '{"score": 0.75}'
    hold: bool = False
    publish_with: TameError | None = None


class ScriptedUpload:
    """An upload into memory.

    Args:
        script: What goes wrong.
        staged: Where the bytes are kept.
        finish: Called when all are there.
    """

    def __init__(
        self,
        script: Script,
        staged: Staged,
        finish: Callable[[], Awaitable[RevisionRecord | Checked]],
    ) -> None:
        self._script = script
        self._staged = staged
        self._finish = finish

    @property
    def progress(self) -> Progress:
        """What is safe."""
        return self._staged.progress()

    async def write(self, chunk: Chunk) -> Progress | None:
        """Keep a piece."""
        content = self._staged.content[chunk.file]
        if chunk.offset != len(content):
            raise UploadError(f"the chunk begins at {chunk.offset}; expected {len(content)}")
        content += chunk.data
        if zlib.crc32(content) != chunk.running_crc32:
            raise UploadError("the running checksum is another")
        received = sum(map(len, self._staged.content))
        script = self._script
        if script.break_at and received >= script.break_at[0]:
            script.break_at.pop(0)
            if script.stalled:
                script.stalled.set()
                await asyncio.Event().wait()
            raise script.break_with()
        if received - self._staged.acknowledged < script.acknowledge_bytes:
            return None
        self._staged.acknowledged = received
        return self._staged.progress()

    async def finish(self) -> RevisionRecord | Checked:
        """Name the revision."""
        self._staged.acknowledged = self._staged.announced.size_bytes
        return await self._finish()
