"""One router that counts for itself, in memory and in a store."""

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from tame_router.config import Settings, StoreSettings
from tame_router.errors import ConfigError, QuotaExceededError, StoreUnavailableError
from tame_router.quota.building import build_quota
from tame_router.quota.counter_store import CounterStore
from tame_router.quota.keeper import Keeper
from tame_router.quota.local import UNCOUNTED, LocalQuota
from tame_router.quota.shared import SharedQuota
from tame_router.store import Database
from tame_router.tenancy.tenant import Limits, Tenant
from tests.quota.poll import until

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000.0


def tenant(name: str = "hospital", **limits: int) -> Tenant:
    """Give a tenant with limits."""
    return Tenant(name=name, limits=Limits(**limits))


def database(folder: Path) -> Database:
    """Open the default database of a folder."""
    return Database(StoreSettings(), folder)


def kept(folder: Path, amount_of: str) -> int:
    """Add up what is kept of a limit."""
    rows = CounterStore(database(folder)).load(0)
    return sum(amount for _, name, _, amount in rows if name == amount_of)


async def test_a_tenant_without_limits_is_not_counted(tmp_path: Path) -> None:
    """Neither memory nor the store is touched."""
    quota = LocalQuota(Keeper(lambda: database(tmp_path)))
    assert await quota.reserve(tenant(), 10**9) is UNCOUNTED
    await quota.take_upload(tenant(), 10**12)
    await quota.close()
    assert not (tmp_path / "tame.db").exists()


async def test_real_use_takes_the_place_of_what_was_set_aside() -> None:
    """Less is refunded, more is a debt, and neither is counted twice."""
    quota, who = LocalQuota(clock=lambda: NOW), tenant(tokens_per_minute=100)
    first = await quota.reserve(who, 100)
    with pytest.raises(QuotaExceededError):
        await quota.reserve(who, 1)
    await first.settle(40)
    await first.settle(40)
    second = await quota.reserve(who, 60)
    await second.settle(75)
    with pytest.raises(QuotaExceededError, match="115 tokens are used"):
        await quota.reserve(who, 1)


async def test_an_answer_that_failed_costs_nothing() -> None:
    """Its request is given back with its tokens, and its stream."""
    quota = LocalQuota(clock=lambda: NOW)
    who = tenant(requests_per_minute=1, tokens_per_day=10, concurrent_streams=1)
    for _ in range(3):
        failed = await quota.reserve(who, 10)
        with pytest.raises(QuotaExceededError, match="1 answers are under way"):
            await quota.reserve(who, 0)
        await failed.settle(None)
    done = await quota.reserve(who, 10)
    await done.settle(1)
    with pytest.raises(QuotaExceededError, match="requests_per_minute is 1"):
        await quota.reserve(who, 0)


async def test_tenants_do_not_take_from_each_other() -> None:
    """Each has its own windows."""
    quota = LocalQuota(clock=lambda: NOW)
    await quota.reserve(tenant("aa", requests_per_day=1), 0)
    await quota.reserve(tenant("bb", requests_per_day=1), 0)
    with pytest.raises(QuotaExceededError):
        await quota.reserve(tenant("aa", requests_per_day=1), 0)


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Requests, settled tokens and bytes are there again, to the last one."""
    who = tenant(requests_per_day=2, tokens_per_day=100, upload_bytes_per_day=10)
    quota = LocalQuota(Keeper(lambda: database(tmp_path)))
    await (await quota.reserve(who, 90)).settle(70)
    await quota.take_upload(who, 8)
    await quota.close()
    again = LocalQuota(Keeper(lambda: database(tmp_path)))
    with pytest.raises(QuotaExceededError, match="70 tokens are used"):
        await again.reserve(who, 31)
    with pytest.raises(QuotaExceededError, match="8 bytes"):
        await again.take_upload(who, 3)
    await again.reserve(who, 30)
    with pytest.raises(QuotaExceededError, match="requests_per_day"):
        await again.reserve(who, 0)
    await again.close()


async def test_counts_are_written_while_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed loses what it counted since the last batch."""
    monkeypatch.setattr("tame_router.quota.keeper.FLUSH_S", 0.01)
    quota = LocalQuota(Keeper(lambda: database(tmp_path)))
    await (await quota.reserve(tenant(tokens_per_day=100), 90)).settle(70)
    await until(lambda: kept(tmp_path, "tokens_per_day") == 70)
    await quota.close()
    assert kept(tmp_path, "tokens_per_day") == 70


