"""One connection of HTTP/1.1: a request out, its answer in as it arrives, then the next.

An answer's way from the socket is short: what a read brought is kept until it is asked for, and
whoever waits is woken once a read. No task, no timer and no session belong to it.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

import httptools

MOST_HELD_BYTES: Final = 2**18
"""Bytes of an answer that are held unread; then the socket is not read on."""

MOST_HEAD_BYTES: Final = 2**16
"""Bytes of an answer before its body, between two pieces of it, or after it."""

_INFORMATIONAL: Final = range(100, 200)


class NotHttpError(Exception):
    """What answers does not speak HTTP, or more of it than is understood here."""


class ConnectionBrokenError(Exception):
    """The connection ended before what was waited for."""


class HttpConnection(asyncio.Protocol):
    """A connection, from its opening to its end.

    Args:
        lost: Called once it is closed, by whomever.

    Attributes:
        status: Of the answer that is read.
        headers: Its headers, by lower-case name; of several with one name the last.
        heard: Anything of it has come.
        arrived: Takes what has come of the body while somebody waits for it, but for its end; True:
            whoever waits need not be woken. None: nobody takes it so.
        since: When it was put aside, for whoever does that.
        on_body: Keeps a piece of a body, for the parser: as there is one for each token, with no
            step of ours.
    """

    __slots__ = (
        "_ended",
        "_fault",
        "_framing_bytes",
        "_headed",
        "_held_bytes",
        "_keep",
        "_loop",
        "_lost",
        "_over",
        "_parser",
        "_parts",
        "_paused",
        "_transport",
        "_waiter",
        "_whole",
        "arrived",
        "headers",
        "heard",
        "on_body",
        "since",
        "status",
    )

    def __init__(self, lost: Callable[["HttpConnection"], None]) -> None:
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self.on_body = self._parts.append
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._held_bytes = 0
        self._whole = 0  # parts that are there when the answer is over
        self._paused = False
        self._fault: Exception | None = None
        self._over = True  # nothing was asked yet
        self._headed = self._keep = self._ended = self.heard = False
        self._framing_bytes = 0  # since the last byte of a body
        self.arrived: Callable[[bytes], bool] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.since = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request can be sent: the answer was read and it stays open."""
        return (
            self._over
            and self._keep
            and not self._parts
            and self._waiter is None  # woken, but it has not yet run: it must see its own end
            and self._fault is None
            and self.open
        )

    @property
    def open(self) -> bool:
        """Whether bytes can be sent still."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> None:
        """Send a request, and wait for the head of its answer.

        Raises:
            ConnectionBrokenError: When the connection ends first.
            NotHttpError: When something else than HTTP comes.
        """
        self._over = self._headed = self._keep = self.heard = False
        self._framing_bytes = 0
        if self._transport is not None:
            self._transport.write(request)
        while not self._headed:
            if self._fault is not None:
                raise self._fault
            await self.more()

    def take(self) -> bytes | None:
        """Give all that has arrived of the body, empty at its end; None: nothing has.

        Raises:
            ConnectionBrokenError: When the connection ended first.
            NotHttpError: When something else than HTTP came.
        """
        parts = self._parts
        if not parts:
            if self._over:
                return b""
            if self._fault is not None:
                raise self._fault
            return None
        return self._collected()

    async def more(self) -> None:
        """Wait until something has happened; one at a time."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def abort(self) -> None:
        """Close at once; whoever waits is told that it broke."""
        self._fail(ConnectionBrokenError("it was closed here"))
        if self._transport is not None:
            self._transport.abort()

    def _hand_on(self, waiter: asyncio.Future[None]) -> None:
        """Give away what has come, where somebody takes it so; else wake whoever waits."""
        more = bool(self._parts) and not self._over and not waiter.done()
        if more and self.arrived is not None and self.arrived(self._collected()):
            return
        if not waiter.done():  # what took it may have ended the answer
            waiter.set_result(None)

    def _collected(self) -> bytes:
        """Give all that is held; the socket is read on where it was too much."""
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._held_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def _gather(self, held: int) -> None:
        """Make one of the pieces that a read brought; those of another answer are nobody's."""
        parts = self._parts
        if self._over:
            del parts[self._whole :]
        if len(parts) > held + 1:
            parts[held:] = (b"".join(parts[held:]),)
        if len(parts) > held:
            self._held_bytes += len(parts[held])
            self._framing_bytes = 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, fault: Exception) -> None:
        if self._fault is None:
            self._fault = fault
        self._wake()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Take what a read brought."""
        if self._over:  # nobody asked for it
            self.abort()
            return
        self.heard = True
        self._framing_bytes += len(data)
        held = len(self._parts)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._gather(held)
            self._not_http(error)
            return
        self._gather(held)
        if not self._over and self._framing_bytes > MOST_HEAD_BYTES:
            self._not_http(None)
        elif self._held_bytes > MOST_HELD_BYTES and not self._paused and not self._over:
            self._paused = True
            if self._transport is not None:
                self._transport.pause_reading()
        if self._waiter is not None:
            self._hand_on(self._waiter)

    def eof_received(self) -> None:
        """Take the server's word that it sends no more."""
        self._ended = self._transport is not None and _announced(self._transport)
        self._keep = False  # it closes now, and who asks next must not be given it

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer that was under way; one without a length ends so, if it was not cut."""
        sound = self._ended and exc is None and self._fault is None
        if sound and self._headed and not self._over and self._unbounded():
            self._over = True
            self._keep = False
        self._fail(ConnectionBrokenError("it ended"))
        self._transport = None
        self._lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin an answer; one that nobody asked for ends the use of the connection."""
        if self._over:
            self._keep = False
        else:
            self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what follows a body is none."""
        if not self._headed:
            self.headers[name.lower().decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Let the head be read, unless another follows."""
        if not self._over:
            self.status = self._parser.get_status_code()
            self._headed = self.status not in _INFORMATIONAL

    def on_message_complete(self) -> None:
        """End the answer."""
        if self._headed and not self._over:
            self._over = True
            self._whole = len(self._parts)
            self._keep = self._parser.should_keep_alive() and not self._ended

    def _not_http(self, error: Exception | None) -> None:
        fault = NotHttpError("it does not speak HTTP as expected")
        fault.__cause__ = error
        self._fail(fault)
        if self._transport is not None:
            self._transport.abort()

    def _unbounded(self) -> bool:
        """Tell whether the body ends where the connection does."""
        return not {"content-length", "transfer-encoding"} & self.headers.keys()


def _announced(transport: asyncio.Transport) -> bool:
    """Tell whether an end is the server's: over TLS it says so, and one that was cut does not."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    try:
        return tls is None or not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:  # it would wait for more
        return False
