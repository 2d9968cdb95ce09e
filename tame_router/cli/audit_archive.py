"""The audit records that the configuration names, opened for one command."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tame_router.audit.archive import Archive
    from tame_router.config import Settings
    from tame_router.registry.records.label_history import LabelHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What an auditor reads.

    Attributes:
        archive: The records of audit.
        labels: The history of labels.
        settings: All settings.
    """

    archive: "Archive"
    labels: "LabelHistory"
    settings: "Settings"

    def lines(self) -> "Iterator[str]":
        """Give all chains in the form of an export."""
        yield from self.archive.lines()
        yield from self.labels.lines()


@contextmanager
def opened(arguments: argparse.Namespace) -> "Iterator[Books]":
    """Give what is kept, and the settings; the database is closed afterwards.

    Raises:
        StoreUnavailableError: When the database cannot be used.
    """
    from tame_router.audit.archive import Archive
    from tame_router.config_file import load_settings
    from tame_router.registry.records.label_history import LabelHistory
    from tame_router.store import Database

    settings = load_settings(arguments.config)
    database = Database(settings.store, settings.state_dir, any_text=True)
    try:
        yield Books(archive=Archive(database), labels=LabelHistory(database), settings=settings)
    finally:
        database.close()
