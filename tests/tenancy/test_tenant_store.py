"""Tenants are kept whole, changed one at a time, and seen as they stood at one moment."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete

from tame_router.config import StoreSettings
from tame_router.errors import AlreadyExistsError, KeyNotFoundError, TenantNotFoundError
from tame_router.store import Database
from tame_router.tenancy.access import ApiKey, BindingKind
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.store import TenantStore
from tame_router.tenancy.tables import GENERATION
from tame_router.tenancy.tenant import Scope, Tenant
from tests.tenancy.known import FACTORY, HOSPITAL, LATER, NOON, binding, key


@pytest.fixture
def store(database: Database) -> TenantStore:
    """Give an empty store; the test runs once on each kind of database."""
    return TenantStore(database)


def retitled(title: str) -> Callable[[Tenant], Tenant]:
    """Give a change of the title."""
    return lambda tenant: dataclasses.replace(tenant, title=title)


def test_what_is_kept_comes_back_whole(
    store: TenantStore, store_settings: StoreSettings, tmp_path: Path
) -> None:
    """Every field of tenants, keys and bindings, also for the next process."""
    kept = key("a", title="新", expire_time=LATER, revoke_time=LATER, scopes=frozenset(Scope))
    bound = binding("dns:his.hospital.tw")
    assert store.snapshot() == Snapshot()
    assert store.create(HOSPITAL) == HOSPITAL
    store.create(FACTORY)
    store.add_key(kept)
    store.bind(bound)
    expected = Snapshot.of([HOSPITAL, FACTORY], [kept], [bound], generation=4)
    assert store.snapshot() == expected
    other = Database(store_settings, tmp_path)
    assert TenantStore(other).snapshot() == expected
    other.close()


def test_every_change_grows_the_generation(store: TenantStore) -> None:
    """One that fails does not, and reading does not."""
    changes: list[Callable[[], object]] = [
        lambda: store.create(HOSPITAL),
        lambda: store.change("hospital", retitled("new")),
        lambda: store.add_key(key("a")),
        lambda: store.change_key("a", lambda k: dataclasses.replace(k, revoke_time=NOON)),
        lambda: store.rotate_key("a", lambda k: (k, key("b"))),
        lambda: store.bind(binding("dns:a")),
        lambda: store.unbind(BindingKind.CERTIFICATE_SAN, "dns:a"),
        lambda: store.delete("hospital"),
    ]
    for number, change in enumerate(changes, start=1):
        change()
        assert store.generation() == store.snapshot().generation == number
    with pytest.raises(TenantNotFoundError):
        store.delete("hospital")
    assert store.generation() == len(changes)


def test_a_name_is_given_once(store: TenantStore) -> None:
    """The same attempt again gives what is there; any other is refused."""
    store.create(HOSPITAL, "request-1")
    store.change("hospital", retitled("new"))
    assert store.create(HOSPITAL, "request-1").title == "new"
    for request_id in ("", "request-2"):
        with pytest.raises(AlreadyExistsError, match="'hospital' already; choose another"):
            store.create(FACTORY_AS_HOSPITAL, request_id)
    assert store.snapshot().tenants["hospital"].title == "new"


FACTORY_AS_HOSPITAL = dataclasses.replace(FACTORY, name="hospital")


def test_a_deleted_tenant_leaves_nothing_that_lets_in(store: TenantStore) -> None:
    """Its keys and bindings go with it, and do not count for a new tenant of its name."""
    store.create(HOSPITAL)
    store.create(FACTORY)
    for tenant in ("hospital", "factory"):
        store.add_key(key(tenant, tenant))
        store.bind(binding(f"dns:{tenant}", tenant))
    store.delete("hospital")
    store.create(FACTORY_AS_HOSPITAL)
    found = store.snapshot()
    assert set(found.keys) == {"factory"}
    assert {name for _, name in found.bindings} == {"dns:factory"}
    assert found.tenants["hospital"] == FACTORY_AS_HOSPITAL


def test_what_is_not_there_is_told(store: TenantStore) -> None:
    """The error names what was looked for, and how to find what there is."""
    with pytest.raises(TenantNotFoundError, match=r"no tenant 'nobody'; `tame tenant list`"):
        store.change("nobody", retitled("new"))
    with pytest.raises(TenantNotFoundError):
        store.add_key(key("a", "nobody"))
    with pytest.raises(TenantNotFoundError):
        store.bind(binding("dns:a", "nobody"))
    with pytest.raises(KeyNotFoundError, match=r"no key 'nothing'; `tame tenant key list`"):
        store.change_key("nothing", lambda k: k)
    with pytest.raises(KeyNotFoundError):
        store.rotate_key("nothing", lambda k: (k, k))
    assert store.unbind(BindingKind.JWT, "nothing") is False


def test_a_key_is_made_once(store: TenantStore) -> None:
    """An attempt that is repeated is told which key it made; it cannot be shown again."""
    store.create(HOSPITAL)
    store.add_key(key("a"), "request-1")
    with pytest.raises(AlreadyExistsError, match=r"'a' was made .* revoke it and make another"):
        store.add_key(key("b"), "request-1")
    with pytest.raises(AlreadyExistsError):
        store.rotate_key("a", lambda k: (k, key("b")), "request-1")
    assert store.snapshot().keys == {"a": key("a")}


def test_rotation_is_one_change(store: TenantStore) -> None:
    """The old key's end and the new key are kept together, or neither."""
    store.create(HOSPITAL)
    store.add_key(key("a"))

    def rotate(old: ApiKey) -> tuple[ApiKey, ApiKey]:
        return dataclasses.replace(old, revoke_time=LATER), key("b")

    assert store.rotate_key("a", rotate) == key("b")
    assert store.snapshot().keys == {"a": key("a", revoke_time=LATER), "b": key("b")}
    with pytest.raises(AlreadyExistsError):
        store.rotate_key("b", rotate)
    assert store.snapshot().keys["b"] == key("b")


