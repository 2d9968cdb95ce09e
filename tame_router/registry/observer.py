"""Who is told what happens to adapters, so that it can be counted."""

from typing import Final, Protocol


class Observer(Protocol):
    """Counts what happens to adapters. Called on the event loop."""

    def adapter_changed(self, state: str) -> None:
        """Take note of a revision's step into a state."""

    def adapter_label_moved(self, action: str, *, by_router: bool) -> None:
        """Take note of a move of a label: `publish`, `canary`, `rollback`, `shadow` or `prove`.

        Args:
            action: What moved it.
            by_router: Nobody asked for it: a canary was worse, or good.
        """

    def adapter_copied(self, outcome: str) -> None:
        """Take note of a copy for a shadow: `answered`, `failed` or `dropped`."""

    def adapter_corrupt(self) -> None:
        """Take note of a revision whose bytes are not what its digest says."""

    def adapters_untrusted(self, count: int) -> None:
        """Take note of how many revisions answer now though their signature counts no more."""

    def adapter_job_failed(self, kind: str, *, for_good: bool) -> None:
        """Take note of a job that failed.

        Args:
            kind: `validate`, `evaluate` or `publish`.
            for_good: It is not begun again.
        """


class Unobserved:
    """Tells nobody."""

    def adapter_changed(self, state: str) -> None:
        """Do nothing."""

    def adapter_label_moved(self, action: str, *, by_router: bool) -> None:
        """Do nothing."""

    def adapter_copied(self, outcome: str) -> None:
        """Do nothing."""

    def adapter_corrupt(self) -> None:
        """Do nothing."""

    def adapters_untrusted(self, count: int) -> None:
        """Do nothing."""

    def adapter_job_failed(self, kind: str, *, for_good: bool) -> None:
        """Do nothing."""


UNOBSERVED: Final = Unobserved()
"""Where nothing is counted."""
