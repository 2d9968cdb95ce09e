"""`tame tenant`: from an empty store to a tenant that can be let in, and everything refused."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tame_router.config import StoreSettings
from tame_router.identity import api_key
from tame_router.store import FILE, Database
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.store import TenantStore
from tests.cli.conftest import Tame
from tests.cli.terminal import Terminal


def known() -> Snapshot:
    """Give what the commands have left in the default store."""
    database = Database(StoreSettings(), Path(".tame"))
    try:
        return TenantStore(database).snapshot()
    finally:
        database.close()


def told(tame: Tame, *arguments: str) -> Any:
    """Run a tenant command, and read the JSON object it writes."""
    done = tame("tenant", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_the_first_key_needs_nothing_but_a_store(tame: Tame) -> None:
    """In an empty folder, without experts or a router, an administrator is let in."""
    assert tame("tenant", "create", "operations", "--grant", "*").code == 0
    done = tame("tenant", "key", "create", "operations", "--scopes", "admin,metrics")
    text = done.out.strip()
    key = known().keys[api_key.parse(text) or ""]
    assert api_key.matches(text, key.digest)
    assert key.scopes == {"admin", "metrics"}
    assert done.err == (
        f"key {key.key_id} of operations, admin, metrics, without end; it is shown this once\n"
    )
    assert (Path(".tame") / FILE).stat().st_mode & 0o077 == 0


def test_a_tenant_is_made_changed_and_shown(tame: Tame) -> None:
    """What is given is kept, what is not stays, and `none` lifts a limit."""
    made = told(
        tame, "create", "hospital", "--title", "市立醫院", "--grant", "*",
        "--priority", "5", "--requests-per-minute", "60", "--tokens-per-day", "1000",
        "--streams", "4", "--joins", "single", "--retain-texts", "30",
    )  # fmt: skip
    assert made == {
        "name": "hospital",
        "title": "市立醫院",
        "read": ["*"],
        "publish": [],
        "joins": ["single"],
        "priority": 5,
        "limits": {"requests_per_minute": 60, "tokens_per_day": 1000, "concurrent_streams": 4},
        "retain_texts_days": 30,
        "suspended": False,
    }
    changed = told(tame, "update", "hospital", "--tokens-per-day", "none", "--streams", "0")
    assert changed == {**made, "limits": {"requests_per_minute": 60, "concurrent_streams": 0}}
    changed = told(tame, "update", "hospital", "--joins", "", "--title", "")
    assert (changed["joins"], changed["title"]) == ([], "")
    assert told(tame, "suspend", "hospital")["suspended"] is True
    assert told(tame, "resume", "hospital") == changed == told(tame, "show", "hospital")
    shown = tame("tenant", "show", "hospital").out
    assert "limits             requests_per_minute 60, concurrent_streams 0\n" in shown
    assert "suspended          no\n" in shown


def test_experts_are_granted_by_name(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are checked against the catalog, and granting adds to what there is."""
    monkeypatch.setenv("TAME_STORE__URL", f"sqlite:///{Path.cwd() / FILE}")
    config = ("--config", str(config_file))
    told(tame, "create", "clinic", "--grant", "medical, general", "--publish", "medical", *config)
    granted = told(tame, "grant", "clinic", "legal", "--publish", "legal", *config)
    assert granted["read"] == ["general", "legal", "medical"]
    assert granted["publish"] == ["legal", "medical"]
    left = told(tame, "revoke", "clinic", "general,medical", "--publish", "medical", *config)
    assert (left["read"], left["publish"]) == (["legal"], ["legal"])
    new = told(tame, "grant", "clinic", "--publish", "packaging", "--new-expert", *config)
    assert new["publish"] == ["legal", "packaging"]
    refused = tame("tenant", "grant", "clinic", "astrology", *config)
    assert refused.code == 2
    assert (
        "'astrology', which is no expert; there are: electronics, general, legal, medical"
        in refused.err
    )


def test_keys_are_listed_rotated_and_revoked(tame: Tame) -> None:
    """The key itself is in what made it and nowhere else."""
    told(tame, "create", "hospital")
    before = datetime.now(UTC)
    first = told(tame, "key", "create", "hospital", "--title", "HIS", "--expires", "90d")
    second = told(tame, "key", "rotate", first["key_id"], "--overlap", "7d")
    third = told(tame, "key", "create", "hospital", "--expires", "2999-06-30")
    assert third["expire_time"] == "2999-06-30T00:00:00Z"
    assert told(tame, "key", "revoke", third["key_id"])["revoke_time"]
    assert tame("tenant", "key", "revoke", second["key_id"]).out == (
        f"revoked {second['key_id']} of hospital\n"
    )
    keys = known().keys
    ends = keys[first["key_id"]].expire_time, keys[first["key_id"]].revoke_time
    for end, days in zip(ends, (90, 7), strict=True):
        assert end is not None
        assert timedelta(0) <= end - before - timedelta(days=days) < timedelta(minutes=1)
    listing = tame("tenant", "key", "list", "hospital").out
    states = dict(line.split("\t")[:2] for line in listing.splitlines())
    assert states == {
        first["key_id"]: "counts",
        second["key_id"]: "ended",
        third["key_id"]: "ended",
    }
    as_json = tame("tenant", "key", "list", "hospital", "--json").out
    for made in (first, second, third):
        for out in (listing, as_json):
            assert made["key"] not in out
            assert keys[made["key_id"]].digest.hex() not in out


