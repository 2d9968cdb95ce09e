"""The clients' own doing: retries, pages, deadlines, and what may be used twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import grpc
import pytest

from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.client.event import Delta
from tame_router.errors import BackendUnavailableError, DeadlineExceededError
from tame_router.v1 import (
    expert_pb2,
    expert_service_pb2,
    expert_service_pb2_grpc,
    router_service_pb2,
)
from tests.scripted_service import Failing, Unwritten, serving

pytestmark = pytest.mark.anyio

DELTA = router_service_pb2.StreamChatResponse(delta=router_service_pb2.Delta(text="甲"))


class Shy(Unwritten):
    """Refuses with UNAVAILABLE some times, then answers; counts the calls."""

    def __init__(self, refusals: int) -> None:
        self.calls = 0
        self._refusals = refusals

    async def _maybe(self) -> None:
        self.calls += 1
        if self.calls <= self._refusals:
            raise BackendUnavailableError("come back", retry_after_s=1)

    async def Chat(self, request: Any, context: Any) -> Any:
        """Answer, perhaps."""
        await self._maybe()
        return router_service_pb2.ChatResponse(content="here")

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: Any, context: Any
    ) -> None:
        """Answer with one delta, perhaps."""
        await self._maybe()
        await context.write(DELTA)


class Pages(expert_service_pb2_grpc.ExpertServiceServicer):
    """Lists seven experts, three a page."""

    async def ListExperts(self, request: Any, context: Any) -> Any:
        """Give a page."""
        begin = int(request.page_token or 0)
        names = [f"expert-{number}" for number in range(7)][begin : begin + 3]
        return expert_service_pb2.ListExpertsResponse(
            experts=[expert_pb2.Expert(name=name) for name in names],
            next_page_token=str(begin + 3) if begin + 3 < 7 else "",
        )

    async def GetExpert(self, request: Any, context: Any) -> Any:
        """Give any expert."""
        return expert_service_pb2.GetExpertResponse(expert=expert_pb2.Expert(name=request.name))


async def plainly(address: str, use: Callable[[Client], Any], attempts: int = 4) -> Any:
    """Use the synchronous client in a thread."""

    def work() -> Any:
        with Client(address, attempts=attempts) as client:
            return use(client)

    return await anyio.to_thread.run_sync(work)


async def asynchronously(
    address: str, use: Callable[[AsyncClient], Awaitable[Any]], attempts: int = 4
) -> Any:
    """Use the asynchronous client."""
    async with AsyncClient(address, attempts=attempts) as client:
        return await use(client)


async def test_a_service_that_comes_back_is_asked_again() -> None:
    """After two refusals the third try is answered, and the caller notices nothing."""
    async with serving(shy := Shy(2)) as address:
        answer = await asynchronously(address, lambda client: client.chat("hello"))
        assert (answer.content, shy.calls) == ("here", 3)
    async with serving(shy := Shy(2)) as address:
        answer = await plainly(address, lambda client: client.chat("hello"))
        assert (answer.content, shy.calls) == ("here", 3)


async def test_a_stream_is_tried_again_while_nothing_has_arrived() -> None:
    """A stream refused before its first event is asked for again."""
    async with (
        serving(shy := Shy(1)) as address,
        AsyncClient(address) as client,
        client.stream("hello") as events,
    ):
        assert [type(event) async for event in events] == [Delta]
    assert shy.calls == 2


async def test_a_stream_that_has_begun_is_not_begun_again() -> None:
    """After the first event a failure is told: no word is ever said twice."""
    failing = Failing(BackendUnavailableError("gone", retry_after_s=1), DELTA)
    async with (
        serving(failing) as address,
        AsyncClient(address) as client,
        client.stream("hello") as events,
    ):
        assert isinstance(await anext(events), Delta)
        with pytest.raises(BackendUnavailableError):
            await anext(events)
    assert failing.calls == 1


async def test_retries_end() -> None:
    """After the last attempt the refusal is told, with when to come back; one attempt is one."""
    async with serving(shy := Shy(100)) as address:
        for attempts in (1, 2):
            shy.calls = 0
            with pytest.raises(BackendUnavailableError, match="come back") as caught:
                await asynchronously(address, lambda client: client.chat("hello"), attempts)
            assert (shy.calls, caught.value.retry_after_s) == (attempts, 1)


async def test_only_unavailable_is_tried_again() -> None:
    """Another failure would fail again: it is told at once."""
    failing = Failing(DeadlineExceededError("too late"))
    async with serving(failing) as address, AsyncClient(address) as client:
        with pytest.raises(DeadlineExceededError):
            await client.chat("hello")
    assert failing.calls == 1


async def test_all_pages_of_experts_are_read() -> None:
    """Both clients follow page tokens to the last page."""
    expected = [f"expert-{number}" for number in range(7)]
    async with serving(experts=Pages()) as address:
        for experts in (
            await asynchronously(address, lambda client: client.experts()),
            await plainly(address, lambda client: client.experts()),
        ):
            assert [expert.name for expert in experts] == expected


async def test_a_closed_client_says_so() -> None:
    """Using a client after its context is a mistake that does not hang."""
    async with serving(Shy(0)) as address:
        async with AsyncClient(address) as client:
            assert (await client.chat("hello")).content == "here"
        with pytest.raises((grpc.aio.UsageError, ValueError)):
            await client.chat("hello")


class Silent(Unwritten):
    """Never answers; tells when it was called and when that call was cancelled."""

    def __init__(self) -> None:
        self.called = anyio.Event()
        self.cancelled = anyio.Event()

    async def Chat(self, request: Any, context: Any) -> Any:
        """Wait for ever."""
        await self._wait()

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: Any, context: Any
    ) -> None:
        """Wait for ever."""
        await self._wait()

    async def _wait(self) -> None:
        self.called.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()


async def whole(client: AsyncClient) -> None:
    """Ask for an answer in one message."""
    await client.chat("hello")


async def streamed(client: AsyncClient) -> None:
    """Ask for a stream."""
    async with client.stream("hello") as events:
        await anext(events)


async def limited(library: str, waiting: Awaitable[None]) -> None:
    """Wait for a moment, by one library's means."""
    if library == "anyio":
        with anyio.fail_after(0.2):
            await waiting
    else:
        async with asyncio.timeout(0.2):
            await waiting


@pytest.mark.parametrize("use", [whole, streamed])
@pytest.mark.parametrize("library", ["anyio", "asyncio"])
async def test_a_cancelled_call_is_cancelled_as_its_caller_knows_it(
    use: Callable[[AsyncClient], Awaitable[None]], library: str
) -> None:
    """Time limits of both libraries work around a call, and the server hears of them."""
    async with serving(silent := Silent()) as address, AsyncClient(address) as client:
        with pytest.raises(TimeoutError):
            await limited(library, use(client))
        if silent.called.is_set():  # on a very busy machine the time may be up before
            with anyio.fail_after(10):
                await silent.cancelled.wait()


async def test_cancelling_one_call_leaves_the_others() -> None:
    """A sibling in the same task group goes on."""
    finished = []

    async def answered(client: AsyncClient, silent: Silent) -> None:
        await silent.cancelled.wait()
        finished.append(await client.chat("hello"))

    async with (
        serving(silent := Silent()) as hanging,
        serving(Shy(0)) as answering,
        AsyncClient(hanging) as first,
        AsyncClient(answering) as second,
        anyio.create_task_group() as group,
    ):
        group.start_soon(answered, second, silent)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as inner:
                inner.start_soon(whole, first)
                await silent.called.wait()
                scope.cancel()
    assert [answer.content for answer in finished] == ["here"]