def test_a_name_stands_for_one_tenant(store: TenantStore) -> None:
    """Bound again to the same it stays; to another it must be unbound first."""
    store.create(HOSPITAL)
    store.create(FACTORY)
    store.bind(binding("dns:a"))
    store.bind(binding("dns:a"))
    with pytest.raises(AlreadyExistsError, match="to tenant 'hospital' already; unbind"):
        store.bind(binding("dns:a", "factory"))
    assert store.unbind(BindingKind.CERTIFICATE_SAN, "dns:a") is True
    store.bind(binding("dns:a", "factory"))
    assert [b.tenant for b in store.snapshot().bindings.values()] == ["factory"]


def test_a_change_that_raises_changes_nothing(store: TenantStore) -> None:
    """State and generation stay as they were."""
    store.create(HOSPITAL)
    before = store.snapshot()
    with pytest.raises(ZeroDivisionError):
        store.change("hospital", lambda t: dataclasses.replace(t, priority=1 // 0))
    assert store.snapshot() == before


def test_writers_at_once_lose_nothing(
    store: TenantStore, store_settings: StoreSettings, tmp_path: Path
) -> None:
    """Each change is made from what the one before it left, also over other connections."""
    store.create(FACTORY)
    other = Database(store_settings, tmp_path)
    stores = (store, TenantStore(other))

    def grow(number: int) -> None:
        stores[number % 2].change(
            "factory", lambda t: dataclasses.replace(t, priority=t.priority + 1)
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(grow, range(20)))
    assert store.snapshot().tenants["factory"].priority == 20
    assert store.generation() == 21
    other.close()


def test_a_reader_sees_one_moment(store: TenantStore) -> None:
    """While titles of two tenants change together with keys, no snapshot holds half a change."""
    store.create(HOSPITAL)
    store.create(FACTORY)
    done = threading.Event()

    def change() -> None:
        for number in range(30):
            store.add_key(key(str(number)))
        done.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(change)
        while not done.is_set():
            found = store.snapshot()
            assert len(found.keys) == found.generation - 2


def test_stores_that_begin_at_once(store_settings: StoreSettings, tmp_path: Path) -> None:
    """Tables and the generation's row are made once; who comes second takes what is there."""
    databases = [Database(store_settings, tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(TenantStore, databases))
    assert [store.generation() for store in stores] == [0] * 4
    with databases[0].transaction() as connection:
        assert connection.execute(delete(GENERATION)).rowcount == 1
    for each in databases:
        each.close()
