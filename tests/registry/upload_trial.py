"""Uploads for tests: what is sent, a checker that does as it is told, a sender."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.request import Announcement, Chunk, Progress
from tame_router.registry.uploading.upload import Received, Upload
from tame_router.registry.uploading.uploads import Uploads
from tests.registry.revision_folder import FILES, entry_of


def announce(files: Mapping[str, bytes] = FILES, expert: str = "legal") -> Announcement:
    """Announce files, in the order given."""
    return Announcement(expert=expert, files=tuple(entry_of(p, d) for p, d in files.items()))


def chunks_of(
    files: Mapping[str, bytes] = FILES, at: Progress | None = None, size: int = 500_000
) -> Iterator[Chunk]:
    """Give the chunks that are still to be sent."""
    first, offset = (at.file, at.offset) if at else (0, 0)
    for number, data in enumerate(files.values()):
        if number < first:
            continue
        for start in range(offset if number == first else 0, len(data), size):
            piece = data[start : start + size]
            crc32 = zlib.crc32(data[: start + len(piece)])
            yield Chunk(file=number, offset=start, data=piece, running_crc32=crc32)


async def send(upload: Upload, files: Mapping[str, bytes] = FILES) -> Received:
    """Send all that is missing, and finish."""
    for chunk in chunks_of(files, upload.progress):
        await upload.write(chunk)
    return await upload.finish()


def finding(reason: Reason, path: str = "", *, fatal: bool = True) -> Finding:
    """Find something."""
    return Finding(reason=reason, message="is wrong", advice="mend it", path=path, fatal=fatal)


@dataclass
class ToldChecker:
    """Finds what it is told to, and remembers what it was fed.

    Attributes:
        at_start: What it finds in the announcement.
        at_byte: By path, from which byte on it finds something, and what.
        at_end: What it finds at the end.
        seen: By path, what it was fed.
    """

    at_start: Sequence[Finding] = ()
    at_byte: Mapping[str, tuple[int, Finding]] = field(default_factory=dict)
    at_end: Sequence[Finding] = ()
    seen: dict[str, bytes] = field(default_factory=dict)

    def announced(self, expert: str, files: Sequence[FileEntry]) -> list[Finding]:
        """Find what is to be found at the start."""
        return list(self.at_start)

    def feed(self, path: str, data: bytes | memoryview) -> list[Finding]:
        """Find something once enough was fed."""
        self.seen[path] = self.seen.get(path, b"") + bytes(data)
        place, found = self.at_byte.get(path, (0, None))
        return [found] if found and len(self.seen[path]) > place else []

    def finished(self) -> list[Finding]:
        """Find what is to be found at the end."""
        return list(self.at_end)


class Trial:
    """Uploads into a folder of the test's, with a checker that the test can look at."""

    def __init__(self, folder: Path, **told: object) -> None:
        self.folder = folder
        self.checkers: list[ToldChecker] = []
        self._told = told
        self.uploads = Uploads(folder, self._checker_for)

    def _checker_for(self, announced: Announcement) -> ToldChecker:
        self.checkers.append(ToldChecker(**self._told))  # type: ignore[arg-type]
        return self.checkers[-1]

    async def upload(self, files: dict[str, bytes], *, dry: bool = False) -> Received:
        """Upload all of it."""
        async with self.uploads.receiving("acme", announce(files), dry=dry) as upload:
            return await send(upload, files)
