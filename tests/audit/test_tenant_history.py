"""What audit remembers of tenants."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tame_router.audit.archive import Archive
from tame_router.audit.lookup import Wanted
from tame_router.audit.tenant_history import TenantHistory
from tame_router.errors import AlreadyExistsError
from tame_router.store import Database
from tame_router.tenancy.store import TenantStore
from tame_router.tenancy.tenant import Tenant
from tests.audit.recorded import NOON, fill, prune, verified
from tests.tenancy.known import FACTORY, binding, key


def test_a_name_with_a_past_is_no_new_tenants(database: Database) -> None:
    """It would inherit use and answers, which stay when records are pruned."""
    store = TenantStore(database, TenantHistory(database))
    fill(database, 1, tenant="hospital")
    with pytest.raises(AlreadyExistsError, match="choose another name"):
        store.create(Tenant(name="hospital"))
    prune(database, NOON.replace(year=2027))
    with pytest.raises(AlreadyExistsError, match="still recorded"):
        store.create(Tenant(name="hospital"))
    assert not store.snapshot().tenants


def test_a_name_under_which_nothing_was_done_can_be_given_again(database: Database) -> None:
    """A tenant made by mistake takes no name away."""
    store = TenantStore(database, TenantHistory(database))
    fill(database, 1, tenant="factory")
    for _ in range(2):
        store.create(Tenant(name="hospital"))
        store.delete("hospital")


def _changes(database: Database) -> list[dict[str, Any]]:
    found = Archive(database).find(Wanted(changes=True))
    return [json.loads(kept.line) for kept in found]


def test_changes_are_chained_with_what_they_change(database: Database) -> None:
    """Each once, with who made it, and none of what failed or changed nothing."""
    store = TenantStore(database, TenantHistory(database, lambda: NOON)).signed("operations/key")
    store.create(FACTORY, "request-1")
    store.create(FACTORY, "request-1")
    store.change("factory", lambda tenant: replace(tenant, suspended=True))
    store.change("factory", lambda tenant: tenant)
    store.add_key(key("old", "factory"))
    with pytest.raises(AlreadyExistsError):
        store.add_key(key("old", "factory"))
    new = key("new", "factory")
    store.rotate_key("old", lambda old: (replace(old, revoke_time=NOON), new))
    store.change_key("new", lambda old: replace(old, revoke_time=NOON))
    bound = binding("dns:his.tw", "factory")
    store.bind(bound)
    store.bind(bound)
    assert store.unbind(bound.kind, bound.name)
    assert not store.unbind(bound.kind, bound.name)
    store.delete("factory")
    told = [(c["what"], c["name"], bool(c["before"]), bool(c["after"])) for c in _changes(database)]
    assert told == [
        ("tenant", "factory", False, True),
        ("tenant", "factory", True, True),
        ("key", "old", False, True),
        ("key", "old", True, True),
        ("key", "new", False, True),
        ("key", "new", True, True),
        ("binding", "certificate_san dns:his.tw", False, True),
        ("binding", "certificate_san dns:his.tw", True, False),
        ("tenant", "factory", True, False),
    ]
    assert {c["by"] for c in _changes(database)} == {"operations/key"}
    assert _changes(database)[1]["after"] == {"suspended": True}
    assert verified(database) == []
    assert Archive(database).compare() == []
    assert prune(database, NOON + timedelta(days=1)).records == 9
    assert verified(database) == []
