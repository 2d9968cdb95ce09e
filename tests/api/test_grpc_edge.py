"""The edge: whatever happens behind it, the caller gets a status with a reason."""

import asyncio
import io
import json
import logging
from contextlib import suppress
from typing import Any

import grpc
import pytest

from tame_router.api.grpc_edge import deadline
from tame_router.client.async_client import AsyncClient
from tame_router.config import LogSettings
from tame_router.errors import (
    ArtefactError,
    BackendFailedError,
    ConfigError,
    DeadlineExceededError,
    InvalidRequestError,
    TameError,
)
from tame_router.telemetry import log
from tame_router.v1 import router_service_pb2
from tests.rich_error import RichError, rich
from tests.scripted_service import Failing, Unwritten, serving

pytestmark = pytest.mark.anyio


async def fail(error: BaseException) -> RichError:
    """Raise an error behind the edge, and read what the caller sees."""
    async with serving(Failing(error)) as address, AsyncClient(address, attempts=1) as client:
        with pytest.raises(TameError) as caught:
            await client.route("hello")
    assert isinstance(caught.value.__cause__, grpc.RpcError)
    return rich(caught.value.__cause__)


async def test_a_crash_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """The caller of a call that crashed gets an id; the log has the id and the stack trace."""
    error = await fail(ZeroDivisionError("secret of /etc/passwd"))
    assert (error.code, error.info.reason) == ("INTERNAL", "INTERNAL")
    assert "request id" in error.message
    assert "secret" not in error.message
    crash = next(record for record in caplog.records if record.message == "call.crashed")
    assert crash.exc_info is not None
    assert crash.facts["request_id"] == error.request_id  # type: ignore[attr-defined]


async def test_a_timeout_of_our_own_is_a_deadline() -> None:
    """A bare TimeoutError that comes this far means that the time was up."""
    error = await fail(TimeoutError())
    assert (error.code, error.info.reason) == ("DEADLINE_EXCEEDED", DeadlineExceededError.reason)


async def test_a_long_message_still_arrives() -> None:
    """A status that would not fit into headers is cut, not lost."""
    for letter in ("字", "a", "\x7f", "😀"):
        sent = InvalidRequestError(letter * 5_000, field="messages[0].content")
        error = await fail(sent)
        assert (error.code, error.info.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        assert set(error.message) == {letter}
        assert 900 < len(error.message.encode()) <= 1_000


async def test_a_message_that_is_no_text_still_arrives() -> None:
    """Half a surrogate pair in a message does not crash the edge."""
    assert (await fail(BackendFailedError("bad \ud800 word"))).message == "bad ? word"


@pytest.mark.parametrize("kind", [ConfigError, ArtefactError])
async def test_what_the_operator_set_wrongly_is_told_to_the_operator(
    kind: type[ConfigError], caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the whole of it, without a stack trace; a caller gets an id and no path."""
    error = await fail(kind("the encoder in /srv/secret is damaged"))
    assert (error.code, error.info.reason) == ("FAILED_PRECONDITION", kind.reason)
    assert "request id" in error.message
    assert "secret" not in error.message
    (failed,) = (record for record in caplog.records if record.message == "call.failed")
    assert failed.exc_info is None
    facts = failed.facts  # type: ignore[attr-defined]
    assert "/srv/secret is damaged" in facts["message"]
    assert facts["request_id"] == error.request_id


@pytest.mark.parametrize("retry_s", [None, 0.0, 0.25, 7.0, 3600.0])
async def test_when_to_retry_is_told(retry_s: float | None) -> None:
    """`RetryInfo` is there exactly when another try makes sense."""
    assert (await fail(TameError("not now", retry_after_s=retry_s))).retry_s == retry_s


async def test_facts_of_an_error_travel() -> None:
    """What an error knows is in its metadata, beside the id of the call."""
    error = await fail(TameError("no", metadata={"expert": "legal"}))
    assert dict(error.info.metadata) == {"expert": "legal", "request_id": error.request_id}


async def test_a_refusal_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """One line a failed call: method, id, code, reason, what is known about it, time."""
    error = await fail(InvalidRequestError("wrong", field="messages"))
    record = next(record for record in caplog.records if record.message == "call.failed")
    facts = record.facts  # type: ignore[attr-defined]
    assert record.levelno == logging.WARNING
    assert facts["elapsed_ms"] >= 0
    assert {key: value for key, value in facts.items() if key != "elapsed_ms"} == {
        "method": "Route",
        "request_id": error.request_id,
        "answer_id": error.request_id,
        "tenant": "local",
        "subject": "anyone",
        "code": "INVALID_ARGUMENT",
        "reason": "INVALID_REQUEST",
        "message": "wrong",
        "field": "messages",
    }


async def test_who_calls_is_logged_whatever_the_error_is_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A tenant that an error names does not take the place of the caller's."""
    await fail(TameError("taken", metadata={"tenant": "hospital", "key_id": "k"}))
    (failed,) = (record for record in caplog.records if record.message == "call.failed")
    facts = failed.facts  # type: ignore[attr-defined]
    assert (facts["tenant"], facts["key_id"]) == ("local", "k")


async def test_a_refusal_can_be_written_as_json() -> None:
    """The facts of a failed call are what the JSON form can hold."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log.JsonFormatter())
    log.LOGGER.addHandler(handler)
    try:
        await fail(InvalidRequestError("wrong"))
    finally:
        log.LOGGER.removeHandler(handler)
    assert json.loads(stream.getvalue())["reason"] == "INVALID_REQUEST"
    assert LogSettings().texts is False


class Remaining(Unwritten):
    """Tells the time that is left until the deadline of a call."""

    def __init__(self) -> None:
        self.seen: list[float | None] = []

    async def Route(self, request: Any, context: Any) -> Any:
        """Note it."""
        at = deadline(context)
        now = asyncio.get_running_loop().time()
        self.seen.append(None if at is None else at - now)
        return router_service_pb2.RouteResponse()


async def test_a_deadline_is_a_point_in_time() -> None:
    """What the caller allows arrives on the loop's clock; without a limit there is none."""
    async with serving(remaining := Remaining()) as address, AsyncClient(address) as client:
        await client.route("hello", timeout_s=50)
        await client.route("hello")
    first, second = remaining.seen
    assert first is not None
    assert 40 < first < 52  # gRPC rounds up on the wire
    assert second is None


class Stubborn(Unwritten):
    """Goes on when its call is cancelled: writes an event, or raises an error."""

    def __init__(self, error: TameError | None) -> None:
        self.called, self.over = asyncio.Event(), asyncio.Event()
        self._error = error

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: Any, context: Any
    ) -> None:
        """Wait for the end of the call, and miss it."""
        self.called.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            if self._error:
                raise self._error
            for _ in range(3):
                await context.write(router_service_pb2.StreamChatResponse())
        finally:
            self.over.set()


@pytest.mark.parametrize("error", [None, TameError("too late")])
async def test_a_caller_who_has_just_gone_is_no_crash(
    caplog: pytest.LogCaptureFixture, error: TameError | None
) -> None:
    """Writing to a call that is over, an event or a status, ends it quietly."""
    caplog.set_level(logging.INFO)
    async with serving(stubborn := Stubborn(error)) as address, AsyncClient(address) as client:
        async with client.stream("hello"):
            await stubborn.called.wait()
        await stubborn.over.wait()
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []
    (told,) = (r.message for r in caplog.records if r.message.startswith("call."))
    assert told == ("call.failed" if error else "call.cancelled")
