"""Folders with the files of a revision, and their manifests."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tame_router.registry.manifest import FileEntry, Manifest, make_manifest

FILES: Mapping[str, bytes] = {
    "adapter_config.json": b'{"peft_type": "LORA"}',
    "adapter_model.safetensors": bytes(range(256)) * 9000,
    "README.md": b"",
}
"""Small, longer than two pieces, empty."""


def entry_of(path: str, data: bytes) -> FileEntry:
    """Describe a file."""
    return FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def write_revision(folder: Path, files: Mapping[str, bytes] = FILES) -> Manifest:
    """Write files into a folder, made where it is missing, and give their manifest."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return make_manifest(entry_of(path, data) for path, data in files.items())


def lying(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
