"""The seam to where audit records are kept."""

from typing import Protocol

from tame_router.audit.record import AuditRecord, Texts


class Journal(Protocol):
    """Takes audit records, and writes them elsewhere than on the event loop."""

    def require_room(self) -> None:
        """Make sure that a record of what is about to begin can be taken.

        Raises:
            AuditUnavailableError: When too many wait already, or nothing can be written.
        """

    def record(self, record: AuditRecord, texts: Texts | None = None) -> None:
        """Take a record; it is written within `audit.flush_s`, or at `close`. Never waits."""


class Unrecorded:
    """Keeps nothing."""

    def require_room(self) -> None:
        """There is always room for nothing."""

    def record(self, record: AuditRecord, texts: Texts | None = None) -> None:
        """Forget it."""
