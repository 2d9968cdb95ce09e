"""Answers over three replicas: what one of them does wrong, the caller does not see."""

from dataclasses import dataclass

import pytest

from tame_router import app
from tame_router.chat import Sampling, Usage
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish, Final
from tame_router.config import Settings
from tame_router.errors import BackendUnavailableError, StreamBrokenError, TameError
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import (
    Cut,
    Fault,
    Garble,
    HangUp,
    Pace,
    Refuse,
    Silence,
    Split,
    Truncate,
)
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

Fakes = tuple[FakeVllm, ...]
LEGAL = QUESTIONS["legal"][0]
TOKENS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller sees of an answer."""

    text: str
    finish_reason: str
    usage: Usage
    failovers: int = 0


async def ask(client: AsyncClient, sampling: Sampling | None = None) -> Answer:
    """Ask by stream, and put together what arrives."""
    texts: list[str] = []
    finishes: list[ExpertFinish] = []
    finals: list[Final] = []
    async with client.stream(LEGAL, sampling=sampling or Sampling()) as events:
        async for event in events:
            match event:
                case Delta():
                    texts.append(event.text)
                case ExpertFinish():
                    finishes.append(event)
                case Final():
                    finals.append(event)
    (finish,), (final,) = finishes, finals
    assert (finish.usage, finish.finish_reason) == (final.usage, final.finish_reason)
    return Answer(
        text="".join(texts),
        finish_reason=finish.finish_reason,
        usage=finish.usage,
        failovers=finish.failovers,
    )


def all_of_them(replicas: Fakes, fault: Fault | None, pace: Pace | None = None) -> None:
    """Let the next answer go wrong on whichever replica writes it, and be written so."""
    for fake in replicas:
        fake.pace = pace or Pace(answer_tokens=TOKENS)
        if fault is not None:
            fake.next(fault)


def forgive(replicas: Fakes) -> None:
    """Let everything go well from now on."""
    for fake in replicas:
        fake.forgive()


async def test_a_cut_at_every_token(pool_client: AsyncClient, replicas: Fakes) -> None:
    """Wherever the stream breaks, text, reason and usage are those of the uncut answer."""
    all_of_them(replicas, None)
    uncut = await ask(pool_client)
    assert uncut.failovers == 0
    assert uncut.usage.completion_tokens == TOKENS
    for event in range(TOKENS + 4):
        fault = Cut(after_events=event)
        for fake in replicas:
            fake.always = fault
        broken = {fake: len(fake.chats) for fake in replicas}
        print(event, broken)
