"""Answers over three replicas: what one of them does wrong, the caller does not see."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from tame_router import app
from tame_router.chat import Sampling, Tool, Usage
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish, Final
from tame_router.config import Settings
from tame_router.errors import DeadlineExceededError, TameError
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
from tests.http_wire import connect, exchange, get, post, read_response
from tests.rich_error import rich
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
    failovers: int


async def ask(client: AsyncClient, **options: Any) -> Answer:
    """Ask by stream, and put together what arrives."""
    texts: list[str] = []
    finishes: list[ExpertFinish] = []
    finals: list[Final] = []
    async with client.stream(LEGAL, **options) as events:
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


def once(replicas: Fakes, *faults: Fault) -> None:
    """Let the next answers go wrong, one fault each, on whichever replicas write them."""
    replicas[0].share_faults(replicas)
    replicas[0].forgive()
    replicas[0].next(*faults)


def write_alike(replicas: Fakes, **pace: Any) -> None:
    """Let all replicas write at one pace."""
    for fake in replicas:
        fake.pace = Pace(answer_tokens=TOKENS, **pace)


@asynccontextmanager
async def asking(settings: Settings, **changes: Any) -> AsyncIterator[AsyncClient]:
    """Give a client of a router whose backend's settings are changed."""
    async with (
        app.running(changed(settings, local=changes)) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        yield client


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(max_tokens=TOKENS - 4)], ids=str)
async def test_a_cut_at_every_token(pooled: Settings, replicas: Fakes, sampling: Sampling) -> None:
    """Wherever the stream breaks, text, reason and usage are those of the uncut answer."""
    write_alike(replicas)
    # A replica that is cut twenty times would be ejected, which is not what this is about.
    async with asking(pooled, replicas={"failures": 99}) as client:
        uncut = await ask(client, sampling=sampling)
        wanted = sampling.max_tokens or TOKENS
        assert (uncut.failovers, uncut.usage.completion_tokens) == (0, wanted)
        for event in range(wanted + 2):
            once(replicas, Cut(after_events=event))
            # Where all tokens that it may have are there, nobody else is asked.
            moved = int(sampling.max_tokens is None or event <= wanted)
            assert await ask(client, sampling=sampling) == replace(uncut, failovers=moved), event
    bodies = [chat.body for fake in replicas for chat in fake.chats]
    continued = [body for body in bodies if body.get("continue_final_message")]
    assert len(continued) >= wanted - 1
    assert all(body["add_generation_prompt"] is False for body in continued)
    assert all("stop" not in body for body in continued)


FAULTS: dict[str, tuple[Fault, int]] = {
    "refused": (HangUp(), 1),  # or none: on a kept connection it is asked again there
    "reset": (Cut(after_events=9, reset=True), 1),
    "500": (Refuse(status=500), 1),
    "503": (Refuse(status=503), 1),
    "429": (Refuse(status=429, headers=(("Retry-After", "1"),)), 1),
    "401": (Refuse(status=401), 1),
    "404": (Refuse(status=404), 1),
    "no header": (Silence(events=None), 1),
    "no word": (Silence(events=1), 1),
    "stalls": (Silence(events=9), 1),
    "ends too early": (Truncate(events=9), 1),
    "malformed at once": (Garble(after_events=0), 1),
    "malformed in the middle": (Garble(after_events=9), 1),
    "malformed after its end": (Garble(after_events=TOKENS + 2), 0),
    "split characters": (Split(size=1), 0),
    "odd pieces": (Split(size=7), 0),
    "cut in the middle of a character": (Cut(after_bytes=1900), 1),
}


@pytest.mark.parametrize("name", list(FAULTS))
async def test_a_fault_that_nobody_sees(pooled: Settings, replicas: Fakes, name: str) -> None:
    """The answer is the same as without the fault, and says that it moved."""
    fault, failovers = FAULTS[name]
    write_alike(replicas)
    silent = isinstance(fault, Silence)
    hasty = {"first_token_timeout_s": 2, "stall_timeout_s": 2} if silent else {}
    async with asking(pooled, **hasty) as client:
        uncut = await ask(client)
        once(replicas, fault)
        answer = await ask(client)
        assert answer.failovers in {failovers, failovers - isinstance(fault, HangUp)}
        assert answer == replace(uncut, failovers=answer.failovers)


async def test_http_callers_are_told_too(pooled: Settings, replicas: Fakes) -> None:
    """The answer's `tame` says that it moved, and says nothing where it did not."""
    found: list[str] = []
    body = {"model": "tame-auto", "messages": [{"role": "user", "content": LEGAL}]}
    async with app.running(pooled, announce_http=found.append):
        _, _, uncut = await exchange(found[0], post(json.dumps(body).encode()))
        once(replicas, Cut(after_events=5))
        _, _, cut = await exchange(found[0], post(json.dumps(body).encode()))
        metrics = await page(found[0], "/metrics")
    assert "failovers" not in uncut["tame"]
    assert cut["tame"]["failovers"] == 1
    assert (cut["choices"], cut["usage"]) == (uncut["choices"], uncut["usage"])
    labels = 'backend="local",failure="broken",how="continued"'
    assert f"tame_failovers_total{{{labels}}} 1.0" in metrics
    assert 'tame_replicas{backend="local",state="ready"} 3.0' in metrics


async def page(address: str, path: str) -> str:
    """Get a page of text."""
    async with await connect(address) as stream:
        await stream.send(get(path))
        _, _, body = await read_response(stream)
    return body.decode()


