"""The audit records that the configuration names, opened for one command."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tame_router.audit.archive import Archive
    from tame_router.config import Settings


@contextmanager
def opened(arguments: argparse.Namespace) -> "Iterator[tuple[Archive, Settings]]":
    """Give the records and the settings; the database is closed afterwards.

    Raises:
        StoreUnavailableError: When the database cannot be used.
    """
    from tame_router.audit.archive import Archive
    from tame_router.config_file import load_settings
    from tame_router.store import Database

    settings = load_settings(arguments.config)
    database = Database(settings.store, settings.state_dir)
    try:
        yield Archive(database), settings
    finally:
        database.close()
