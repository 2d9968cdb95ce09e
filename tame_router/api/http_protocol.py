"""One HTTP connection: its time for a header, its size of it, its certificate, its end."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tame_router.api.http_refusal import HttpRefusalError
from tame_router.api.openai_error import error_body
from tame_router.config_access import HttpSettings

MAX_HEADER_BYTES = 2**16
"""Bytes of one request's line and headers."""

_TOO_LONG = f"the header has more than {MAX_HEADER_BYTES} bytes; send less"


class _RefusedError(Exception):
    """Stops the parser in a request that has been refused."""


class HttpProtocol(HttpToolsProtocol):
    """Watches over a connection; subclass it with `settings` set, as `for_settings` does.

    Attributes:
        settings: Limits of the port.
        on_gone: Called at the moment the connection is lost; None: nobody wants to know.
    """

    settings: HttpSettings

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.on_gone: Callable[[], None] | None = None
        self._header_timer: asyncio.TimerHandle | None = None
        self._in_header = True
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where too many are open."""
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls else None
        self.app_state = {"connection": self, "certificate": certificate or b""}
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            self.connections.discard(self)
            transport.abort()
            return
        self._start_header_timer()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a header that is too long is refused before it has come to its end."""
        if self._in_header:
            self._header_bytes += len(data)
            if self._idle():
                self._start_header_timer()
        super().data_received(data)
        if self._in_header and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(431, _TOO_LONG)

    def on_headers_complete(self) -> None:
        """Begin to answer; the body has a time of its own."""
        self._in_header = False
        self._stop_header_timer()
        # One that came whole, in one read or several, has not been measured yet.
        if self._size() > MAX_HEADER_BYTES:
            self._refuse(431, _TOO_LONG)
            raise _RefusedError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next request's header."""
        self._in_header = True
        self._header_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers on this connection that nobody listens any more."""
        self._stop_header_timer()
        super().connection_lost(exc)
        if self.on_gone is not None:
            self.on_gone()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in the form of all our errors."""
        self._refuse(400, "this is not a valid HTTP/1.1 request")

    def _size(self) -> int:
        """Tell how long the header is that has just been read: `: ` and a line end a line."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_header_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(
                self.settings.header_timeout_s, self._header_late
            )

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_late(self) -> None:
        self._header_timer = None
        if self._header_bytes:
            allowed = f"{self.settings.header_timeout_s:g} s"
            self._refuse(408, f"the header did not arrive within {allowed}; send it faster")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, and close; in the middle of another answer only close."""
        self._stop_header_timer()
        if self._idle() and not self.transport.is_closing():
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
