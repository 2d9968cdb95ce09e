"""What a revision store needs of the place where its bytes lie: a folder, or a bucket."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that lies there.

    Attributes:
        key: Its name: `blobs/…` or `revisions/…/manifest.json`.
        size_bytes: Its size.
        age_s: Time since it was written last, in seconds.
    """

    key: str
    size_bytes: int
    age_s: float


class Blobs(Protocol):
    """A place for bytes under names. What is there is there whole, and outlives a crash.

    Methods raise what is in `failures`, and `FileNotFoundError` for a key that is not there.
    """

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its library raises when the place cannot be used."""
        ...

    @property
    def spare_s(self) -> float:
        """Age below which a blob that nobody names may belong to a `put` under way, in seconds."""
        ...

    def keep_file(self, key: str, source: Path, *, take: bool) -> None:
        """Keep a file's bytes; `take`: nobody writes to it any more, it may be linked."""
        ...

    def keep(self, key: str, data: bytes) -> None:
        """Keep bytes."""
        ...

    def keep_new(self, key: str, data: bytes) -> bool:
        """Keep bytes where nothing lies yet; False: something does, and stays."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Open for reading; whoever asks closes it."""
        ...

    def list(self, folder: str) -> Iterator[Kept]:
        """Give what lies under `blobs` or `revisions`, in no order."""
        ...

    def delete(self, key: str) -> None:
        """Delete; nothing happens where it is not there."""
        ...

    def adding(self) -> AbstractContextManager[None]:
        """Keep who removes waiting, in every process, where the place can do so."""
        ...

    def removing(self) -> AbstractContextManager[None]:
        """Keep everybody else who adds or removes waiting, where the place can do so."""
        ...
