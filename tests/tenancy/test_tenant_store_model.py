"""Whatever is done with the store, it holds what a plain model of it holds."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tame_router.config import StoreSettings
from tame_router.errors import TameError
from tame_router.store import Database
from tame_router.tenancy.access import ApiKey, Binding, BindingKind
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.store import TenantStore
from tame_router.tenancy.tenant import Limits, Scope, Tenant
from tests.tenancy.known import NOON, key

NAMES = st.sampled_from(["aa", "bb", "cc"])
KEY_IDS = st.sampled_from(["k1", "k2", "k3"])
EXPERTS = st.frozensets(st.sampled_from(["*", "legal", "medical", "電子"]))
COUNTS = st.none() | st.integers(0, 2**63 - 1)
TENANTS = st.builds(
    Tenant,
    name=NAMES,
    title=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=9),
    read=EXPERTS,
    publish=EXPERTS,
    joins=st.frozensets(st.sampled_from(["single", "panel"])),
    priority=st.integers(-100, 100),
    limits=st.builds(Limits, requests_per_minute=COUNTS, concurrent_streams=COUNTS),
    retain_texts_days=st.integers(0, 400),
    suspended=st.booleans(),
)
MOMENTS = st.none() | st.datetimes().map(lambda moment: moment.replace(tzinfo=NOON.tzinfo))
SCOPES = st.frozensets(st.sampled_from(Scope))
BINDINGS = st.builds(
    Binding,
    kind=st.sampled_from(BindingKind),
    name=st.sampled_from(["x", "y"]),
    tenant=NAMES,
    scopes=SCOPES,
)


class StoreMachine(RuleBasedStateMachine):
    """Does the same with a store and with dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._database = Database(StoreSettings(), Path(self._folder.name))
        self._store = TenantStore(self._database)
        self._tenants: dict[str, Tenant] = {}
        self._keys: dict[str, ApiKey] = {}
        self._bindings: dict[tuple[BindingKind, str], Binding] = {}

    def teardown(self) -> None:
        """Close the store."""
        self._database.close()
        self._folder.cleanup()

    def _do(self, work: Callable[[], object], *, allowed: bool) -> bool:
        try:
            work()
        except TameError:
            assert not allowed
            return False
        assert allowed
        return True

    @rule(tenant=TENANTS)
    def create(self, tenant: Tenant) -> None:
        """Add a tenant."""
        if self._do(lambda: self._store.create(tenant), allowed=tenant.name not in self._tenants):
            self._tenants[tenant.name] = tenant

    @rule(tenant=TENANTS)
    def change(self, tenant: Tenant) -> None:
        """Change a tenant."""
        done = self._do(
            lambda: self._store.change(tenant.name, lambda _: tenant),
            allowed=tenant.name in self._tenants,
        )
        if done:
            self._tenants[tenant.name] = tenant

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        """Delete a tenant."""
        if self._do(lambda: self._store.delete(name), allowed=name in self._tenants):
            del self._tenants[name]
            self._keys = {i: k for i, k in self._keys.items() if k.tenant != name}
            self._bindings = {i: b for i, b in self._bindings.items() if b.tenant != name}

    @rule(key_id=KEY_IDS, tenant=NAMES, expire=MOMENTS, revoke=MOMENTS, scopes=SCOPES)
    def add_key(self, key_id: str, tenant: str, **fields: object) -> None:
        """Add a key."""
        made = key(
            key_id,
            tenant,
            expire_time=fields["expire"],
            revoke_time=fields["revoke"],
            scopes=fields["scopes"],
        )
        allowed = tenant in self._tenants and key_id not in self._keys
        if self._do(lambda: self._store.add_key(made), allowed=allowed):
            self._keys[key_id] = made

    @rule(old=KEY_IDS, new=KEY_IDS)
    def rotate_key(self, old: str, new: str) -> None:
        """Rotate a key."""
        ended = self._keys.get(old)
        made = key(new, ended.tenant if ended else "aa")

        def rotate(found: ApiKey) -> tuple[ApiKey, ApiKey]:
            return dataclasses.replace(found, revoke_time=NOON), made

        allowed = ended is not None and new not in self._keys
        if self._do(lambda: self._store.rotate_key(old, rotate), allowed=allowed) and ended:
            self._keys[old] = dataclasses.replace(ended, revoke_time=NOON)
            self._keys[new] = made

    @rule(binding=BINDINGS)
    def bind(self, binding: Binding) -> None:
        """Bind a name."""
        place = (binding.kind, binding.name)
        allowed = binding.tenant in self._tenants and self._bindings.get(place, binding) == binding
        if self._do(lambda: self._store.bind(binding), allowed=allowed):
            self._bindings[place] = binding

    @rule(binding=BINDINGS)
    def unbind(self, binding: Binding) -> None:
        """Unbind a name."""
        found = self._bindings.pop((binding.kind, binding.name), None)
        assert self._store.unbind(binding.kind, binding.name) is (found is not None)

    @invariant()
    def same(self) -> None:
        """Both hold the same."""
        found = self._store.snapshot()
        assert found == Snapshot.of(
            self._tenants.values(),
            self._keys.values(),
            self._bindings.values(),
            found.generation,
        )


def test_the_store_is_as_its_model() -> None:
    """Any sequence of operations leaves both with the same, and both refuse the same."""
    run_state_machine_as_test(
        StoreMachine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
