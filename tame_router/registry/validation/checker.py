"""What receives an upload and says what is wrong with it, while the bytes come in."""

from collections.abc import Sequence
from typing import Protocol

from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry


class Checker(Protocol):
    """One upload's.

    Each call gives what it found anew. After a fatal finding the upload is refused; the
    methods may still be called, and find more.
    """

    def announced(self, expert: str, files: Sequence[FileEntry]) -> list[Finding]:
        """Check what is going to be uploaded, before a byte of it is taken.

        Args:
            expert: The expert that the adapter is for.
            files: All files that will come.
        """
        ...

    def feed(self, path: str, data: bytes | memoryview) -> list[Finding]:
        """Take the next bytes of a file. Files may come in any order, even in turns.

        Args:
            path: One of the announced paths.
            data: The bytes that follow those given before; they are not kept.
        """
        ...

    def finished(self) -> list[Finding]:
        """Check what can be checked only when everything has come."""
        ...