async def test_stop_strings_over_a_cut(pooled: Settings, replicas: Fakes) -> None:
    """A stop string is found where the cut goes through it, and nothing of it is shown."""
    for fake in replicas:
        fake.text = "第一句。USER: 第二句。"
    async with asking(pooled, replicas={"failures": 99}) as client:
        for event in range(len("第一句。USER: ") + 1):
            once(replicas, Cut(after_events=event))
            answer = await ask(client)
            assert (answer.text, answer.finish_reason) == ("第一句。", "stop"), event
            assert answer.usage.completion_tokens == len("第一句。USER:"), event


async def test_white_space_at_the_cut(pooled: Settings, replicas: Fakes) -> None:
    """Chat templates cut white space off: it is neither lost nor doubled."""
    for fake in replicas:
        fake.text = " \n甲 \n\n 乙\t。\n"
    async with asking(pooled, replicas={"failures": 99}) as client:
        uncut = await ask(client)
        for event in range(len(replicas[0].text) + 2):
            once(replicas, Cut(after_events=event))
            assert await ask(client) == replace(uncut, failovers=1), event


async def test_several_replicas_fail_one_answer(pool_client: AsyncClient, replicas: Fakes) -> None:
    """An answer moves as often as it has to, and counts its tokens once."""
    write_alike(replicas)
    uncut = await ask(pool_client)
    once(replicas, Refuse(status=500), Cut(after_events=5), Garble(after_events=7))
    assert await ask(pool_client) == replace(uncut, failovers=3)


async def test_a_killed_replica_is_left_and_comes_back(pooled: Settings, replicas: Fakes) -> None:
    """Answers under way on it go on elsewhere, new ones are not asked of it until it is back."""
    write_alike(replicas, token_s=0.02)
    async with asking(pooled) as client:
        uncut = await ask(client)
        home = next(fake for fake in replicas if fake.chats)
        begun = False
        texts: list[str] = []
        async with client.stream(LEGAL) as events:
            async for event in events:
                if isinstance(event, Delta):
                    texts.append(event.text)
                    if not begun:
                        home.kill()
                        begun = True
        assert "".join(texts) == uncut.text
        assert (await ask(client)).text == uncut.text
        home.revive()


async def test_what_cannot_go_on_fails_cleanly(pooled: Settings, replicas: Fakes) -> None:
    """A call that broke in its middle is an error, one that had not begun is made elsewhere."""
    tool = Tool(
        name="find_law", parameters='{"type":"object","properties":{"a":{"type":"string"}}}'
    )
    question = "find_law: 勞工被資遣可以拿多少資遣費？"
    async with asking(pooled) as client:
        once(replicas, Cut(after_events=2))
        with pytest.raises(TameError) as caught:
            await client.chat(question, tools=(tool,))
        assert caught.value.reason == "STREAM_BROKEN"
        once(replicas, Cut(after_events=0))
        (call,) = (await client.chat(question, tools=(tool,))).tool_calls
        assert call.name == "find_law"


async def test_a_dead_pool(pooled: Settings, replicas: Fakes) -> None:
    """Callers are told at once, with a reason for each replica, and no address."""
    for fake in replicas:
        fake.kill()
    async with asking(pooled) as client:
        with pytest.raises(TameError) as caught:
            await client.chat(LEGAL)
    assert isinstance(caught.value.__cause__, grpc.RpcError)
    error = rich(caught.value.__cause__)
    assert (error.code, error.info.reason) == ("UNAVAILABLE", "BACKEND_UNAVAILABLE")
    assert [error.info.metadata[f"replica_{n}"] for n in (1, 2, 3)] == ["unreachable"] * 3
    assert error.retry_s == 1
    assert not [fake for fake in replicas if fake.base_url[-8:-3] in error.message]


async def test_the_deadline_is_kept(pool_client: AsyncClient, replicas: Fakes) -> None:
    """Moving gives an answer no time beyond its deadline."""
    once(replicas, *[Silence(events=1)] * 9)
    with pytest.raises(DeadlineExceededError):
        await pool_client.chat(LEGAL, timeout_s=0.5)


async def test_the_retry_budget(pooled: Settings, replicas: Fakes) -> None:
    """Second tries are a share of the answers: when it is spent, failures stand."""
    for fake in replicas:
        fake.always = Refuse(status=500)
    spare = {"retry_share": 0, "retry_burst": 3, "failures": 99}
    async with asking(pooled, replicas=spare) as client:
        for _ in range(4):
            with pytest.raises(TameError) as caught:
                await client.chat(LEGAL)
        assert caught.value.metadata["retry_budget"] == "spent"
        assert sum(len(fake.chats) for fake in replicas) == 4 + 3


async def test_a_replica_with_another_base_model(pooled: Settings, replicas: Fakes) -> None:
    """It gets no traffic, however healthy it is."""
    for fake in replicas[1:]:
        fake.base_model = "another"
    async with asking(pooled) as client:
        for _ in range(4):
            await client.chat(LEGAL)
    assert [len(fake.chats) for fake in replicas] == [4, 0, 0]


async def test_a_replica_without_the_adapter(pooled: Settings, replicas: Fakes) -> None:
    """An adapter that some replicas have forgotten is found on the one that has it."""
    for fake in replicas[1:]:
        fake.adapters = ()
    async with asking(pooled) as client:
        for _ in range(4):
            assert (await client.chat(LEGAL)).content
    assert sum(len(fake.chats) for fake in replicas[1:]) <= 2
