"""`tame audit` over a database that holds bytes which are no text, where text should be."""

import sqlite3
from pathlib import Path

import pytest

from tame_router.registry.records.record_store import RecordStore
from tests.audit.recorded import fill, kept
from tests.cli.conftest import Tame
from tests.registry.known import approve, publish

STATE = Path(".tame")


@pytest.fixture(autouse=True)
def _filled(monkeypatch: pytest.MonkeyPatch, _clean: None) -> None:
    """Keep some answers and two moves of a label in the test's own folder."""
    STATE.mkdir()
    monkeypatch.setenv("TAME_STATE_DIR", str(STATE))
    with kept(STATE) as database:
        fill(database, 3)
        store = RecordStore(database)
        for seed in "ab":
            publish(store, approve(store, seed))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("adapter_label_changes set because={} where number=1", "chain labels: record 1 was"),
        ("adapter_label_changes set expert={} where number=2", "chain labels: record 2, the last"),
        ("adapter_labels set live={}", "chain labels: the label of legal is not where"),
        ("adapter_counter set history={}", "chain labels: record 2, the last, or the head was"),
        ("audit_record set line={} where seq=3", "chain c1: the line behind record 2 cannot be"),
        ("audit_record set tenant={} where seq=3", "chain c1: column tenant is not what is chain"),
        ("audit_chain set digest={}", "the last, or the head was changed"),
        ("audit_usage set tenant={}", "use of baking by"),
    ],
)
def test_bytes_that_are_no_text_are_a_fault_of_their_row(
    tame: Tame, change: str, told: str
) -> None:
    """SQLite takes them in any column; the store can be used all the same, and the row is named."""
    with sqlite3.connect(STATE / "tame.db") as connection:
        connection.execute(f"update {change}".format("cast(x'7bff' as text)"))
    connection.close()
    result = tame("audit", "verify")
    assert result.code == 1
    assert told in result.err
    assert tame("audit", "export", "--out", "audit.jsonl").code in {0, 1}
    assert tame("audit", "verify", "--file", "audit.jsonl").code in {0, 1}
    assert tame("audit", "export").code in {0, 1}
