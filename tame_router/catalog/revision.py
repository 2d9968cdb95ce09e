"""A revision: adapter weights under a name that never means anything else.

The name is `<expert>--<first 16 hex of the manifest digest>`. The manifest lists the
files that an engine reads, with their sizes and SHA-256 digests, so equal bytes have
equal names everywhere and a changed byte is another revision.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
"""What an engine reads of a PEFT folder. Source: PEFT's checkpoint format page."""

SHORT_DIGEST_CHARS = 16
"""64 bits: two revisions of one expert collide after about 2^32 uploads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One immutable adapter.

    Attributes:
        expert: Name of the expert it belongs to.
        digest: SHA-256 of the manifest, 64 hexadecimal characters.
        folder: Where its files lie on this machine; None: engines fetch them from the store.
    """

    expert: str
    digest: str
    folder: Path | None = None

    @property
    def name(self) -> str:
        """Name given to engines and callers."""
        return f"{self.expert}--{self.digest[:SHORT_DIGEST_CHARS]}"


def manifest(folder: Path) -> bytes:
    """Describe an adapter folder: canonical JSON, one entry a file, in order of names.

    Raises:
        OSError: When a file cannot be read.
    """
    files = []
    for name in ADAPTER_FILES:
        path = folder / name
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files.append({"path": name, "sha256": digest, "size": path.stat().st_size})
    document = {"files": files, "format": 1}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def read_revision(expert: str, folder: Path) -> Revision:
    """Name the adapter that lies in a folder.

    Raises:
        OSError: When a file cannot be read.
    """
    digest = hashlib.sha256(manifest(folder)).hexdigest()
    return Revision(expert=expert, digest=digest, folder=folder)
