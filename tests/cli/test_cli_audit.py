"""`tame audit` and `tame tenant usage`, on a real database."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet
import pytest
from sqlalchemy import delete, update

from tame_router.audit.entry import Entry
from tame_router.audit.store import AuditStore
from tame_router.audit.tables import RECORDS, USAGE
from tame_router.cli import tenant_usage
from tests.audit.recorded import NOON, SALT, answered, fill, kept, prune, said
from tests.cli.conftest import Tame

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
