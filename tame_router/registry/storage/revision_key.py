"""Under which keys a store keeps revisions: contents by their digest, manifests by their name."""

from collections.abc import Iterator
from typing import Final

from tame_router.registry.manifest import REVISION_NAME, FileEntry
from tame_router.registry.storage.blobs import Blobs

MANIFEST: Final = "manifest.json"


def blob_key(file: FileEntry) -> str:
    """Give the key of a file's content."""
    return content_key(file.sha256)


def content_key(sha256: str) -> str:
    """Give the key of a content by its digest, 64 hexadecimal characters."""
    return f"blobs/{sha256}"


def document_key(name: str) -> str:
    """Give the key of a revision's manifest."""
    return f"revisions/{name}/{MANIFEST}"


def ages(blobs: Blobs) -> Iterator[tuple[str, float]]:
    """Give the names of all revisions, each with its age in seconds."""
    for kept in blobs.list("revisions"):
        name, _, document = kept.key.partition("/")[2].partition("/")
        if document == MANIFEST and REVISION_NAME.fullmatch(name):
            yield name, kept.age_s
