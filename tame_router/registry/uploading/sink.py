"""Where a receiver puts the bytes of an upload, and finds those of an earlier try."""

from collections.abc import Iterator
from typing import Protocol

from tame_router.registry.request import Progress


class Sink(Protocol):
    """Takes the bytes of files, one file after another."""

    def staged(self, path: str) -> Iterator[bytes]:
        """Read what is here of a file from an earlier try."""
        ...

    def forget(self, path: str) -> None:
        """Throw away what is here of a file."""
        ...

    def begin(self, path: str) -> None:
        """Go on at the end of a file: what is written from now on is for it."""
        ...

    def write(self, data: bytes) -> None:
        """Append to the file that was begun."""
        ...

    def reached(self, progress: Progress, *, file_done: bool) -> None:
        """Learn how far it is; who keeps files sees to it that this outlives a crash."""
        ...

    def settle(self) -> None:
        """Wait until it would outlive one."""
        ...


class Nowhere:
    """Keeps nothing: for a dry run."""

    def staged(self, path: str) -> Iterator[bytes]:
        """Nothing is here."""
        return iter(())

    def forget(self, path: str) -> None:
        """Do nothing."""

    def begin(self, path: str) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Do nothing."""

    def reached(self, progress: Progress, *, file_done: bool) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Do nothing."""
