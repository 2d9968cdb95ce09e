"""Databases for tests: SQLite always, and a real PostgreSQL where its programs are installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from tame_router.config import StoreSettings
from tame_router.store import FILE, Database

SERVER_ACCOUNTS = ("postgres", "nobody")
"""Whose the server may be where root runs the tests: it refuses to be root's."""

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL of the tests' own on a socket in a new folder, and give its URL.

    Skips where its programs or its driver are missing.
    """
    pytest.importorskip(
        "psycopg", reason="psycopg is not installed: pip install 'tame-router[postgresql]'"
    )
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    # Its socket's path may have 107 bytes; pytest's own folders are longer, and closed to others.
    folder = Path(tempfile.mkdtemp(prefix="tame-pg-"))
    account = _account()
    if account is not None:
        shutil.chown(folder, account.pw_uid, account.pw_gid)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments],
            check=True,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=() if account else None,
        )

    data = str(folder / "data")
    # Nothing of it has to outlive the tests: no fsync.
    options = f"-k {folder} -c listen_addresses= -F -c max_connections=50"
    try:
        run("initdb", "-D", data, "-U", "tame", "-A", "trust", "-E", "UTF8", "--no-sync")
        run("pg_ctl", "start", "-w", "-D", data, "-o", options, "-l", str(folder / "log"))
        try:
            yield f"postgresql+psycopg://tame@/postgres?host={quote(str(folder))}"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_settings(postgres_server: str) -> StoreSettings:
    """Give settings of an empty schema on the PostgreSQL server."""
    schema = f"test_{next(_NUMBERS)}"
    import psycopg

    plain = postgres_server.replace("+psycopg", "", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    return StoreSettings(url=SecretStr(f"{postgres_server}&options=-csearch_path%3D{schema}"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    """Give settings of an empty database; the test runs once on each kind."""
    if request.param == "postgres":
        settings = request.getfixturevalue("postgres_settings")
        assert isinstance(settings, StoreSettings)
        return settings
    return StoreSettings(url=SecretStr(f"sqlite:///{tmp_path / FILE}"))


@pytest.fixture
def database(store_settings: StoreSettings, tmp_path: Path) -> Iterator[Database]:
    """Give an empty database, closed afterwards; the test runs once on each kind."""
    database = Database(store_settings, tmp_path)
    yield database
    database.close()


def _programs() -> Path | None:
    """Find the folder of PostgreSQL's programs, the newest's; None: there is none."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: float(f.parent.name), reverse=True
    )
    known = shutil.which("pg_ctl")
    if known:
        folders.append(Path(known).resolve().parent)
    return next((f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)


def _account() -> pwd.struct_passwd | None:
    """Give the account that the server runs under; None: that of the tests."""
    if os.geteuid() != 0:
        return None
    for name in SERVER_ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip(f"root runs the tests, and there is none of {', '.join(SERVER_ACCOUNTS)}")
