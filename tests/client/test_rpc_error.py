"""Errors over the wire: what the server raises is what the client raises."""

import inspect

import anyio.to_thread
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from tame_router import errors
from tame_router.canonical_code import Code
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.client.rpc_error import RpcError
from tame_router.errors import DeadlineExceededError, TameError
from tests.scripted_service import Aborting, Failing, serving

pytestmark = pytest.mark.anyio

LEAVES = [
    leaf
    for _, leaf in inspect.getmembers(errors, inspect.isclass)
    if issubclass(leaf, TameError) and "reason" in vars(leaf)
]


def packed(*details: object, code: int = 14) -> tuple[tuple[str, bytes], ...]:
    """Write a rich status as trailing metadata."""
    status = status_pb2.Status(code=code)
    for detail in details:
        status.details.add().Pack(detail)
    return (("grpc-status-details-bin", status.SerializeToString()),)


@pytest.mark.parametrize("leaf", LEAVES)
async def test_every_error_survives_the_wire(leaf: type[TameError]) -> None:
    """Class, code, message, facts and time to retry are the same on both sides."""
    sent = leaf("刪掉最舊的訊息 — try again", metadata={"field": "messages"})
    sent.retry_after_s = 2.5
    async with serving(Failing(sent)) as address:
        async with AsyncClient(address, attempts=1) as client:
            with pytest.raises(leaf) as caught:
                await client.chat("hello")

        def use() -> TameError:
            with Client(address, attempts=1) as client, pytest.raises(leaf) as caught:
                client.chat("hello")
            return caught.value

        for got in (caught.value, await anyio.to_thread.run_sync(use)):
            assert type(got) is leaf
            assert (got.code, got.retry_after_s) == (leaf.code, 2.5)
            # What the operator set wrongly is told to the operator in the log.
            told = "request id" if issubclass(leaf, errors.ConfigError) else sent.message
            assert told in got.message
            assert told == got.message or issubclass(leaf, errors.ConfigError)
            assert got.metadata["field"] == "messages"
            assert got.metadata["request_id"]


async def test_a_stream_raises_where_it_is_read() -> None:
    """The error comes out of the iteration, so that the reader's own `except` sees it."""
    failing = Failing(errors.BackendFailedError("the log says why"))
    async with serving(failing) as address, AsyncClient(address, attempts=1) as client:
        async with client.stream("hello") as events:
            with pytest.raises(errors.BackendFailedError):
                await anext(events)

        def use() -> None:
            with (
                Client(address, attempts=1) as plain,
                plain.stream("hello") as events,
                pytest.raises(errors.BackendFailedError),
            ):
                next(events)

        await anyio.to_thread.run_sync(use)


async def test_an_error_of_the_reader_stays_its_own() -> None:
    """What the program raises inside a stream's context is not taken for the router's."""
    failing = Failing(errors.BackendFailedError("the log says why"))
    foreign = grpc.RpcError("of another service")
    async with serving(failing) as address, AsyncClient(address) as client:
        with pytest.raises(grpc.RpcError) as caught:
            async with client.stream("hello"):
                raise foreign
    assert caught.value is foreign


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
async def test_a_status_without_a_reason(code: grpc.StatusCode) -> None:
    """A proxy's status is an `RpcError` with its code; a deadline is a deadline whoever tells."""
    async with (
        serving(Aborting(code, "no more"), edge=False) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        with pytest.raises(TameError) as caught:
            await client.chat("hello")
    assert caught.value.code == Code[code.name]
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        assert isinstance(caught.value, DeadlineExceededError)
    else:
        assert isinstance(caught.value, RpcError)
        assert caught.value.reason == "RPC_FAILED"
        assert "no more" in caught.value.message


async def test_a_router_that_is_not_there() -> None:
    """The message says what to check."""
    async with serving(edge=False) as address:
        pass
    async with AsyncClient(address, attempts=1) as client:
        with pytest.raises(RpcError, match="check its address, and that it runs") as caught:
            await client.route("hello")
    assert caught.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize(
    ("trailing", "reason", "retry_s"),
    [
        (
            packed(
                error_details_pb2.ErrorInfo(reason="LUNCH", domain="tame-router"),
                error_details_pb2.RetryInfo(retry_delay={"seconds": 3}),
            ),
            "LUNCH",
            3,
        ),
        (
            packed(error_details_pb2.ErrorInfo(reason="NO", domain="example.com")),
            "RPC_FAILED",
            None,
        ),
        (packed(error_details_pb2.Help()), "RPC_FAILED", None),
        ((("grpc-status-details-bin", b"\xff\xff"),), "RPC_FAILED", None),
        ((), "RPC_FAILED", None),
    ],
    ids=["a later server's", "another domain's", "no reason", "garbage", "nothing"],
)
async def test_details_that_this_client_does_not_know(
    trailing: tuple[tuple[str, bytes], ...], reason: str, retry_s: float | None
) -> None:
    """What cannot be rebuilt keeps its code, and what is known of it."""
    aborting = Aborting(grpc.StatusCode.UNAVAILABLE, "closed at noon", trailing)
    async with (
        serving(aborting, edge=False) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        with pytest.raises(RpcError, match="closed at noon") as caught:
            await client.chat("hello")
    assert (caught.value.reason, caught.value.code) == (reason, Code.UNAVAILABLE)
    assert caught.value.retry_after_s == retry_s
