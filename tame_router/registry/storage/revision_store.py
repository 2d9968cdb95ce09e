"""Where revisions' bytes are: content under its digest, and manifests that name it.

```
blobs/<sha256 of the content>
revisions/<expert>--<digest16>/manifest.json    written last: with it the revision is there
```
Nothing read from here counts before its digest was checked. Engines read it too: it needs
the standard library, and fsspec where the bytes are in a bucket.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.errors import AlreadyExistsError, RevisionNotFoundError, TameError
from tame_router.errors_registry import CorruptRevisionError, RevisionRefusedError, UploadError
from tame_router.registry.file_digest import pieces, sha256_of
from tame_router.registry.manifest import REVISION_NAME, FileEntry, Manifest, read_manifest
from tame_router.registry.revision_file import check_source, unsafe_paths
from tame_router.registry.storage.blob_folder import BlobFolder
from tame_router.registry.storage.blobs import Blobs
from tame_router.registry.storage.revision_key import ages, blob_key, document_key
from tame_router.registry.storage.storage_error import storage_error

if TYPE_CHECKING:
    from tame_router.registry.storage.clearing import Choose, Cleared

MOST_MANIFEST_BYTES = 2**20
"""A longer document is no manifest of ours: it would name some 7,000 files."""


class RevisionStore:
    """Keeps revisions. Synchronous; threads and processes may share it.

    Any method raises `StorageUnavailableError`, and those that write `StorageFullError`;
    nothing half-written is ever to be seen. A name that is no revision's is not found.

    Args:
        url: A folder, as a path or `file://…`, or `s3://bucket/prefix`.

    Raises:
        ConfigError: When nothing installed reads such an address.
    """

    def __init__(self, url: str) -> None:
        self._blobs = _place(url)
        self._raised: tuple[type[Exception], ...] = (OSError, *self._blobs.failures)

    def put(self, expert: str, manifest: Manifest, folder: Path, *, take: bool = False) -> str:
        """Keep a revision, and give its name. One that is there already stays as it is.

        Args:
            expert: Whose it is.
            manifest: Its files.
            folder: Where they lie, under their paths.
            take: The caller has just digested these very files and gives them away: they are
                linked where they can be, and not digested again.

        Raises:
            UploadError: When the names are unfit, or a file is not what the manifest says.
            AlreadyExistsError: When other files have the same name, which nobody's do by chance.
        """
        name = _checked_name(expert, manifest)
        with self._failures(), self._blobs.adding():
            for file in manifest.files:
                if not self._healthy(file):
                    source = folder / file.path
                    check_source(source, file, take=take)
                    self._blobs.keep_file(blob_key(file), source, take=take)
            self._keep_document(name, manifest)
        return name

    def manifest(self, name: str) -> Manifest:
        """Give a revision's manifest, which its name proves up to 64 bits of its digest.

        Raises:
            RevisionNotFoundError: When it is not here.
            CorruptRevisionError: When the document is not the one that the name says.
        """
        match = REVISION_NAME.fullmatch(name)
        if not match:
            raise RevisionNotFoundError(f"{name!r} is no name of a revision")
        with self._failures():
            try:
                with self._blobs.open(document_key(name)) as file:
                    document = file.read(MOST_MANIFEST_BYTES + 1)
            except FileNotFoundError:
                raise RevisionNotFoundError(
                    f"the store holds no revision {name!r}: upload it, or see `tame adapter list`"
                ) from None
        try:
            manifest = read_manifest(document)
        except ValueError as error:
            raise _corrupt(name, "its manifest cannot be read") from error
        if manifest.name(match["expert"]) != name:
            raise _corrupt(name, "its manifest is another one's")
        return manifest

    def read(self, name: str, path: str, most_bytes: int) -> bytes | None:
        """Give one file of a revision; None: it has no such file.

        Raises:
            RevisionNotFoundError: When the revision is not here.
            RevisionRefusedError: When the file is larger than `most_bytes`.
            CorruptRevisionError: When its bytes are not what the manifest says.
        """
        entry = next((file for file in self.manifest(name).files if file.path == path), None)
        if entry is None:
            return None
        if entry.size_bytes > most_bytes:
            raise RevisionRefusedError(
                f"{path} of {name} has {entry.size_bytes} bytes; {most_bytes} are read at most"
            )
        data = bytearray()
        self._pass_through(name, entry, data.extend)
        return bytes(data)

    def fetch(self, name: str, folder: Path) -> Manifest:
        """Write a revision's files into a folder, each checked on the way and flushed to disk.

        The folder is made where it is missing; none of these files may be in it.

        Raises:
            RevisionNotFoundError: When the revision is not here.
            CorruptRevisionError: When bytes are not what the manifest says; of the files
                nothing is left then.
        """
        manifest = self.manifest(name)
        if unsafe_paths(manifest):
            raise _corrupt(name, "a path in its manifest leads elsewhere")
        written: list[Path] = []
        try:
            for entry in manifest.files:
                path = folder / entry.path
                with self._failures():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("xb") as file:
                        written.append(path)
                        self._pass_through(name, entry, file.write)
                        file.flush()
                        os.fsync(file.fileno())
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise
        return manifest

    def verify(self, name: str) -> Manifest:
        """Read all of a revision and check it.

        Raises:
            RevisionNotFoundError: When it is not here.
            CorruptRevisionError: When bytes are not what the manifest says, or are gone.
        """
        manifest = self.manifest(name)
        for entry in manifest.files:
            self._pass_through(name, entry, len)
        return manifest

    def contains(self, name: str) -> bool:
        """Tell whether a revision is here, once no `collect` is under way; no bytes are read."""
        with suppress(RevisionNotFoundError):
            self.manifest(name)
            with self._failures(), self._blobs.adding():
                self.manifest(name)
                return True
        return False

    def names(self) -> list[str]:
        """Give the names of all revisions, sorted."""
        with self._failures():
            return sorted(name for name, _ in ages(self._blobs))

    def remove(self, name: str) -> int:
        """Remove a revision, as `collect` does, and give bytes freed."""
        from tame_router.registry.storage.clearing import Choice

        return self.collect(lambda _: Choice(going={name})).freed_bytes

    def collect(self, choose: "Choose", *, dry_run: bool = False) -> "Cleared":
        """Remove revisions, then every blob that none of the others needs any more.

        Args:
            choose: Says which, told what is here. In a folder nobody adds anything from before
                it is called until all is removed. A bucket has no locks: what is added in between
                may go; whoever adds looks again.
            dry_run: Only tell; nothing is removed.

        Raises:
            TameError: What `choose` raises; nothing is removed then.
            CorruptRevisionError: When one remains whose files `choose` does not know, and whose
                manifest cannot be read; likewise.
        """
        # Engines, which read revisions, never clear any.
        from tame_router.registry.storage.clearing import clear

        with self._failures(), self._blobs.adding() if dry_run else self._blobs.removing():
            return clear(self._blobs, self.manifest, choose, dry_run=dry_run)

    def _keep_document(self, name: str, manifest: Manifest) -> None:
        """Write the manifest, but never over another that is in order."""
        if self._blobs.keep_new(document_key(name), manifest.document):
            return
        try:
            there = self.manifest(name)
        except CorruptRevisionError:
            there = manifest
            self._blobs.keep(document_key(name), manifest.document)
        if there != manifest:
            raise AlreadyExistsError(f"another revision is called {name}; change any byte of this")

    def _healthy(self, file: FileEntry) -> bool:
        """Tell whether a blob need not be written: it lies there, and is what it should be.

        One that has rotted is written anew, and so is any in a place without locks, where
        somebody may be about to remove it.
        """
        if self._blobs.spare_s > 0:
            return False
        try:
            with self._blobs.open(blob_key(file)) as kept:
                return sha256_of(kept) == file.sha256
        except FileNotFoundError:
            return False

    def _pass_through(self, name: str, entry: FileEntry, take: Callable[[bytes], object]) -> None:
        """Hand on a file in pieces, and raise at its end unless it was the right one."""
        digest = hashlib.sha256()
        size = 0
        with self._failures():
            try:
                file = self._blobs.open(blob_key(entry))
            except FileNotFoundError:
                raise _corrupt(name, f"the bytes of {entry.path} are gone") from None
            with file:
                for piece in pieces(file):
                    digest.update(piece)
                    size += len(piece)
                    if size > entry.size_bytes:
                        break
                    take(piece)
        if size != entry.size_bytes or digest.hexdigest() != entry.sha256:
            raise _corrupt(name, f"the bytes of {entry.path} are not what its digest says")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what disk and bucket raise into errors of ours."""
        try:
            yield
        except TameError:
            raise
        except self._raised as error:
            raise storage_error(error) from error


def _place(url: str) -> Blobs:
    if "://" not in url or url.startswith("file://"):
        return BlobFolder(Path(url.removeprefix("file://")))
    # fsspec takes a tenth of a second to import, and a folder does not need it.
    from tame_router.registry.storage.blob_bucket import BlobBucket

    return BlobBucket(url)


def _corrupt(name: str, what: str) -> CorruptRevisionError:
    return CorruptRevisionError(
        f"{name} is not served: {what}; upload it again, and look after the storage",
        metadata={"revision": name},
    )


def _checked_name(expert: str, manifest: Manifest) -> str:
    name = manifest.name(expert)
    if REVISION_NAME.fullmatch(name) is None:
        raise UploadError(f"{expert!r} is no name of an expert")
    for path in unsafe_paths(manifest):
        raise UploadError(f"{path!r} is no path that a file of a revision may have")
    return name
