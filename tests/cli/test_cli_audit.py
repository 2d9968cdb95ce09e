"""`tame audit` and `tame tenant usage`, on a real database."""

import argparse
import json
import os
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet
import pytest
from sqlalchemy import delete, select, update

from tame_router.audit.entry import Entry
from tame_router.audit.store import AuditStore
from tame_router.audit.tables import RECORDS, USAGE
from tame_router.cli import tenant_usage
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.records.tables import LABEL, LABEL_CHANGE
from tests.audit.recorded import NOON, SALT, answered, fill, kept, prune, said
from tests.cli.conftest import Tame
from tests.registry.known import approve, publish

STATE = Path(".tame")


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, _clean: None) -> None:
    """Keep what the service builds in the test's own folder."""
    STATE.mkdir()
    monkeypatch.setenv("TAME_STATE_DIR", str(STATE))


def _filled(count: int = 3) -> None:
    with kept(STATE) as database:
        head = fill(database, count)
        last = Entry(record=answered(count + 1), texts=said(30_000))
        AuditStore(database).append(head, [last], [SALT])


def test_untouched_records_verify(tame: Tame) -> None:
    """In the database, as an export, and against heads written earlier."""
    _filled()
    result = tame("audit", "verify", "--write-head", "heads.jsonl")
    assert (result.code, result.out) == (0, "5 records in 1 chain: nothing was touched\n")
    assert tame("audit", "verify", "--head", "heads.jsonl").code == 0
    result = tame("audit", "export", "--out", "audit.jsonl", "--json")
    assert json.loads(result.out) == {"file": "audit.jsonl", "records": 5}
    result = tame("audit", "verify", "--file", "audit.jsonl", "--head", "heads.jsonl", "--json")
    told = {"ok": True, "records": 5, "chains": 1, "pruned": [], "faults": []}
    assert json.loads(result.out) == told
    assert tame("audit", "export").out == Path("audit.jsonl").read_text()


def test_moves_of_labels_are_proved_with_the_rest(tame: Tame) -> None:
    """In the database, in an export, and against heads; a changed one is named."""
    _filled()
    with kept(STATE) as database:
        store = RecordStore(database)
        for seed in "ab":
            publish(store, approve(store, seed))
    result = tame("audit", "verify", "--write-head", "heads.jsonl")
    assert (result.code, result.out) == (0, "7 records in 2 chains: nothing was touched\n")
    assert tame("audit", "export", "--out", "audit.jsonl").code == 0
    assert tame("audit", "export", "--format", "parquet", "--out", "audit.parquet").code == 0
    assert tame("audit", "verify", "--file", "audit.jsonl", "--head", "heads.jsonl").code == 0
    with kept(STATE) as database, database.transaction() as connection:
        connection.execute(
            update(LABEL_CHANGE).values(tenant="x").where(LABEL_CHANGE.c.number == 1)
        )
        connection.execute(update(LABEL).values(live="x"))
    result = tame("audit", "verify", "--head", "heads.jsonl")
    assert result.code == 1
    assert "chain labels: record 1 was changed, or what record 2 says of it\n" in result.err
    assert "chain labels: the label of legal is not where its last move has put it" in result.err


def test_a_missing_record_is_named(tame: Tame) -> None:
    """With exit code 1, the chain and the number."""
    _filled()
    with kept(STATE) as database, database.transaction() as connection:
        connection.execute(delete(RECORDS).where(RECORDS.c.seq == 3))
    result = tame("audit", "verify")
    assert result.code == 1
    assert result.err.startswith("chain c1: record 3 is missing before record 4\nuse of baking")
    assert json.loads(tame("audit", "verify", "--json").out)["faults"][0]["seq"] == 3


