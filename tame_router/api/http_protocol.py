"""One HTTP connection: its time for a header, its size of it, its certificate, its end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tame_router.api.http_outlet import Outlet
from tame_router.api.http_refusal import HttpRefusalError
from tame_router.api.openai_error import error_body
from tame_router.config_access import HttpSettings

MAX_HEADER_BYTES = 2**16
"""Bytes of one request's line and headers."""

MAX_BESIDE_BYTES = 2**14
"""Bytes of a request behind its header that are no body: trailers, what is said of chunks."""

_OK = STATUS_LINE[200]
_CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
_TOO_LONG = f"the header has more than {MAX_HEADER_BYTES} bytes; send less"


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """How a connection ends.

    Attributes:
        linger_s: Time for which the next request is waited for.
        gone: Called when the connection is no more.
    """

    linger_s: float
    gone: Callable[[], None]


class _RefusedError(Exception):
    """Stops the parser in a request that has been refused."""


class HttpProtocol(HttpToolsProtocol):
    """Watches over a connection; subclass it with `settings` set, as `for_settings` does.

    Attributes:
        settings: Limits of the port.
        on_gone: Called at the moment the connection is lost; None: nobody wants to know.
        outlet: Where its bytes leave, once there is a connection.
    """

    settings: HttpSettings
    outlet: Outlet

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.on_gone: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_header = True
        self._header_bytes = 0
        self._beside_bytes = 0  # since the last byte of a body
        self._refusal: tuple[int, str] | None = None  # waits for the answers before it
        self._farewell: Farewell | None = None  # it is to end, and its caller to be told so

    def leave(self, farewell: "Farewell") -> None:
        """Close behind an answer that says so: the next, or one whose head has not left yet.

        A connection on which nothing is asked for a while is closed then.
        """
        if self._farewell is not None or self.transport.is_closing():
            return
        self._farewell = farewell
        if self._idle():
            self._linger(farewell)
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where too many are open."""
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls else None
        self.app_state = {"connection": self, "certificate": certificate or b""}
        self.outlet = Outlet(transport)
        super().connection_made(self.outlet)
        if len(self.connections) > self.settings.max_connections:
            self.connections.discard(self)
            transport.abort()
            return
        self._start_timer(self.settings.header_timeout_s)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a header that is too long is refused before it has come to its end.

        Trailers and what is said of chunks are measured in whole reads from the last that held
        some of the body; none of it is kept.
        """
        if self._refusal is not None:
            self.flow.pause_reading()
            return
        if self._in_header:
            self._header_bytes += len(data)
            if self._idle():
                self._start_timer(self.settings.header_timeout_s)
        else:
            self._beside_bytes += len(data)
        super().data_received(data)
        if self._in_header:
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, _TOO_LONG)
        elif self._beside_bytes > MAX_BESIDE_BYTES:
            self.transport.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer is none, whatever it is called, and nobody reads it."""
        if self._in_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer; the body has a time of its own."""
        self._stop_timer()
        # One that came whole, in one read or several, has not been measured yet.
        if self._size() > MAX_HEADER_BYTES:
            self._refuse(431, _TOO_LONG)
            raise _RefusedError
        self._in_header = False
        super().on_headers_complete()
        if self._farewell is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._beside_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request's header."""
        self._in_header = True
        self._header_bytes = self._beside_bytes = 0
        self._stop_timer()
        if self._idle():
            self._start_timer(self.settings.header_timeout_s)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Answer what was refused meanwhile; wait for the rest of a body, but not for long."""
        super().on_response_complete()
        if not self._idle() or self.transport.is_closing():
            return
        if self._refusal is not None:
            self._refuse(*self._refusal)
        elif not self._in_header:
            self._start_timer(self.settings.body_timeout_s)
        if self._farewell is not None:
            self._linger(self._farewell)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers on this connection that nobody listens any more."""
        self._stop_timer()
        super().connection_lost(exc)
        if self.on_gone is not None:
            self.on_gone()
        if self._farewell is not None:
            self._farewell.gone()

    @property
    def arrived(self) -> bool:
        """Whether every request that has begun has come whole."""
        return self._in_header

    def begin_chunks(self, scope: object, head: bytes) -> bool:
        """Write the head of a response that nobody knows the length of.

        Args:
            scope: The request's; one that was sent ahead, behind others, goes by ASGI.
            head: Its headers, each with a line end, and nothing in them that would be checked.

        Returns:
            False where nothing was written, and it has to go by ASGI.
        """
        cycle = self.cycle
        plain = cycle is not None and cycle.keep_alive and not cycle.waiting_for_100_continue
        if not plain or cycle.scope is not scope or cycle.response_started:
            return False
        if self.flow.write_paused or self.transport.is_closing():
            return False
        cycle.response_started = cycle.chunked_encoding = True
        self.transport.write(_OK + head + _CHUNKED)
        return True

    def write_chunk(self, data: bytes) -> bool:
        """Write a chunk of the response under way, if its caller takes it at once.

        Args:
            data: The chunk, not empty. Nothing says how long the response is.

        Returns:
            False where the caller is slow, or gone: then nothing was written, and it goes by ASGI,
            which waits, or knows that nobody listens.
        """
        if self.flow.write_paused or self.transport.is_closing():
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in the form of all our errors."""
        self._refuse(400, "this is not a valid HTTP/1.1 request")

    def _size(self) -> int:
        """Tell how long the header is that has just been read: `: ` and a line end a line."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _linger(self, farewell: "Farewell") -> None:
        self.loop.call_later(farewell.linger_s, self._close_idle)

    def _close_idle(self) -> None:
        """Close where nothing is asked still; what has begun to come is answered first."""
        if self._idle() and not self._header_bytes:
            self.transport.close()

    def _start_timer(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._in_header and self._header_bytes:
            allowed = f"{self.settings.header_timeout_s:g} s"
            self._refuse(408, f"the header did not arrive within {allowed}; send it faster")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, and close: behind the answers before it, but in the middle of one at once."""
        self._stop_timer()
        if self._in_header and not self._idle():
            self._refusal = self._refusal or (status, message)
            self.flow.pause_reading()
            return
        if self._in_header and not self.transport.is_closing():
            words = {400: "bad_request", 408: "request_timeout", 431: "header_too_large"}
            error = HttpRefusalError(message, status=status, word=words[status])
            body = error_body(error)
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: application/json\r\nconnection: close\r\n"
                + b"content-length: %d\r\n\r\n" % len(body)
                + body
            )
        self.transport.close()


def for_settings(settings: HttpSettings) -> type[HttpProtocol]:
    """Give the protocol with a port's limits."""
    return type("BoundHttpProtocol", (HttpProtocol,), {"settings": settings})
