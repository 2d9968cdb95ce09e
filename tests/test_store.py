"""The database: its address, several processes at once, and what it says when it cannot."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Index, Integer, MetaData, String, Table, func, select
from sqlalchemy.exc import IntegrityError

from tame_router.config import StoreSettings
from tame_router.errors import ConfigError, StoreUnavailableError
from tame_router.store import FILE, Database

PLACE = Table("place", MetaData(), Column("number", Integer, primary_key=True))
Index("place_number", PLACE.c.number)


def settings(url: str = "") -> StoreSettings:
    """Give settings of a store."""
    return StoreSettings(url=SecretStr(url))


def count(database: Database) -> int:
    """Count the rows."""
    with database.transaction() as connection:
        return int(connection.execute(select(func.count()).select_from(PLACE)).scalar_one())


def test_the_default_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    """It lies in the state folder, which is made, and lets readers go on while one writes."""
    state_dir = tmp_path / "new" / "state"
    database = Database(settings(), state_dir)
    assert not state_dir.exists()
    database.create(PLACE)
    for file in state_dir.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with database.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        connection.execute(PLACE.insert().values(number=1))
        assert count(database) == 0
    assert count(database) == 1
    database.close()


def test_a_table_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path) -> None:
    """Its rows stay, without a value in the new column; making it again changes nothing."""
    database = Database(settings(), tmp_path)
    database.create(PLACE)
    with database.transaction() as connection:
        connection.execute(PLACE.insert().values(number=1))
    wider = Table(
        "place",
        MetaData(),
        Column("number", Integer, primary_key=True),
        Column("title", String(8)),
    )
    for _ in range(2):
        database.create(wider)
    with database.transaction() as connection:
        connection.execute(wider.insert().values(number=2, title="two"))
        rows = connection.execute(select(wider).order_by(wider.c.number))
        assert [tuple(row) for row in rows] == [(1, None), (2, "two")]
    database.close()


def test_an_address_of_ones_own_is_used(tmp_path: Path) -> None:
    """With `store.url` the state folder is left alone."""
    file = tmp_path / "elsewhere" / "own.db"
    database = Database(settings(f"sqlite:///{file}"), tmp_path / "state")
    database.create(PLACE)
    database.close()
    assert file.is_file()
    assert not (tmp_path / "state").exists()


def test_an_error_undoes_the_whole_transaction(tmp_path: Path) -> None:
    """What was written before it is not kept; a broken constraint is the caller's to judge."""
    database = Database(settings(), tmp_path)
    database.create(PLACE)
    rows = PLACE.insert().values([{"number": 2}, {"number": 1}])
    with database.transaction() as connection:
        connection.execute(PLACE.insert().values(number=1))
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(rows)
    assert count(database) == 1
    database.close()


def test_several_processes_may_begin_at_once(tmp_path: Path) -> None:
    """Each makes the table where it is missing, and none fails or loses a row."""
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from tame_router.config import StoreSettings\nfrom tame_router.store import Database\n"
        "from tests.test_store import PLACE\n"
        "sys.stdin.read()\n"
        "database = Database(StoreSettings(), Path(sys.argv[1]))\ndatabase.create(PLACE)\n"
        "with database.transaction() as connection:\n"
        "    connection.execute(PLACE.insert().values(number=int(sys.argv[2])))\n"
        "database.close()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "state"), str(number)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for process in processes:  # all wait for the end of their input, which is the start
        assert process.stdin
        process.stdin.close()
    for process in processes:
        with process:
            assert process.stderr
            assert process.stderr.read() == b""
        assert process.returncode == 0
    database = Database(settings(), tmp_path / "state")
    assert count(database) == 4
    database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres@hunter2", "is not a database URL; expected postgresql"),
        ("postgresql://tame:hunter2@host:many/tame", "is not a database URL"),
        ("oraculum://tame:hunter2@host/tame", "oraculum cannot be used: .*install its driver"),
        ("mysql+mysqlclientx://tame:hunter2@host/tame", "mysqlclientx cannot be used"),
        ("sqlite+aiosqlite:////tmp/hunter2.db", "aiosqlite is a driver for asyncio"),
        ("sqlite://", "SQLite without a file"),
        ("sqlite:///:memory:", "SQLite without a file"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_quoting_it(
    tmp_path: Path, url: str, words: str
) -> None:
    """The setting is named, and the password in it is not."""
    with pytest.raises(ConfigError, match=f"store.url.*{words}") as caught:
        Database(settings(url), tmp_path)
    assert "hunter2" not in caught.value.message


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    """A file of something else, a folder in its place, a file in the folder's: none crashes."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / FILE).write_text("this is no database, and it is long enough to tell" * 9)
    (tmp_path / "folder" / FILE).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name, words in (("text", "not a database"), ("folder", "unable"), ("file", "File exists")):
        database = Database(settings(), tmp_path / name)
        with pytest.raises(StoreUnavailableError, match=words) as caught:
            database.create(PLACE)
        assert "check store.url" in caught.value.message
        database.close()


def test_a_database_that_is_busy_for_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that never ends is waited for, and no longer than allowed."""
    monkeypatch.setattr("tame_router.store.BUSY_TIMEOUT_S", 0.05)
    database = Database(settings(), tmp_path)
    database.create(PLACE)
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"), database.transaction() as connection:
        connection.execute(PLACE.insert().values(number=1))
    other.close()
    assert count(database) == 0
    database.close()


def test_a_table_is_made_on_every_kind_of_database(database: Database) -> None:
    """Making it again changes nothing, and a row that breaks a constraint is told."""
    database.create(PLACE)
    with database.transaction() as connection:
        connection.execute(PLACE.insert().values(number=1))
    database.create(PLACE)
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(PLACE.insert().values(number=1))
    assert count(database) == 1
