"""The history of labels is a chain: whoever changes it in the database is found out."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import ColumnElement, Connection, TableClause, column, delete, select, table

from tame_router.audit.verification import Fault, Verification
from tame_router.config import StoreSettings
from tame_router.registry.record import Actor
from tame_router.registry.records.label_history import LabelHistory
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.records.schema import SCRIPTS, VERSION_TABLE
from tame_router.registry.records.tables import COUNTER, LABEL, LABEL_CHANGE
from tame_router.registry.state import Event
from tame_router.store import Database
from tests.registry.known import FOLDER, PARTNER, Clock, approve, publish, rollback


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, Clock())


def verified(database: Database) -> tuple[int, list[Fault]]:
    """Read the chain, and give how many moves it has and what is wrong."""
    history, verification = LabelHistory(database), Verification()
    for line in history.lines():
        verification.take(line)
    return verification.records, [*verification.finish(), *history.compare()]


def move(store: RecordStore, times: int) -> None:
    """Move labels of two experts so often each, and take one back."""
    for number in range(times):
        for expert in ("legal", "medical"):
            publish(store, approve(store, f"{expert}-{number}", expert))
    rollback(store, FOLDER)


def test_what_was_never_moved_has_no_chain(database: Database) -> None:
    """Neither where there are no tables yet, nor where there are, and no move."""
    assert list(LabelHistory(database).lines()) == []
    assert LabelHistory(database).compare() == []
    RecordStore(database)
    assert verified(database) == (0, [])


def test_moves_of_all_labels_are_one_chain(database: Database, store: RecordStore) -> None:
    """With words in it of any kind, as they are kept."""
    move(store, 3)
    strange = Actor(tenant="夥伴", subject="a\0b", peer="\ud800")
    name = approve(store, "strange")
    store.happen(name, Event.PUBLISH, strange, "")
    store.publish(name, 0.1 + 0.2, FOLDER, None, strange, "因為\0\udfff")
    assert verified(database) == (8, [])


CHANGES: dict[str, tuple[Callable[[Connection], object], str]] = {
    "a word": (
        lambda c: c.execute(LABEL_CHANGE.update().values(because="x").where(_numbered(2))),
        "record 2 was changed",
    ),
    "who it was": (
        lambda c: c.execute(LABEL_CHANGE.update().values(tenant="x").where(_numbered(7))),
        "record 7, the last, or the head was changed",
    ),
    "when": (
        lambda c: c.execute(LABEL_CHANGE.update().values(create_time_us=1).where(_numbered(1))),
        "record 1 was changed",
    ),
    "a move taken out": (
        lambda c: c.execute(delete(LABEL_CHANGE).where(_numbered(3))),
        "record 3 is missing before record 4",
    ),
    "the end cut": (
        lambda c: c.execute(delete(LABEL_CHANGE).where(LABEL_CHANGE.c.number > 5)),
        "records 6 to 7 are missing at the end",
    ),
    "a move put in": (
        lambda c: c.execute(
            LABEL_CHANGE.insert().from_select(
                [one.name for one in LABEL_CHANGE.c],
                select(
                    *(one + 10 if one.name == "generation" else one for one in LABEL_CHANGE.c)
                ).where(_numbered(4)),
            )
        ),
        "record 4 stands behind 4: doubled or moved",
    ),
    "the label": (
        lambda c: c.execute(LABEL.update().values(live="x").where(LABEL.c.expert == "medical")),
        "the label of medical is not where its last move has put it",
    ),
    "the head": (
        lambda c: c.execute(delete(COUNTER)),
        "record 7 is behind the head, 0",
    ),
    "a second head": (
        lambda c: c.execute(
            COUNTER.insert().values(id=0, sequence=0, generation=0, history="0" * 64)
        ),
        "record 7 is behind the head, 0",
    ),
    "the whole history": (
        lambda c: (c.execute(delete(LABEL_CHANGE)), c.execute(COUNTER.update().values(history=""))),
        "records 1 to 7 are missing at the end",
    ),
}


def _plain(name: str, row: Mapping[str, object]) -> TableClause:
    """Give a table as an earlier version knew it."""
    return table(name, *map(column, row))


def _numbered(number: int) -> ColumnElement[bool]:
    return LABEL_CHANGE.c.number == number


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_shows(database: Database, store: RecordStore, what: str) -> None:
    """Whatever is done to the tables with the service not asked."""
    move(store, 3)
    assert verified(database) == (7, [])
    change, message = CHANGES[what]
    with database.transaction() as connection:
        change(connection)
    _, faults = verified(database)
    assert message in " ".join(fault.message for fault in faults)


def test_a_chain_written_anew_is_not_what_was_seen(database: Database, store: RecordStore) -> None:
    """Heads that were kept elsewhere show it, as they do of the audit's other chains."""
    move(store, 3)
    before = Verification()
    for line in LabelHistory(database).lines():
        before.take(line)
    assert before.finish() == []
    with database.transaction() as connection:
        connection.execute(delete(LABEL_CHANGE))
        connection.execute(delete(LABEL))
        connection.execute(COUNTER.update().values(generation=0, history="0" * 64))
    after = Verification(expected=before.seen)
    for line in LabelHistory(database).lines():
        after.take(line)
    assert [fault.message for fault in after.finish()] == ["the whole chain is missing"]


def test_routers_that_publish_at_once_write_one_chain(
    store_settings: StoreSettings, tmp_path: Path
) -> None:
    """Each move holds the digest of the one before, whoever made that."""
    databases = [Database(store_settings, tmp_path) for _ in range(4)]
    stores = [RecordStore(database) for database in databases]
    names = [approve(stores[0], str(number), f"e{number % 4}x") for number in range(24)]

    def publish_some(number: int) -> None:
        for name in names[number::4]:
            publish(stores[number], name)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(publish_some, range(4)))
    assert verified(databases[0]) == (24, [])
    for database in databases:
        database.close()


def test_a_history_of_an_earlier_version_is_chained_as_it_stands(database: Database) -> None:
    """Moves from before the chain are its first ones, and later ones go on behind them."""
    config = Config(attributes={"version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "newline")
    with database.making() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        words = {"canary": "", "canary_share": 0.0, "live": "new"}
        for number, expert in enumerate(("legal", "medical", "legal"), 1):
            who = {"tenant": "partner", "subject": "key-1", "peer": "", "because": "因為"}
            made = {"live_before": "old", "action": "publish", "create_time_us": number}
            row = {"expert": expert, "generation": number, **words, **who, **made}
            connection.execute(_plain("adapter_label_changes", row).insert().values(row))
        for expert, generation in (("legal", 3), ("medical", 2)):
            row = {"expert": expert, "generation": generation, "update_time_us": 3, **words}
            connection.execute(_plain("adapter_labels", row).insert().values(row))
        counted = {"sequence": 9, "generation": 3}
        connection.execute(_plain("adapter_counter", counted).update().values(counted))
    assert list(LabelHistory(database).lines()) == []
    store = RecordStore(database, Clock())
    assert verified(database) == (3, [])
    assert store.generation() == 3
    store.rollback("legal", "old", FOLDER, None, PARTNER, "worse")
    assert verified(database) == (4, [])
    with database.transaction() as connection:
        connection.execute(LABEL_CHANGE.update().values(live="x").where(_numbered(1)))
    _, (fault, *_) = verified(database)
    assert fault.message.startswith("record 1 was changed")
