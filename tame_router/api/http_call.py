"""One HTTP request under way: what came with it, and the response as far as it is."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Protocol

from starlette.types import Message, Receive, Scope, Send

from tame_router.admission.caller import Caller
from tame_router.admission.reception import Reception
from tame_router.api.http_body import HttpBody, read_timeout
from tame_router.api.http_outlet import Outlet
from tame_router.api.request_id import REQUEST_ID_KEY, choose_ids
from tame_router.backends.backend import TAKEN
from tame_router.config_access import HttpSettings
from tame_router.identity.credentials import Credentials
from tame_router.telemetry.recording import current

JSON = b"application/json"
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_STREAM_HEAD = "".join(f"{k.decode()}: {v.decode()}\r\n" for k, v in _STREAM_HEADERS)
LARGE_BODY_BYTES = 2**16
"""An unread body up to this is simply passed over, and its connection kept."""


class Connection(Protocol):
    """What a call asks of the connection that it came by.

    Attributes:
        on_gone: Called at the moment the connection is lost; None: nobody wants to know.
        outlet: Where its bytes leave.
    """

    on_gone: Callable[[], None] | None
    outlet: Outlet

    @property
    def arrived(self) -> bool:
        """Whether every request that has begun has come whole."""

    def begin_chunks(self, scope: object, head: bytes) -> bool:
        """Write the head of a response that nobody knows the length of, if it may go so."""

    def write_chunk(self, data: bytes) -> bool:
        """Write a chunk of the response under way, if its caller takes it at once."""


class _Message:
    """A message that is sent when it is awaited; no coroutine, for it may be left alone.

    Args:
        send: Takes it, and waits while the caller cannot take more.
        message: What is sent.
    """

    __slots__ = ("_message", "_send")

    def __init__(self, send: Send, message: Message) -> None:
        self._send = send
        self._message = message

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._send(self._message).__await__()


class HttpCall:
    """A request and its response.

    Args:
        scope: What ASGI knows of the request.
        receive: Gives what arrives.
        send: Takes what leaves, and waits while the caller cannot take more.
        settings: Limits of the port.
        reception: Finds out who calls.

    Attributes:
        request_id: Names the call, as the caller wishes.
        answer_id: Names it here, and the answer.
        body: The request's body.
        started: A status has been sent.
        complete: The whole response has been sent.
        gone: The caller closed its connection.
        facts: What the log says of it: method and path, its id, and who calls once that is known.
    """

    __slots__ = (
        "_connection",
        "_headers",
        "_pairs",
        "_reception",
        "_send",
        "answer_id",
        "body",
        "complete",
        "facts",
        "gone",
        "path",
        "request_id",
        "scope",
        "started",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        settings: HttpSettings,
        reception: Reception,
    ) -> None:
        self.scope = scope
        self._pairs: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers = dict(self._pairs)
        self._send = send
        self._connection: Connection | None = scope.get("state", {}).get("connection")
        self._reception = reception
        self.path: str = scope["path"]
        given = self._all(REQUEST_ID_KEY.encode()) if self._has(REQUEST_ID_KEY) else ()
        ids = choose_ids(given)
        self.request_id, self.answer_id = ids.request_id, ids.answer_id
        self.facts: dict[str, object] = {
            "method": self.label,
            "request_id": ids.request_id,
            "answer_id": ids.answer_id,
        }
        self.body = HttpBody(self._headers, receive, settings, self._connection)
        self.started = self.complete = self.gone = False

    @property
    def label(self) -> str:
        """Method and path, for the log."""
        return f"{self.scope['method']} {self.path[:80]}"

    async def caller(self) -> Caller:
        """Find out who calls.

        Raises:
            UnauthenticatedError: When nobody can tell.
            StoreUnavailableError: When it cannot be looked up now.
        """
        state = self.scope.get("state", {})
        caller = await self._reception.receive(
            Credentials(
                authorization=self._all(b"authorization"),
                api_key=self._all(b"x-api-key"),
                certificate=state.get("certificate", b""),
            )
        )
        current().identified(caller.tenant.name)
        self.facts |= caller.facts
        return caller

    def header(self, name: bytes) -> str | None:
        """Give the last header of a lower-case name."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def deadline(self) -> float | None:
        """Give the caller's deadline on the running loop's clock, in seconds.

        Raises:
            InvalidRequestError: When its header is no number of seconds.
        """
        allowed = read_timeout(self.header(b"x-request-timeout-s"))
        return None if allowed is None else asyncio.get_running_loop().time() + allowed

    def when_gone(self, act: Callable[[], object] | None) -> None:
        """Have something done at the moment the caller leaves; None: nothing any more."""
        connection = self._connection
        if connection is None:
            return

        def leave() -> None:
            self.gone = True
            if act:
                act()

        connection.on_gone = leave if act else None

    async def respond(
        self,
        status: int,
        body: bytes,
        *,
        content_type: bytes = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole response."""
        pairs = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        # Whoever still sends a large body is told to stop, and gets a moment to read why.
        sending = not self.body.whole and self._large()
        if sending:
            pairs.append((b"connection", b"close"))
        await self._start(status, pairs, headers)
        await self._send({"type": "http.response.body", "body": body, "more_body": sending})
        if sending:
            await self.body.linger()
            await self._send({"type": "http.response.body", "body": b""})
        self.complete = True

    async def begin_stream(self, headers: Mapping[str, str]) -> None:
        """Send the status of a response that is being written, together with its first piece.

        Args:
            headers: Further ones; names and values of ours, which hold no line ends.
        """
        connection = self._connection
        if connection is not None:
            connection.outlet.hold()
            lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
            head = f"{_STREAM_HEAD}{REQUEST_ID_KEY}: {self.request_id}\r\n{lines}"
            if connection.begin_chunks(self.scope, head.encode("latin-1", "replace")):
                self.started = True
                return
        await self._start(200, _STREAM_HEADERS, headers)

    def write(self, data: bytes) -> Awaitable[None]:
        """Send a piece of a response that is being written; what it gives waits for a slow caller.

        Where the caller takes it at once, it goes straight to the connection: ASGI would make a
        message and a coroutine of each token.
        """
        connection = self._connection
        if connection is not None and connection.write_chunk(data):
            return TAKEN
        return _Message(self._send, {"type": "http.response.body", "body": data, "more_body": True})

    async def end_stream(self, data: bytes) -> None:
        """Send the last piece."""
        self.complete = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _start(
        self, status: int, pairs: list[tuple[bytes, bytes]], headers: Mapping[str, str] | None
    ) -> None:
        own = (REQUEST_ID_KEY.encode(), self.request_id.encode())
        further = [(k.encode(), v.encode("latin-1", "replace")) for k, v in (headers or {}).items()]
        self.started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*pairs, own, *further],
            }
        )

    def _large(self) -> bool:
        length = self._headers.get(b"content-length")
        return length is None or int(length) > LARGE_BODY_BYTES

    def _has(self, name: str) -> bool:
        return name.encode() in self._headers

    def _all(self, name: bytes) -> tuple[str, ...]:
        if name not in self._headers:
            return ()
        return tuple(value.decode("latin-1") for key, value in self._pairs if key == name)