def test_what_lies_beside_the_chain_is_compared_with_it(tame: Tame) -> None:
    """Columns, texts and use: whoever reads them reads what was chained."""
    _filled()
    with kept(STATE) as database, database.transaction() as connection:
        connection.execute(update(RECORDS).where(RECORDS.c.seq == 3).values(tenant="factory"))
        connection.execute(update(USAGE).values(requests=0))
    result = tame("audit", "verify")
    assert result.code == 1
    assert result.err.splitlines() == [
        "chain c1: column tenant is not what is chained in record 3",
        "use of baking by hospital on 2026-11-24: requests 0, proved 4",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("audit_record set line='[]' where seq=3", "chain c1: the line behind record 2 cannot be"),
        ("audit_record set line=x'ff00' where seq=3", "chain c1: the line behind record 2 cannot"),
        ("audit_record set seq='a' where seq=3", "chain c1: column seq is not what is chained in"),
        ("audit_record set seq='a' where seq=5", "chain c1: column seq is not what is chained in"),
        ("audit_record set chain=x'6331' where seq=3", "chain c1: record 3 is missing before"),
        ("audit_record set begin_time_us='noon' where seq=3", "chain c1: column begin_time_us"),
        ("audit_chain set seq='a'", "chain c1: the line behind record 5 cannot be read"),
        ("audit_chain set pruned_seq='a'", "chain c1: record 1 stands outside its chain"),
        ("audit_chain set digest=x'ff'", "chain c1: record 5, the last, or the head was changed"),
        ("audit_chain set chain=x'ff'", "records 1 to 5 are missing at the end"),
        ("audit_text set answer='forged'", "chain c1: the answer kept of record 5 is not what"),
        ("audit_text set salt=7", "chain c1: the question kept of record 5 is not what"),
        ("audit_text set seq='a'", "texts are kept of record a, which is not there"),
        ("audit_usage set day='noon'", "use of baking by hospital on noon cannot be read"),
        ("audit_usage set requests='many'", "use of baking by hospital on 2026-11-24 cannot be"),
        ("audit_usage set tenant=x'ff'", " on 2026-11-24 cannot be read"),
    ],
)
def test_what_sqlite_takes_in_any_column_is_a_fault(tame: Tame, change: str, told: str) -> None:
    """Whatever was put there by hand, each command goes on behind it, and says so."""
    _filled()
    with sqlite3.connect(STATE / "tame.db") as connection:
        connection.execute(f"update {change}")
    connection.close()
    result = tame("audit", "verify")
    assert result.code == 1
    assert told in result.err
    assert json.loads(tame("audit", "verify", "--json").out)["faults"]
    assert tame("audit", "export", "--out", "a.jsonl").code in {0, 1}
    assert tame("audit", "export", "--format", "parquet", "--out", "a.parquet").code in {0, 1}
    assert Path("a.jsonl").read_text()
    assert pyarrow.parquet.read_table("a.parquet").num_rows <= 4


@pytest.mark.parametrize("line", ["[]", "{", '{"kind":"answer"}'])
def test_an_export_holds_a_line_that_is_no_record(tame: Tame, line: str) -> None:
    """As it was found; the line is named, and the exit code is 1."""
    _filled()
    with kept(STATE) as database, database.transaction() as connection:
        connection.execute(update(RECORDS).where(RECORDS.c.seq == 3).values(line=line))
    named = "chain c1: the line behind record 2 cannot be read as a record\n"
    result = tame("audit", "export", "--out", "a.jsonl", "--json")
    assert (result.code, result.err) == (1, named)
    assert json.loads(result.out)["records"] == 5
    assert Path("a.jsonl").read_text().splitlines()[3] == line
    result = tame("audit", "export")
    assert (result.code, result.err) == (1, named)
    assert result.out == Path("a.jsonl").read_text()
    result = tame("audit", "export", "--format", "parquet", "--out", "a.parquet")
    assert (result.code, result.err) == (1, named)
    assert pyarrow.parquet.read_table("a.parquet").num_rows == 3


@pytest.mark.parametrize(
    "fields", [{"experts": 5}, {"experts": "law"}, {"begin_time": 5}, {"tenant": 5}, {"steps": [5]}]
)
def test_a_record_of_other_types_is_a_fault(tame: Tame, fields: dict[str, object]) -> None:
    """It is proved as far as it can be read, and left out where columns have a type."""
    _filled()
    with kept(STATE) as database, database.transaction() as connection:
        third = RECORDS.c.seq == 3
        line = json.loads(connection.execute(select(RECORDS.c.line).where(third)).scalar_one())
        changed = json.dumps({**line, **fields})
        connection.execute(update(RECORDS).where(third).values(line=changed))
    assert tame("audit", "verify").code == 1
    result = tame("audit", "export", "--format", "parquet", "--out", "a.parquet")
    assert (result.code, result.out) == (1, "3 records in a.parquet\n")
    assert result.err == "chain c1: the line behind record 2 cannot be read as a record\n"


def test_files_that_are_none_are_refused(tame: Tame) -> None:
    """With what was expected."""
    Path("bad").write_text("x")
    assert tame("audit", "verify", "--head", "bad").code == 2
    assert tame("audit", "verify", "--head", "nowhere").code == 2
    assert tame("audit", "verify", "--file", "nowhere").code == 2
    assert tame("audit", "verify", "--file", "bad").code == 1
    assert tame("audit", "export", "--format", "parquet").code == 2


def test_parquet_holds_the_answers(tame: Tame) -> None:
    """With types that other programs understand."""
    _filled()
    assert tame("audit", "export", "--format", "parquet", "--out", "a.parquet").code == 0
    table = pyarrow.parquet.read_table("a.parquet")
    assert table.num_rows == 4
    row = table.to_pylist()[0]
    assert row["begin_time"] == answered(1).begin_time
    assert row["steps"][0]["completion_tokens"] == 5
    assert row["experts"][0] == {"expert": "baking", "probability": 0.75}


