"""What audit remembers of tenants."""

import pytest

from tame_router.audit.tenant_history import TenantHistory
from tame_router.errors import AlreadyExistsError
from tame_router.store import Database
from tame_router.tenancy.store import TenantStore
from tame_router.tenancy.tenant import Tenant
from tests.audit.recorded import NOON, fill, prune


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