async def test_two_routers_add_to_the_same_counts(tmp_path: Path) -> None:
    """Each counts for itself, and what both have used is where a third begins."""
    who = tenant(tokens_per_day=100)
    routers = [LocalQuota(Keeper(lambda: database(tmp_path))) for _ in range(2)]
    for router in routers:
        await (await router.reserve(who, 40)).settle(40)
    for router in routers:
        await router.close()
    assert kept(tmp_path, "tokens_per_day") == 80


async def test_a_store_that_fails_is_told_of_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Counting goes on in memory, and everything is written once the store is back."""
    monkeypatch.setattr("tame_router.quota.keeper.FLUSH_S", 0.01)
    caplog.set_level(logging.INFO, "tame_router")
    store = database(tmp_path)
    quota = LocalQuota(Keeper(lambda: store))
    await (await quota.reserve(tenant(tokens_per_day=100), 10)).settle(10)
    with store.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE quota_counts RENAME TO away")
    await (await quota.reserve(tenant(tokens_per_day=100), 20)).settle(20)
    await until(lambda: "quota.unsaved" in caplog.messages)
    with store.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO quota_counts")
    await until(lambda: "quota.saved" in caplog.messages)
    await quota.close()
    assert kept(tmp_path, "tokens_per_day") == 30
    assert caplog.messages.count("quota.unsaved") == 1


async def test_nothing_is_answered_while_it_is_not_known_what_was_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that cannot be opened fails closed; the caller does not read why."""
    (tmp_path / "tame.db").mkdir()
    quota = LocalQuota(Keeper(lambda: database(tmp_path)))
    for ask in (quota.reserve, quota.take_upload):
        with pytest.raises(StoreUnavailableError, match="the log") as raised:
            await ask(tenant(tokens_per_day=1, upload_bytes_per_day=1), 1)
        assert str(tmp_path) not in raised.value.message
    assert "store.failed" in caplog.messages
    await quota.close()


async def test_old_counts_are_dropped(tmp_path: Path) -> None:
    """The table holds no more than what still counts."""
    store = CounterStore(database(tmp_path))
    step = int(NOW // 900)
    store.add({("aa", "requests_per_day", step): 1, ("aa", "requests_per_day", step - 97): 2})
    assert list(store.load(NOW)) == [("aa", "requests_per_day", step, 1)]
    assert list(store.load(0)) == [("aa", "requests_per_day", step, 1)]


async def test_the_settings_choose(tmp_path: Path) -> None:
    """Without an address of Redis a router counts for itself."""
    settings = Settings(state_dir=tmp_path)
    local = build_quota(settings)
    assert isinstance(local, LocalQuota)
    await (await local.reserve(tenant(tokens_per_day=5), 5)).settle(5)
    await local.close()
    assert kept(tmp_path, "tokens_per_day") == 5
    access = settings.quota.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9")})
    shared = build_quota(settings.model_copy(update={"quota": access}))
    assert isinstance(shared, SharedQuota)
    await shared.close()
    access = settings.quota.model_copy(update={"redis_url": SecretStr("http://user:pass@host")})
    with pytest.raises(ConfigError, match=r"quota\.redis_url") as raised:
        build_quota(settings.model_copy(update={"quota": access}))
    assert "pass" not in raised.value.message