def test_records_are_shown(tame: Tame) -> None:
    """In a line each, with texts as JSON alone."""
    _filled()
    lines = tame("audit", "show", "--since", "2026-11-24").out.splitlines()
    assert len(lines) == 4
    assert "hospital/key-1  baking  ok  15 tokens  0.250 s" in lines[0]
    result = tame("audit", "show", "--answer", "answer-000004", "--json")
    assert json.loads(result.out)["answer"] == "麵團要\0靜置"
    assert "answer" not in json.loads(tame("audit", "show", "--json").out.splitlines()[0])
    assert tame("audit", "show", "--since", "noon").code == 2


def test_old_records_are_dropped(tame: Tame, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the policy, and the rest verifies."""
    old = datetime(2020, 1, 1, tzinfo=UTC)
    with kept(STATE) as database:
        store = AuditStore(database)
        head = store.begin("c1", old, {})
        store.append(head, [Entry(record=answered(begin_time=old), texts=said())], [SALT])
    assert tame("audit", "prune", "--json").out == '{"records": 2, "texts": 1}\n'
    assert tame("audit", "prune").out == "dropped 0 records and 0 texts\n"
    result = tame("audit", "verify")
    assert result.code == 0
    first, second = result.out.splitlines()
    assert first == "1 record in 2 chains: nothing was touched"
    assert second.startswith("2 records pruned; last ")
    [told] = json.loads(tame("audit", "verify", "--json").out)["pruned"]
    assert (told["records"], told["seq"], told["retention_days"]) == (2, 2, 400)
    assert told["by"].startswith("command/")


def test_a_young_record_that_was_pruned_is_missed(tame: Tame) -> None:
    """Whoever forges a prune does not make heads fit that lie elsewhere."""
    with kept(STATE) as database:
        store = AuditStore(database)
        now = datetime.now(UTC)
        head = store.begin("c1", now, {})
        store.append(head, [Entry(record=answered(begin_time=now))], [SALT])
    assert tame("audit", "verify", "--write-head", "heads.jsonl").code == 0
    with kept(STATE) as database:
        prune(database, now + timedelta(days=1))
    assert tame("audit", "verify").code == 0
    result = tame("audit", "verify", "--head", "heads.jsonl")
    assert result.code == 1
    assert "too young to have been pruned" in result.err


def test_use_is_shown(tame: Tame, capsys: pytest.CaptureFixture[str]) -> None:
    """By the day and the expert, for people and for machines."""
    _filled()
    parser = argparse.ArgumentParser()
    tenant_usage.add(parser.add_subparsers())
    day = str(NOON.date())
    wanted = ["usage", "hospital", "--since", day, "--until", day]
    for more in ([], ["--json"]):
        parsed = parser.parse_args([*wanted, *more])
        assert parsed.run(parsed) == 0
    text, line = capsys.readouterr().out.splitlines()
    assert text == f"{day}  hospital  baking  4 requests, 0 failed, 40 + 20 tokens"
    assert json.loads(line)["requests"] == 4
    with pytest.raises(SystemExit):
        parser.parse_args(["usage", "--since", "noon"])


def test_parquet_without_its_library_says_what_to_install(
    tame: Tame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves no half of a file."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = tame("audit", "export", "--format", "parquet", "--out", "a.parquet")
    assert result.code == 2
    assert "tame-router[parquet]" in result.err
    assert not list(Path().glob("*.par*"))


def test_a_name_under_which_answers_are_recorded_is_refused(tame: Tame) -> None:
    """A new tenant does not inherit what a deleted one used."""
    _filled()
    result = tame("tenant", "create", "hospital")
    assert result.code == 1
    assert "choose another name" in result.err
    assert tame("tenant", "create", "clinic").code == 0


def test_changes_of_tenants_are_shown(tame: Tame) -> None:
    """Who did what to whom, by the command as over the API."""
    assert tame("tenant", "create", "hospital").code == 0
    assert tame("tenant", "grant", "hospital", "*").code == 0
    assert tame("tenant", "delete", "hospital", "--yes").code == 0
    lines = tame("audit", "show", "--changes", "--tenant", "hospital").out.splitlines()
    by = f"by command/{os.getuid()}"
    assert [line.split("  ")[1:] for line in lines] == [
        ["hospital", "tenant hospital", "made", by],
        ["hospital", "tenant hospital", "changed read", by],
        ["hospital", "tenant hospital", "taken away", by],
    ]
    second = tame("audit", "show", "--changes", "--json").out.splitlines()[1]
    assert json.loads(second)["after"] == {"read": ["*"]}
    assert tame("audit", "verify").code == 0
    assert tame("audit", "show").out == ""
