"""The scripts in Redis, beside the ledger in memory."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tame_router.errors import QuotaExceededError
from tame_router.quota.ledger import Account, Hold, Ledger
from tame_router.quota.quota import Reservation
from tame_router.quota.redis_link import RedisLink
from tame_router.quota.shared import SharedQuota
from tame_router.tenancy.tenant import Limits, Tenant
from tests.quota.test_ledger import LIMITS
from tests.redis_fixture import RedisServer

pytestmark = pytest.mark.redis

ACTIONS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "fail"]), st.integers(0, 30)), max_size=25
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIMITS, ACTIONS)
def test_redis_counts_as_the_ledger_does(
    redis_server: RedisServer, limits: Limits, actions: list[tuple[str, int]]
) -> None:
    """The script admits and refuses what the ledger, proved by its model, admits and refuses."""
    asyncio.run(_compare(redis_server, limits, actions))


def _admit(ledger: Ledger, account: Account, tokens: int, quota: SharedQuota) -> Hold | str:
    try:
        return ledger.admit(account, tokens, quota._now())
    except QuotaExceededError as error:
        return error.metadata["limit"]


async def _reserve(quota: SharedQuota, who: Tenant, tokens: int) -> Reservation | str:
    try:
        return await quota.reserve(who, tokens)
    except QuotaExceededError as error:
        return error.metadata["limit"]


async def _compare(server: RedisServer, limits: Limits, actions: list[tuple[str, int]]) -> None:
    link = RedisLink(server.url, 2.0)
    await link._client.flushall()
    quota, ledger = SharedQuota(link, 1.0), Ledger()
    account = ledger.account(Tenant(name="hospital"))
    account.allow(limits)
    who = Tenant(name="hospital", limits=limits)
    held: list[tuple[Hold, Reservation]] = []
    for action, value in actions:
        if action == "reserve":
            ours, theirs = _admit(ledger, account, value, quota), await _reserve(quota, who, value)
            if isinstance(ours, str) or isinstance(theirs, str):
                assert ours == theirs
            else:
                held.append((ours, theirs))
        elif held:
            mine, shared = held.pop(value % len(held))
            tokens = None if action == "fail" else value
            ledger.settle(mine, tokens, quota._now())
            await shared.settle(tokens)
    assert not quota.degraded
    await quota.close()
