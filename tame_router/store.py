"""The database behind what has to outlive a process: its address, its tables, its failures.

Synchronous: a caller on an event loop uses it from a thread. It decides nothing about
what is kept; each kind of thing has its own table in its own module.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from tame_router.config import StoreSettings
from tame_router.durable_file import locked
from tame_router.errors import ConfigError, StoreUnavailableError

FILE = "tame.db"
"""The default database, in the folder for what the service builds."""

BUSY_TIMEOUT_S = 5
"""Longest wait for another process that writes to the same SQLite file."""

METADATA = MetaData()
"""All tables; a module that keeps something adds its own."""

_MAKING_TABLES = 0x7A3E_7AB1E5
"""Number of the lock, PostgreSQL's, under which tables are made."""

_ONE_MOMENT = {
    # Python's driver for SQLite begins no transaction before the first change.
    "sqlite": "BEGIN",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
}
"""What makes a transaction see one moment; the other databases do so by themselves."""

_SECRET = re.compile(r"://\S*@|password=\S+", re.IGNORECASE)


class Database:
    """A database, connected to when it is first asked. Threads may share it.

    Args:
        settings: Its address.
        state_dir: Folder of the default database; made where it does not exist.
        any_text: What is no UTF-8 is read too, its bytes as halves of surrogate pairs. SQLite holds
            such text, for those who put it there by hand; who proves what is kept has to see it.

    Raises:
        ConfigError: When the address cannot be used, or its driver is not installed.
    """

    def __init__(self, settings: StoreSettings, state_dir: Path, *, any_text: bool = False) -> None:
        given = settings.url.get_secret_value()
        url = _read_url(given) if given else URL.create("sqlite", database=str(state_dir / FILE))
        self._file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        self._engine = _engine(url, self._file)
        if any_text and self._file is not None:
            event.listen(self._engine, "connect", _read_any_text)

    def create(self, table: Table) -> None:
        """Make a table and its indexes where they do not exist; several processes may do so.

        A table that an earlier version made gets the columns it lacks, which must be such as
        may be absent.

        Raises:
            StoreUnavailableError: When the database cannot be used.
        """
        with self._alone(), self.transaction() as connection:
            if connection.dialect.name == "postgresql":
                # Two that make the same table at once collide there, whatever IF NOT EXISTS says.
                connection.execute(select(func.pg_advisory_xact_lock(_MAKING_TABLES)))
            connection.execute(CreateTable(table, if_not_exists=True))
            _widen(connection, table)
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))

    @contextmanager
    def making(self) -> Iterator[Connection]:
        """Give a transaction in which nobody else makes or changes tables.

        What is made in it is kept all together, or not at all after an error.

        Raises:
            StoreUnavailableError: As `transaction` does.
        """
        with self._alone(), self.transaction() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_MAKING_TABLES)))
            elif connection.dialect.name == "sqlite":
                # Python's driver would keep each table that is made at once.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection whose changes are kept all together, or not at all after an error.

        Raises:
            StoreUnavailableError: When the database cannot be used; the message is for the
                operator, and holds what the database said.
            IntegrityError: SQLAlchemy's, when a row would break a constraint.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise _unavailable(error.orig or error) from error
        except PoolTimeoutError as error:
            raise _unavailable(error) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection whose queries all see the same moment.

        Raises:
            StoreUnavailableError: As `transaction` does.
        """
        with self.transaction() as connection:
            begin = _ONE_MOMENT.get(connection.dialect.name)
            if begin:
                connection.exec_driver_sql(begin)
            yield connection

    def close(self) -> None:
        """Close the connections; the database can be asked again."""
        self._engine.dispose()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out while a file is made: SQLite's own lock does not cover that."""
        if self._file is None:
            yield
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with locked(self._file.parent):
                # People's words lie in it; SQLite gives its other files the same permissions.
                self._file.touch(mode=0o600, exist_ok=True)
                yield
        except OSError as error:
            raise _unavailable(error) from error


def _widen(connection: Connection, table: Table) -> None:
    known = {column["name"] for column in inspect(connection).get_columns(table.name)}
    quoted = connection.dialect.identifier_preparer.format_table(table)
    for column in table.columns:
        if column.name not in known:
            written = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {quoted} ADD COLUMN {written}")


def _read_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "store.url is not a database URL; expected postgresql+psycopg://user@host/name,"
            " sqlite:////var/lib/tame/tame.db, or nothing for SQLite in state_dir"
        ) from None
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ConfigError("store.url names SQLite without a file; add one: sqlite:////path/tame.db")
    return url


def _engine(url: URL, file: Path | None) -> Engine:
    try:
        asynchronous = url.get_dialect().is_async
        engine = (
            None
            if asynchronous
            else create_engine(
                url,
                connect_args={"timeout": BUSY_TIMEOUT_S} if file else {},
                # An error that quotes a statement must not quote people's words.
                hide_parameters=True,
                pool_pre_ping=file is None,
            )
        )
    except (NoSuchModuleError, ImportError, ArgumentError, TypeError) as error:
        raise ConfigError(
            f"store.url: {url.drivername} cannot be used: {_told(error)}; install its driver"
        ) from None
    if engine is None:
        raise ConfigError(
            f"store.url: {url.drivername} is a driver for asyncio; name a plain one,"
            " postgresql+psycopg for instance"
        )
    if file:
        event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    """Let readers go on while one writes."""
    connection.execute("PRAGMA journal_mode=WAL").close()


def _read_any_text(connection: sqlite3.Connection, _record: Any) -> None:
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")


def _unavailable(error: BaseException) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"the store cannot be used now: {_told(error)}; check store.url and its database",
        retry_after_s=1,
    )


def _told(error: BaseException) -> str:
    """Give an error's own words in one line, without a password."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _SECRET.sub("…", " ".join(words.split()))
