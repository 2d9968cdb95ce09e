"""A router that stood still does not hold it against its replicas."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import anyio
import anyio.to_thread
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec
from tame_router.backends.vllm import server
from tame_router.backends.vllm.backend import VllmSpec
from tests.backends.replicas.asking import QUESTION, chats, come, write
from tests.backends.replicas.conftest import RULES, Fakes, Notes
from tests.fakes.vllm import BASE_MODEL
from tests.fakes.vllm_script import Late, Pace

pytestmark = pytest.mark.anyio

_LIMIT_S = 0.3
_STANDSTILL_S = 1.0


class Held(Response):
    """An answer that is kept back until it is let go."""

    def __init__(self) -> None:
        super().__init__("python_info 1.0\n")
        self.let_go = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then answer."""
        await anyio.to_thread.run_sync(self.let_go.wait)
        await super().__call__(scope, receive, send)


def stand_still(let_go: Callable[[], None]) -> None:
    """Have what is waited for sent, and let time pass without a look at it."""
    let_go()
    time.sleep(_STANDSTILL_S)


async def test_checks_are_asked_again(
    pool: ReplicaPool, replicas: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All replicas stay where each of their health checks met a standstill of the router."""
    monkeypatch.setattr(server, "HEALTH_TIMEOUT_S", _LIMIT_S)
    await pool.look()
    for _ in range(3):
        held = Held()
        for fake in replicas:
            fake.forget()
            fake.answer_plainly("/health", held)
        async with anyio.create_task_group() as group:
            group.start_soon(pool.look)
            await come(lambda: all(fake.received for fake in replicas))
            stand_still(held.let_go.set)
        assert [str(one.state) for one in pool.replicas] == ["ready"] * 3


async def test_silence_counts_as_before(
    pool: ReplicaPool, replicas: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that says nothing while the router runs is left after two checks."""
    monkeypatch.setattr(server, "HEALTH_TIMEOUT_S", _LIMIT_S)
    await pool.look()
    held = Held()
    replicas[0].answer_plainly("/health", held)
    await pool.look()
    await pool.look()
    held.let_go.set()
    assert [str(one.state) for one in pool.replicas] == ["ejected", "ready", "ready"]


@pytest.mark.parametrize("begun", [False, True])
async def test_answers_go_on(replicas: Fakes, notes: Notes, *, begun: bool) -> None:
    """An answer whose words came in a standstill is read on, and nobody is blamed for it."""
    spec = VllmSpec(base_model=BASE_MODEL, first_token_timeout_s=_LIMIT_S, stall_timeout_s=_LIMIT_S)
    spec = replace(spec, base_url=replicas[0].base_url)
    pool = ReplicaPool(PoolSpec(replicas=(spec,), rules=RULES), notes)
    fake, hold = replicas[0], threading.Event()
    await pool.look()
    fake.pace = Pace(answer_tokens=8, token_s=0.02)
    uncut, _ = await write(pool)
    if not begun:
        fake.next(Late(hold=hold))

    def let_go() -> None:
        fake.frozen = False
        hold.set()

    text = ""
    async with anyio.create_task_group() as group:

        async def read() -> None:
            nonlocal text
            async with pool.open(QUESTION) as pieces:
                async for piece in pieces:
                    text += piece.text
                    fake.frozen = begun and len(text) == len(piece.text)

        group.start_soon(read)
        await come(lambda: bool(text) if begun else len(chats(replicas)) > 1)
        stand_still(let_go)
    assert text == uncut
    assert notes.failovers == []
    await pool.close()
