"""Bytes in a bucket, through fsspec: S3 and what speaks like it. The one module that knows it.

A bucket shows an object once it is whole, so nothing is written aside. It has no locks:
`put` writes every blob anew, and what is younger than `SPARE_S` is not removed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec  # type: ignore[import-untyped]

from tame_router.errors import ConfigError
from tame_router.registry.storage.blobs import Kept

SPARE_S = 86400.0
"""Longest time a `put` may take, in seconds."""

BLOCK_BYTES = 8 * 2**20
"""Read from the bucket at a time."""

_S3_UPLOAD = {"chunksize": 16 * 2**20, "max_concurrency": 2}
"""Parts are held in memory: two of 16 MiB, not ten of 50. 10,000 parts are S3's most."""

_S3_TRIES = 2
_S3_CONFIG = {"retries": {"mode": "standard", "total_max_attempts": 2}}
"""Two libraries try again, each on its own: with their defaults a 503 takes minutes to tell."""


class BlobBucket:
    """A bucket, or a folder in one.

    Args:
        url: Its address, `s3://bucket/prefix`; credentials and endpoint are taken from where
            its library looks for them (`AWS_…` in the environment, or its own files).

    Raises:
        ConfigError: When nothing installed speaks that scheme.
    """

    # Each library behind fsspec raises what it likes.
    failures: tuple[type[Exception], ...] = (Exception,)
    spare_s = SPARE_S

    def __init__(self, url: str) -> None:
        s3 = url.startswith("s3:")
        options = {"config_kwargs": _S3_CONFIG} if s3 else {}
        try:
            self._files, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"TAME_REGISTRY__URL: nothing here reads {url.partition('://')[0]!r} addresses:"
                " give a folder or s3://bucket/prefix, and install 'tame-router[s3]' for it"
            ) from error
        self._root = root.rstrip("/")
        self._upload: dict[str, Any] = _S3_UPLOAD if s3 else {}
        self._only_new: dict[str, Any] = {"mode": "create"} if s3 else {}
        if s3:
            self._files.retries = _S3_TRIES

    def keep_file(self, key: str, source: Path, *, take: bool) -> None:
        """Upload a file."""
        self._files.put_file(str(source), self._path(key), **self._upload)

    def keep(self, key: str, data: bytes) -> None:
        """Upload bytes."""
        self._files.pipe_file(self._path(key), data)

    def keep_new(self, key: str, data: bytes) -> bool:
        """Upload bytes where nothing lies yet; only S3 decides between two at once."""
        if self._files.exists(self._path(key)):
            return False
        try:
            self._files.pipe_file(self._path(key), data, **self._only_new)
        except FileExistsError:
            return False
        return True

    def open(self, key: str) -> BinaryIO:
        """Open for reading, in blocks."""
        return cast(BinaryIO, self._files.open(self._path(key), "rb", block_size=BLOCK_BYTES))

    def list(self, folder: str) -> Iterator[Kept]:
        """Give the objects below a folder."""
        now = datetime.now(UTC)
        try:
            found = self._files.find(self._path(folder), detail=True)
        except FileNotFoundError:
            return
        for path, facts in found.items():
            yield Kept(
                key=path.removeprefix(f"{self._root}/"),
                size_bytes=int(facts["size"]),
                age_s=_age_s(facts.get("LastModified") or facts.get("created"), now),
            )

    def delete(self, key: str) -> None:
        """Delete an object."""
        try:
            self._files.rm_file(self._path(key))
        except FileNotFoundError:
            return

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Do nothing: a bucket has no locks."""
        yield

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Do nothing: a bucket has no locks."""
        yield

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


def _age_s(written: object, now: datetime) -> float:
    """Tell how old something is; what does not say it is as young as can be, and stays."""
    if not isinstance(written, datetime):
        return 0.0
    return (now - (written if written.tzinfo else written.replace(tzinfo=UTC))).total_seconds()