def test_certificates_and_tokens_are_bound(tame: Tame) -> None:
    """Each kind of name stands for the tenant until it is unbound."""
    told(tame, "create", "hospital")
    told(tame, "bind", "hospital", "--san", "dns:HIS.hospital.tw", "--scopes", "chat,usage")
    told(tame, "bind", "hospital", "--subject", "CN=his,O=Hospital")
    bound = tame("tenant", "bind", "hospital", "--jwt", "https://issuer.example/", "hospital")
    assert bound.out == "jwt https://issuer.example/ hospital stands for hospital: chat\n"
    assert tame("tenant", "bindings", "hospital").out.splitlines() == [
        "certificate_san\tdns:his.hospital.tw\tchat, usage",
        "certificate_subject\tCN=his,O=Hospital\tchat",
        "jwt\thttps://issuer.example/ hospital\tchat",
    ]
    assert len(tame("tenant", "bindings", "hospital", "--json").out.splitlines()) == 3
    assert told(tame, "unbind", "--subject", "CN=his,O=Hospital")["unbound"] is True
    done = tame("tenant", "unbind", "--san", "dns:his.hospital.tw")
    assert done.out == "unbound certificate_san dns:his.hospital.tw\n"
    again = tame("tenant", "unbind", "--san", "dns:his.hospital.tw")
    assert (again.code, again.err) == (
        1,
        "the certificate_san dns:his.hospital.tw is not bound\n",
    )


def test_deleting_has_to_be_meant(tame: Tame) -> None:
    """Without --yes nothing happens; with it the keys are gone too."""
    told(tame, "create", "hospital")
    told(tame, "key", "create", "hospital")
    refused = tame("tenant", "delete", "hospital")
    assert refused.code == 2
    assert "give --yes if that is meant, or `tame tenant suspend` it" in refused.err
    assert len(known().keys) == 1
    done = tame("tenant", "delete", "hospital", "--yes")
    assert done.out == "deleted hospital; what was recorded of it stays\n"
    assert (known().tenants, known().keys) == ({}, {})


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "nobody"), 1, "TENANT_NOT_FOUND: there is no tenant 'nobody'"),
        (("key", "list", "nobody"), 1, "TENANT_NOT_FOUND"),
        (("key", "revoke", "nothing"), 1, "KEY_NOT_FOUND: there is no key 'nothing'"),
        (("create", "hospital"), 1, "ALREADY_EXISTS: there is a tenant 'hospital' already"),
        (("create", "Hospital"), 2, "INVALID_REQUEST: the tenant's name is 'Hospital'"),
        (("update", "hospital"), 2, "nothing is given to change"),
        (("update", "hospital", "--tokens-per-day", "many"), 2, "'many' is no limit; expected"),
        (("update", "hospital", "--streams=-1"), 2, "concurrent_streams is -1; expected 0"),
        (("grant", "hospital"), 2, "no expert is named"),
        (("create", "other", "--publish", "*"), 2, "granted one by one, by name"),
        (("key", "create", "hospital", "--scopes", "root"), 2, "'root'; expected some of chat"),
        (("key", "create", "hospital", "--scopes", ""), 2, "give at least one of chat"),
        (("key", "create", "hospital", "--expires", "soon"), 2, "'soon' is no end; expected 90d"),
        (("key", "create", "hospital", "--expires", "2020-01-01"), 2, "has passed"),
        (("key", "rotate", "x", "--overlap", "1y"), 2, "'1y' is no length of time; expected"),
        (("bind", "hospital"), 2, "one of the arguments --subject --san --jwt is required"),
        (("bind", "hospital", "--san", "his"), 2, "no alternative name; expected `dns:"),
        (("list", "--config", "none.yaml"), 3, "INVALID_CONFIGURATION"),
    ],
)
def test_what_is_refused_says_what_to_do(
    tame: Tame, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """The exit code tells whose fault it is, and nothing is changed or printed."""
    tame("tenant", "create", "hospital")
    before = known()
    done = tame("tenant", *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert known() == before


def test_a_table_on_a_terminal(tame: Tame, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has headings, and a title is no markup."""
    tame("tenant", "create", "hospital", "--title", "[bold]醫院", "--grant", "*")
    tame("tenant", "suspend", "hospital")
    told(tame, "key", "create", "hospital")
    piped = tame("tenant", "list").out
    assert piped == "hospital\t[bold]醫院\t*\t\t1\tsuspended\n"
    assert json.loads(tame("tenant", "list", "--json").out)["title"] == "[bold]醫院"
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    tame("tenant", "list")
    heading, row = terminal.getvalue().splitlines()
    assert [name in heading for name in ("name", "title", "read", "state")] == [True] * 4
    assert "[bold]醫院" in row


def test_help_shows_examples_and_loads_nothing_heavy(tame: Tame) -> None:
    """Each command has its own; neither the database's library nor gRPC is needed to read it."""
    for command in ((), ("create",), ("key",), ("key", "rotate"), ("bind",), ("grant",)):
        done = tame("tenant", *command, "--help")
        assert done.code == 0
        assert "examples:" in done.out
    program = (
        "import sys; from tame_router.cli.main import parser; parser();"
        "print([m for m in ('sqlalchemy', 'grpc', 'pydantic', 'rich') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout == b"[]\n"
