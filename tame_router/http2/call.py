"""One call of gRPC: what its servicer reads and writes, and how it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc

from tame_router.http2.connection import Connection
from tame_router.http2.inbox import Inbox
from tame_router.http2.message import MessageFault, packed
from tame_router.http2.metadata import BEGIN, CallHead, Metadata, trailers, write_metadata
from tame_router.http2.stream import Stream

if TYPE_CHECKING:  # generic in the stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler

LOGGER: Final = logging.getLogger("tame_router.http2")

_OK: Final = trailers(grpc.StatusCode.OK)


class Call:
    """A call, and the context that its servicer is given, as a `grpc.aio.ServicerContext`.

    Args:
        connection: Where it came from.
        stream: Its own.
        head: How it began.
        most_bytes: Longest message that is read.

    Attributes:
        begin: Has it served; called once.
        task: Serves it; None: it is not yet.
    """

    __slots__ = (
        "_begun",
        "_callbacks",
        "_code",
        "_connection",
        "_deadline",
        "_details",
        "_head",
        "_inbox",
        "_loop",
        "_over",
        "_serialize",
        "_stream",
        "_timer",
        "_trailing",
        "begin",
        "task",
    )

    def __init__(
        self, connection: Connection, stream: Stream, head: CallHead, most_bytes: int
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._head = head
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(most_bytes, head.encoding, connection.arrivals, self._give_up)
        self._over = False
        self._begun = False
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: Metadata = ()
        self._callbacks: list[Callable[[Any], None]] = []
        self._serialize: Callable[[Any], bytes] = bytes
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.begin: Callable[[], None] | None = None
        if head.timeout_s is not None:
            self._deadline = self._loop.time() + head.timeout_s
            self._timer = self._loop.call_at(self._deadline, self._late)

    # What the stream tells.

    def received(self, data: bytes) -> bool:
        """Take bytes of the request; give whether there is none left to read."""
        try:
            self._inbox.feed(data)
        except MessageFault as fault:
            self._give_up(fault.code, fault.why)
            return True
        if self._inbox:
            self._start()
        return not self._inbox

    def ended(self) -> None:
        """Take note that nothing follows."""
        if not self._inbox.end() and not self._over:
            why = "the request ends in the middle of a message"
            self._give_up(grpc.StatusCode.INTERNAL, why)
        self._start()

    def lost(self) -> None:
        """Take note that the caller has left."""
        self._finish()
        self._cancel()

    def _start(self) -> None:
        """Have it served, at its first message or its end."""
        if self.begin is not None and not self._over:
            begin, self.begin = self.begin, None
            begin()

    # What the server does with it.

    async def serve(self, handler: Handler) -> None:
        """Have it answered, and end it. Raises nothing but cancellation."""
        try:
            await self._answer(handler)
            self.end(self._code or grpc.StatusCode.OK, self._details)
        except grpc.aio.AbortError:
            self.end(self._code or grpc.StatusCode.UNKNOWN, self._details)
        except MessageFault as fault:
            self.end(fault.code, fault.why)
        except asyncio.CancelledError:
            self.end(grpc.StatusCode.CANCELLED, "the call was cancelled")
            raise
        except Exception:
            LOGGER.exception("call.crashed", extra={"facts": {"method": self._head.method}})
            self.end(grpc.StatusCode.UNKNOWN, "the call failed unexpectedly")

    def end(self, code: grpc.StatusCode, details: str = "") -> None:
        """Tell the caller how it ended; nothing where it has been told, or has left."""
        if self._over:
            return
        plain = code is grpc.StatusCode.OK and not details and not self._trailing
        written = _OK if plain else trailers(code, details, self._trailing)
        self._stream.send_headers(written if self._begun else BEGIN + written, ends=True)
        self._finish()

    def cut(self) -> None:
        """End it because the service ends."""
        self._give_up(grpc.StatusCode.UNAVAILABLE, "the service is stopping")

    async def _answer(self, handler: Handler) -> None:
        self._serialize = handler.response_serializer or bytes
        deserialize: Any = handler.request_deserializer or bytes
        request: Any
        if handler.request_streaming:
            request = self._requests(deserialize)
        else:
            request = deserialize(await self._only())
        if handler.response_streaming:
            streaming: Any = handler.stream_stream or handler.unary_stream
            replies = streaming(request, self)
            if hasattr(replies, "__aiter__"):
                async for reply in replies:
                    await self.write(reply)
            else:
                await replies
        else:
            single: Any = handler.stream_unary or handler.unary_unary
            await self.write(await single(request, self))

    async def _only(self) -> bytes:
        """Give the one message of the request."""
        message = await self._next()
        if message is None:
            raise MessageFault(grpc.StatusCode.INTERNAL, "the request holds no message")
        return message

    async def _next(self) -> bytes | None:
        """Give the next message of the request; None: there is none."""
        try:
            message = await self._inbox.next()
        except MessageFault as fault:
            self._give_up(fault.code, fault.why)
            await self._loop.create_future()  # who reads is cancelled
        if not self._inbox:
            self._stream.read()
        return message

    async def _requests(self, deserialize: Callable[[bytes], Any]) -> AsyncIterator[Any]:
        while (message := await self._next()) is not None:
            yield deserialize(message)

    def _late(self) -> None:
        self._timer = None
        self._give_up(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def _give_up(self, code: grpc.StatusCode, why: str) -> None:
        self.end(code, why)
        self._cancel()

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _finish(self) -> None:
        if self._over:
            return
        self._over = True
        self._inbox.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    # What a servicer uses.

    async def write(self, message: Any) -> None:
        """Send a message, and wait until there is room for it.

        Raises:
            grpc.aio.UsageError: When the call is over.
        """
        if self._over:
            raise grpc.aio.UsageError("the call is over")
        if not self.write_now(message):
            await self._stream.send(packed(self._serialize(message)))

    def write_now(self, message: Any) -> bool:
        """Send a message; False: there is no room for it now, or the call is over."""
        if self._over:
            return False
        if not self._begun:
            self._begin(())
        return self._stream.send_message(self._serialize(message))

    async def send_initial_metadata(self, initial_metadata: Sequence[Any]) -> None:
        """Send metadata before the first message."""
        self._begin(tuple(initial_metadata))

    def _begin(self, metadata: Metadata) -> None:
        self._begun = True
        self._stream.send_headers(BEGIN + write_metadata(metadata) if metadata else BEGIN)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Sequence[Any] = ()
    ) -> None:
        """End the call with an error.

        Raises:
            grpc.aio.AbortError: Always.
        """
        self._code, self._details = code, details
        self._trailing = (*self._trailing, *trailing_metadata)
        raise grpc.aio.AbortError("the call was aborted")

    def set_code(self, code: grpc.StatusCode) -> None:
        """Say how the call will end."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Say why."""
        self._details = details

    def set_trailing_metadata(self, trailing_metadata: Sequence[Any]) -> None:
        """Say what is sent with its end."""
        self._trailing = tuple(trailing_metadata)

    def invocation_metadata(self) -> Metadata:
        """Give what the caller sent beside its request."""
        return self._head.metadata

    def peer(self) -> str:
        """Name who calls: `ipv4:127.0.0.1:50051`."""
        return self._connection.peer.name

    def auth_context(self) -> dict[str, list[bytes]]:
        """Give what TLS says of who calls; empty without TLS."""
        if not self._connection.peer.secure:
            return {}
        found = {"transport_security_type": [b"ssl"]}
        if self._connection.peer.certificate:
            found["x509_pem_cert"] = [self._connection.peer.certificate]
        return found

    def time_remaining(self) -> float | None:
        """Give the seconds that the call has left; None: it has any."""
        return None if self._deadline is None else max(0.0, self._deadline - self._loop.time())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Have something called when the call is over."""
        if self._over:
            callback(self)
        else:
            self._callbacks.append(callback)

    def done(self) -> bool:
        """Tell whether the call is over."""
        return self._over

    def cancelled(self) -> bool:
        """Tell whether the caller has left."""
        return self._over and self._stream.over and not self._inbox.complete
