"""Events as the SDK gives them, and those that it does not know."""

import anyio.to_thread
import pytest

from tame_router.chat import FinishReason
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.client.event import Delta, Event, ExpertStart, Final
from tame_router.client.reading import read_event
from tame_router.v1 import router_service_pb2
from tests.scripted_service import Scripted, serving

FUTURE = router_service_pb2.StreamChatResponse.FromString(b"\x7a\x03abc")
DELTA = router_service_pb2.StreamChatResponse(delta=router_service_pb2.Delta(text="甲"))
FINAL = router_service_pb2.StreamChatResponse(
    final=router_service_pb2.Final(finish_reason=99)  # type: ignore[arg-type]
)


def test_an_unknown_event_is_nothing() -> None:
    """An event of a later server is no event, and neither is an empty one."""
    assert read_event(FUTURE) is None
    assert read_event(router_service_pb2.StreamChatResponse()) is None


def test_an_unknown_reason_is_an_end() -> None:
    """A reason of a later server still means that the answer ended."""
    final = read_event(FINAL)
    assert isinstance(final, Final)
    assert final.finish_reason is FinishReason.STOP


def test_an_unknown_fallback_is_one_all_the_same() -> None:
    """What a later server has answer in an expert's place is still not that expert."""
    place = router_service_pb2.Fallback(kind=99, instead_of="legal")  # type: ignore[arg-type]
    start = router_service_pb2.ExpertStart(expert="x", fallback=place)
    event = read_event(router_service_pb2.StreamChatResponse(expert_start=start))
    assert isinstance(event, ExpertStart)
    assert event.fallback
    assert (event.fallback.kind, event.fallback.instead_of) == (None, "legal")


@pytest.mark.anyio
async def test_unknown_events_are_passed_over() -> None:
    """A stream with events of a later server reads as if they were not there."""
    scripted = Scripted(FUTURE, DELTA, FUTURE, FUTURE, FINAL, FUTURE)
    async with serving(scripted, edge=False) as address, AsyncClient(address) as client:
        async with client.stream("hello") as events:
            kinds = [type(event) async for event in events]

        def use() -> list[type[Event]]:
            with Client(address) as plain, plain.stream("hello") as events:
                return [type(event) for event in events]

        assert kinds == await anyio.to_thread.run_sync(use) == [Delta, Final]
