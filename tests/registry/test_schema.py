"""Tables are made by migrations, by one process of several, and not over a newer version's."""

import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from tame_router.config import StoreSettings
from tame_router.errors import ConfigError, StoreUnavailableError
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.records.schema import SCRIPTS, VERSION_TABLE, migrate
from tame_router.registry.records.tables import TABLES
from tame_router.store import FILE, METADATA, Database
from tests.registry.known import add

NEXT = '''"""A table more."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make it."""
    op.create_table("adapter_more", sa.Column("name", sa.Text, primary_key=True))
'''
BROKEN = NEXT + '    raise RuntimeError("broken off")\n'


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Give the migrations of a newer version, which has one more, in a folder named oddly."""
    folder = tmp_path / "100% new"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "more_0004.py").write_text(NEXT)
    return folder


def made(database: Database) -> set[str]:
    """Name the registry's tables that are there."""
    with database.transaction() as connection:
        names = inspect(connection).get_table_names()
    return {name for name in names if name.startswith("adapter_")}


def test_the_migrations_make_the_tables_that_are_used(database: Database) -> None:
    """Columns, types, indexes and keys are alike."""
    migrate(database)
    assert made(database) == {table.name for table in TABLES} | {VERSION_TABLE}
    with database.transaction() as connection:
        options = {
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "include_name": lambda name, kind, _: kind != "table" or name.startswith("adapter_"),
            "include_object": lambda _, name, kind, *__: (
                kind != "table" or name.startswith("adapter_")
            ),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def test_an_older_schema_is_brought_up(database: Database, newer: Path) -> None:
    """What was kept stays."""
    name = add(RecordStore(database))
    migrate(database, newer)
    assert "adapter_more" in made(database)
    with database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT name FROM adapter_revisions").scalar() == name


def test_a_newer_schema_is_refused(database: Database, newer: Path) -> None:
    """This version would not know what the tables mean."""
    migrate(database, newer)
    with pytest.raises(ConfigError, match="are of schema 0004, and this version knows up to 0003"):
        RecordStore(database)


def test_a_migration_that_breaks_off_leaves_all_as_it_was(database: Database, newer: Path) -> None:
    """None of its tables is there, and the next start tries again."""
    migrate(database)
    before = made(database)
    broken = newer / "versions" / "more_0004.py"
    broken.write_text(BROKEN)
    with pytest.raises(RuntimeError, match="broken off"):
        migrate(database, newer)
    assert made(database) == before
    broken.write_text(NEXT)
    migrate(database, newer)
    assert made(database) == before | {"adapter_more"}


def test_several_may_open_at_once(store_settings: StoreSettings, tmp_path: Path) -> None:
    """Threads and processes: one makes the tables, all use them."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tame_router.config import StoreSettings\n"
        "from tame_router.registry.records.record_store import RecordStore\n"
        "from tame_router.store import Database\n"
        "settings = StoreSettings(url=sys.argv[1])\n"
        "print(RecordStore(Database(settings, Path())).sequence())\n"
    )
    url = store_settings.url.get_secret_value()
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    def open_and_count(_: int) -> int:
        database = Database(store_settings, tmp_path)
        sequence = RecordStore(database).sequence()
        database.close()
        return sequence

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(open_and_count, range(4))) == [0] * 4
    assert [process.communicate(timeout=60)[0] for process in processes] == ["0\n"] * 3


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Also where the records are the first that is kept in it, in a folder that is not there."""
    database = Database(StoreSettings(), tmp_path / "new")
    RecordStore(database)
    assert stat.S_IMODE((tmp_path / "new" / FILE).stat().st_mode) == 0o600
    database.close()


def test_a_database_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """As the store's own error, for the operator."""
    (tmp_path / "file").write_text("no folder")
    database = Database(StoreSettings(), tmp_path / "file")
    with pytest.raises(StoreUnavailableError):
        RecordStore(database)
