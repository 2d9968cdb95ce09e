"""What may be a file of a revision: its path is safe, its bytes are those of its digest."""

import os
import re
from pathlib import Path

from tame_router.errors_registry import UploadError
from tame_router.registry.file_digest import sha256_of
from tame_router.registry.manifest import FileEntry, Manifest

SAFE_PATH = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,7}"
)
"""Matched whole before it becomes part of any path: no `..`, nothing absolute or hidden."""

SIGNATURE_PATH = "model.sig"
"""The file that signs all others."""

MOST_SIGNATURE_BYTES = 2**20
"""Larger is no signature: one names each file in about 150 bytes."""


def unsafe_paths(manifest: Manifest) -> list[str]:
    """Give the paths that a file of a revision may not have."""
    return [file.path for file in manifest.files if not SAFE_PATH.fullmatch(file.path)]


def check_source(source: Path, entry: FileEntry, *, take: bool) -> None:
    """Refuse a file that is not what the manifest says; its digest is believed if taken.

    Raises:
        UploadError: When its size, or its digest, is another.
        OSError: When it cannot be read, or is a symbolic link.
    """
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        same_size = os.fstat(file.fileno()).st_size == entry.size_bytes
        right = same_size and (take or sha256_of(file) == entry.sha256)
    if not right:
        raise UploadError(f"{entry.path} is not the file that the manifest names")
