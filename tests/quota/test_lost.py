"""What nobody expects: a Redis that loses its data while it is there, a courier that crashes."""

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar

import pytest

from tame_router.errors import QuotaExceededError
from tame_router.quota.redis_link import Command, RedisLink
from tame_router.quota.shared import SharedQuota
from tests.quota.poll import until
from tests.quota.test_shared import _patience, routers, tenant, up
from tests.redis_fixture import RedisServer

__all__ = ["_patience"]

pytestmark = [pytest.mark.anyio, pytest.mark.redis]


async def test_a_redis_that_lost_its_data_while_connected_is_noticed(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """By the next question, which is decided here; then it is told what was counted."""
    caplog.set_level(logging.INFO, "tame_router")
    who = tenant(requests_per_day=20)
    async with routers(redis_server) as (one, two):
        for quota in (one, two):
            for _ in range(6):
                await quota.reserve(who, 0)
        await one._courier._link._client.flushall()
        given = [await one.reserve(who, 0)]
        assert one.degraded
        await until(lambda: up(one))
        given.append(await two.reserve(who, 0))
        await until(lambda: up(one, two))
        with pytest.raises(QuotaExceededError, match="requests_per_day is 20: 20 requests"):  # noqa: PT012 - until then
            while True:
                given.append(await one.reserve(who, 0))
        assert len(given) == 8
    assert caplog.messages.count("quota.degraded") == 2
    assert caplog.messages.count("quota.recovered") == 2


async def test_nobody_waits_for_a_courier_that_crashed(caplog: pytest.LogCaptureFixture) -> None:
    """Who had asked is decided here, and what was to be told is told by the next courier."""

    class Crashing(RedisLink):
        crashes = True
        told: ClassVar[list[Command]] = []

        async def mark(self, name: str) -> str:
            return "known"

        async def run(self, commands: Sequence[Command], mark: str) -> list[list[int]]:
            if self.crashes and commands:
                self.crashes = False
                raise ZeroDivisionError
            self.told.extend(commands)
            return [[1, 0, 0] for _ in commands]

    quota = SharedQuota(Crashing("redis://127.0.0.1:1"), 1.0)
    async with asyncio.timeout(10):
        held = await quota.reserve(tenant(requests_per_day=2), 0)
        await held.settle(0)
        await until(lambda: bool(Crashing.told))
    assert "quota.crashed" in caplog.messages
    await quota.close()
