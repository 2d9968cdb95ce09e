"""Which tables the registry's records need, and how those of an earlier version become them.

Migrations are Alembic's, in `migrations/versions`, one after another; a table of its own
remembers which were made. They run when the records are opened.
"""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from tame_router.errors import ConfigError
from tame_router.store import Database

VERSION_TABLE = "adapter_schema"
"""Remembers the last migration that was made."""

SCRIPTS = Path(__file__).parent / "migrations"
"""This version's migrations."""

# Alembic hands the migration that runs to its scripts through a variable of its module.
_ONE_AT_A_TIME = threading.Lock()


def migrate(database: Database, scripts: Path = SCRIPTS) -> None:
    """Bring the tables to this version; several processes may do so at once.

    Args:
        database: Where they are, or are to be made.
        scripts: Folder of the migrations.

    Raises:
        ConfigError: When a newer version has changed them.
        StoreUnavailableError: When the database cannot be used; the tables are as they were.
    """
    config = Config(attributes={"version_table": VERSION_TABLE})
    # A % begins a reference to another option.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    directory = ScriptDirectory.from_config(config)
    with _ONE_AT_A_TIME, database.making() as connection:
        if not _made(connection, directory):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _made(connection: Connection, directory: ScriptDirectory) -> bool:
    """Tell whether all migrations are made.

    Raises:
        ConfigError: When there is one that this version does not know.
    """
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    made = context.get_current_heads()
    known = {script.revision for script in directory.walk_revisions()}
    if unknown := sorted(set(made) - known):
        raise ConfigError(
            f"the adapters' tables in the store are of schema {unknown[0]}, and this version knows"
            f" up to {directory.get_current_head()}; a newer tame-router has used this store:"
            " install that one, or name another store.url"
        )
    return made == tuple(directory.get_heads())
