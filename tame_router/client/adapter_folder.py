"""The folder of an adapter: which of its files are sent, and their bytes as a stream."""

import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tame_router.client.adapter import AdapterFile
from tame_router.errors import InvalidRequestError

SENT = frozenset(
    {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
        "evaluation.jsonl",
        "model.sig",
        "expert.yaml",
        "prompt.md",
        "utterances.zh-TW.txt",
        "utterances.en.txt",
        "joint.zh-TW.txt",
        "joint.en.txt",
    }
)
"""Files that a revision is made of; others stay where they are unless all are wanted."""

CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of a file.

    Attributes:
        file: Number of the file, from 0.
        offset: Place of its first byte in that file.
        data: The bytes.
        running_crc32: CRC-32 of that file up to the end of the piece.
    """

    file: int
    offset: int
    data: bytes
    running_crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an upload goes on.

    Attributes:
        file: Number of the file, from 0; the number of files: nothing is left.
        offset: Place in that file.
        running_crc32: CRC-32 of that file up to there.
    """

    file: int = 0
    offset: int = 0
    running_crc32: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFolder:
    """What of a folder is sent.

    Attributes:
        folder: The folder.
        files: The files that are sent, in order of their paths.
        left_out: Paths of those that are not.
    """

    folder: Path
    files: tuple[AdapterFile, ...]
    left_out: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """All bytes that are sent."""
        return sum(file.size_bytes for file in self.files)

    def pieces(self, place: Place) -> Iterator[Piece]:
        """Read the files from a place on, never more than one piece of them at a time.

        Raises:
            InvalidRequestError: When a file cannot be read, or is another than it was.
        """
        for number, file in enumerate(self.files[place.file :], place.file):
            offset, crc = (place.offset, place.running_crc32) if number == place.file else (0, 0)
            if offset == file.size_bytes:
                continue
            with _opened(self.folder / file.path, file.path) as source:
                source.seek(offset)
                while data := source.read(min(CHUNK_BYTES, file.size_bytes - offset)):
                    crc = zlib.crc32(data, crc)
                    yield Piece(file=number, offset=offset, data=data, running_crc32=crc)
                    offset += len(data)
            if offset < file.size_bytes:
                raise InvalidRequestError(
                    f"{file.path} became shorter while it was sent: {offset} of"
                    f" {file.size_bytes} bytes; leave the folder alone until it is uploaded"
                )


def read_folder(folder: Path, *, everything: bool = False) -> AdapterFolder:
    """Look a folder through, and take its files' digests.

    Args:
        folder: The folder.
        everything: Send whatever it holds, not only the files that a revision is made of.

    Raises:
        InvalidRequestError: When it is no folder, holds nothing to send, or something in it
            that would be sent is a link or otherwise no plain file.
    """
    if not folder.is_dir():
        raise InvalidRequestError(f"{folder}: is no folder; give the adapter's")
    paths = sorted(_paths(folder, below=everything))
    wanted = [path for path in paths if everything or path in SENT]
    if not wanted:
        raise InvalidRequestError(
            f"{folder}: holds no file of an adapter; expected adapter_config.json and"
            " adapter_model.safetensors at least"
        )
    files = tuple(_entry(folder, path) for path in wanted)
    return AdapterFolder(
        folder=folder, files=files, left_out=tuple(sorted(set(paths) - set(wanted)))
    )


def as_folder(folder: AdapterFolder | Path | str, *, everything: bool) -> AdapterFolder:
    """Give a folder that has been read as it is, and read any other.

    Raises:
        InvalidRequestError: As `read_folder` does.
    """
    if isinstance(folder, AdapterFolder):
        return folder
    return read_folder(Path(folder), everything=everything)


def _paths(folder: Path, *, below: bool) -> Iterator[str]:
    """Give what a folder holds: files and links, and folders where they are not gone into."""
    try:
        for entry in os.scandir(folder):
            if below and entry.is_dir(follow_symlinks=False):
                for path in _paths(Path(entry.path), below=True):
                    yield f"{entry.name}/{path}"
            else:
                yield entry.name
    except OSError as error:
        raise InvalidRequestError(f"{folder}: cannot be read: {error.strerror}") from None


def _entry(folder: Path, path: str) -> AdapterFile:
    with _opened(folder / path, path) as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        return AdapterFile(path=path, size_bytes=source.tell(), sha256=digest)


def _opened(file: Path, path: str) -> io.FileIO:
    """Open a plain file, and nothing that a link leads to.

    Raises:
        InvalidRequestError: When it is none, or cannot be read.
    """
    try:
        # A named pipe would wait for its writer without O_NONBLOCK.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if file.is_symlink():
            raise InvalidRequestError(
                f"{path} is a symbolic link; put the file itself into the folder"
            ) from None
        raise InvalidRequestError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidRequestError(f"{path} is no plain file; take it out of the folder")
    return io.FileIO(descriptor, "rb")
