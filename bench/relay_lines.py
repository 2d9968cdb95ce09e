"""Connections of the load generator: HTTP/1.1 and gRPC, as much of each as an answer takes.

A client library would cost more than the router that is measured. These write requests that
were made once, and read just enough to know when words came and when an answer is over.
"""

import asyncio
import re
import struct
import time
from collections.abc import Callable
from typing import Final, Protocol

GRPC_METHOD: Final = "/tame_router.v1.RouterService/StreamChat"
_WORDS: Final = re.compile(rb'"content": ?"[^"]')
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_WINDOW: Final = 2**24
"""Bytes that a stream may be ahead of its reader; no answer is as long."""
_ROOM: Final = 2**30
_DELTA_TAG, _FINAL_TAG = 0x1A, 0x2A
"""First bytes of the messages that hold words, and of the last one."""


class Exchange:
    """One answer, while it comes.

    Attributes:
        begun: When it was asked for, on the clock that `time.perf_counter` reads: uvloop's own has
            milliseconds only.
        first: When its first words came; None: not yet.
        last: When its latest bytes came.
        gaps: Times between reads that brought something of it, after the first, in seconds.
        whole: All of it has come.
    """

    __slots__ = ("begun", "first", "gaps", "last", "whole")

    def __init__(self, now: float) -> None:
        self.begun = self.last = now
        self.first: float | None = None
        self.gaps: list[float] = []
        self.whole = False

    def heard(self, now: float) -> None:
        """Take note that words came."""
        if self.first is None:
            self.first = now
        else:
            self.gaps.append(now - self.last)
        self.last = now


Done = Callable[["Line", Exchange], None]


class Line(Protocol):
    """A connection that answers can be asked for on."""

    def ask(self, request: bytes) -> Exchange:
        """Ask for one; whoever made the line is told when it is over."""

    def abort(self) -> None:
        """Close at once."""


class HttpLine(asyncio.Protocol):
    """One connection, one answer at a time.

    Args:
        done: Told when an answer is over.
    """

    def __init__(self, done: Done) -> None:
        self._done = done
        self._exchange: Exchange | None = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def ask(self, request: bytes) -> Exchange:
        """Write a request; the one before must be over."""
        self._exchange = exchange = Exchange(time.perf_counter())
        self._tail = b""
        self._transport.write(request)
        return exchange

    def abort(self) -> None:
        """Close at once."""
        self._exchange = None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read what came of the answer."""
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.first is not None or _WORDS.search(data):
            exchange.heard(time.perf_counter())
        self._tail = tail = (self._tail + data)[-64:]
        if tail.endswith(b"\r\n0\r\n\r\n"):
            exchange.whole = b"data: [DONE]" in tail
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer that was under way."""
        self._end()

    def _end(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._done(self, exchange)


class GrpcLine(asyncio.Protocol):
    """One connection, many answers at once.

    Args:
        done: Told when an answer is over.
    """

    def __init__(self, done: Done) -> None:
        self._done = done
        self._streams: dict[int, tuple[Exchange, bytearray]] = {}
        self._next = 1
        self._waiting = b""
        self._read = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open HTTP/2, with windows that no answer fills."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        settings = struct.pack("!HI", 4, _WINDOW)
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(8, 0, 0, struct.pack("!I", _ROOM))
        )

    def ask(self, request: bytes) -> Exchange:
        """Write a request: a block of headers and a message, from `grpc_request`."""
        number, self._next = self._next, self._next + 2
        exchange = Exchange(time.perf_counter())
        self._streams[number] = (exchange, bytearray())
        (headers,) = struct.unpack_from("!I", request)
        self._transport.write(
            _frame(_HEADERS, _END_HEADERS, number, request[4 : 4 + headers])
            + _frame(_DATA, _END_STREAM, number, request[4 + headers :])
        )
        return exchange

    def abort(self) -> None:
        """Close at once."""
        self._streams.clear()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read the frames that are whole."""
        waiting, at = self._waiting + data, 0
        while len(waiting) - at >= 9:
            length = int.from_bytes(waiting[at : at + 3], "big")
            if len(waiting) - at < 9 + length:
                break
            kind, flags = waiting[at + 3], waiting[at + 4]
            number = int.from_bytes(waiting[at + 5 : at + 9], "big")
            self._take(kind, flags, number, waiting[at + 9 : at + 9 + length])
            at += 9 + length
        self._waiting = waiting[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answers that were under way."""
        for number in list(self._streams):
            self._end(number)

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == _DATA and number in self._streams:
            self._words(*self._streams[number], payload)
        if kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            self._transport.close()
        elif kind == _RESET or (kind in {_DATA, _HEADERS} and flags & _END_STREAM):
            self._end(number)

    def _words(self, exchange: Exchange, held: bytearray, payload: bytes) -> None:
        """Look at the messages that are whole: each begins with one byte and its length."""
        self._read += len(payload)
        if self._read > _ROOM // 2:
            self._transport.write(_frame(8, 0, 0, struct.pack("!I", self._read)))
            self._read = 0
        held += payload
        words = False
        while len(held) >= 5:
            ends = 5 + int.from_bytes(held[1:5], "big")
            if len(held) < ends:
                break
            tag = held[5] if ends > 5 else 0
            words = words or tag == _DELTA_TAG
            exchange.whole = tag == _FINAL_TAG
            del held[:ends]
        if words:
            exchange.heard(time.perf_counter())

    def _end(self, number: int) -> None:
        found = self._streams.pop(number, None)
        if found is not None:
            self._done(self, found[0])


def http_request(address: str, body: bytes) -> bytes:
    """Write a request for a streamed chat completion."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def grpc_request(address: str, message: bytes) -> bytes:
    """Write a call of `StreamChat`, behind the length of its headers."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": GRPC_METHOD,
        ":authority": address,
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-timeout": "600S",
    }
    headers = b"".join(_literal(name) + _literal(value, b"") for name, value in fields.items())
    return struct.pack("!I", len(headers)) + headers + struct.pack("!BI", 0, len(message)) + message


def _literal(text: str, before: bytes = b"\x00") -> bytes:
    """Write a name or a value of HPACK: not indexed, not packed; shorter than 127 bytes."""
    return before + bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return struct.pack("!BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, number) + (
        payload
    )
