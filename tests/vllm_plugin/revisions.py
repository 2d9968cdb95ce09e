"""Small revisions in a store, for tests of what engines load."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tame_router.registry.manifest import FileEntry, make_manifest
from tame_router.registry.storage.revision_store import RevisionStore

SMALL: Mapping[str, bytes] = {
    "adapter_config.json": b"{}",
    "adapter_model.safetensors": b"weights",
    "README.md": "# 法律\n".encode(),
}


def keep(
    store: Path,
    aside: Path,
    expert: str = "legal",
    files: Mapping[str, bytes] = SMALL,
    note: str = "",
) -> str:
    """Put a revision into a store, and give its name.

    Args:
        store: The store's folder.
        aside: A folder for the files, made here.
        expert: Whose it is.
        files: Contents by path.
        note: What makes it another revision with the same files.
    """
    contents = {**files, **({"note.md": note.encode()} if note else {})}
    folder = aside / hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    manifest = make_manifest(
        FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in contents.items()
    )
    return RevisionStore(str(store)).put(expert, manifest, folder)


def spoil(store: Path, data: bytes) -> None:
    """Change the first byte of the blob that holds these bytes."""
    blob = store / "blobs" / hashlib.sha256(data).hexdigest()
    blob.chmod(0o644)
    blob.write_bytes(bytes([data[0] ^ 1]) + data[1:])
