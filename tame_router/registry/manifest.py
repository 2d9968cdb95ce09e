"""A manifest: the files of a revision with their sizes and digests, and what names it.

Equal bytes have equal manifests everywhere, and a changed byte is another revision.
Needs the standard library alone, since engines read manifests too.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

FORMAT = 1
"""Of the document; another format is another digest."""

SHORT_DIGEST_CHARS = 16
"""64 bits: two revisions of one expert collide after about 2^32 uploads."""

REVISION_NAME = re.compile(r"(?P<expert>[a-z][a-z0-9-]{0,30}[a-z0-9])--(?P<digest>[0-9a-f]{16})")
"""What a revision may be called; matched whole before a name becomes part of any path."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file.

    Attributes:
        path: Its place in the revision, with `/` between folders.
        size_bytes: Its size, ≥ 0.
        sha256: Its digest, 64 hexadecimal characters.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of a revision, in order of their paths."""

    files: tuple[FileEntry, ...]

    @property
    def document(self) -> bytes:
        """Canonical JSON: keys in order, no blanks, ASCII."""
        files = [
            {"path": file.path, "sha256": file.sha256, "size": file.size_bytes}
            for file in self.files
        ]
        document = {"files": files, "format": FORMAT}
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the document, 64 hexadecimal characters."""
        return hashlib.sha256(self.document).hexdigest()

    @property
    def size_bytes(self) -> int:
        """All bytes of its files."""
        return sum(file.size_bytes for file in self.files)

    def name(self, expert: str) -> str:
        """Give the name of the revision that an expert has with these files."""
        return revision_name(expert, self.digest)


def make_manifest(files: Iterable[FileEntry]) -> Manifest:
    """Put files in order.

    Raises:
        ValueError: When two have the same path.
    """
    entries = tuple(sorted(files, key=lambda file: file.path))
    if len({file.path for file in entries}) < len(entries):
        raise ValueError("a path stands twice in the manifest")
    return Manifest(files=entries)


def read_manifest(document: bytes) -> Manifest:
    """Read a manifest back; `read_manifest(m.document) == m`.

    Raises:
        ValueError: When the bytes are not the canonical document of a manifest.
    """
    try:
        parsed = json.loads(document)
        files = parsed["files"]
        manifest = make_manifest(
            FileEntry(path=file["path"], size_bytes=file["size"], sha256=file["sha256"])
            for file in files
        )
        well_formed = all(map(_well_formed, manifest.files))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("the document is no manifest") from error
    if not well_formed or manifest.document != document:
        raise ValueError("the document is no canonical manifest")
    return manifest


def revision_name(expert: str, digest: str) -> str:
    """Name a revision."""
    return f"{expert}--{digest[:SHORT_DIGEST_CHARS]}"


def _well_formed(file: FileEntry) -> bool:
    return (
        isinstance(file.path, str)
        and type(file.size_bytes) is int
        and file.size_bytes >= 0
        and isinstance(file.sha256, str)
        and _SHA256.fullmatch(file.sha256) is not None
    )
