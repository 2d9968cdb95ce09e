"""One connection of HTTP/2: frames in, streams fed, frames out in one write a turn of the loop.

Source: https://www.rfc-editor.org/rfc/rfc9113
"""

import asyncio
from collections.abc import Callable
from typing import Final

from tame_router.http2 import frame as wire
from tame_router.http2.allowance import PING, Allowance
from tame_router.http2.arrivals import Arrivals
from tame_router.http2.credit import Credit
from tame_router.http2.frame import ConnectionFault, ErrorCode, Setting
from tame_router.http2.frame_reader import FrameReader
from tame_router.http2.header_block import HeaderReader, Headers
from tame_router.http2.limits import CONNECTION_WINDOW, SENT_BYTES, Limits
from tame_router.http2.outbox import Outbox
from tame_router.http2.peer import NOBODY, Peer
from tame_router.http2.silence import Silence
from tame_router.http2.stream import Stream, Waiting

LINGER_S: Final = 1.0
"""Time in which a peer may read why its connection ends."""

_PING_BYTES: Final = 8


class Connection(asyncio.Protocol):
    """A connection, from its opening to its end.

    Args:
        limits: What holds for it.
        begin: Called with each stream and its headers; sets the stream's receiver.
        opened: Called with the connection when it is made.
        closed: Called with it when it is no more.

    Attributes:
        window: Bytes that the peer takes of all streams.
        frame_bytes: Longest frame that it reads.
        crowded: What was written has not left yet.
        calls: Calls that are served, those that the peer has left among them.
        peer: Who it is.
        put: Writes frames; what is written in one turn of the loop leaves in one piece.
        arrivals: Watches over the messages of its requests.
    """

    def __init__(
        self,
        limits: Limits,
        begin: Callable[["Connection", Stream, Headers], None],
        opened: Callable[["Connection"], None],
        closed: Callable[["Connection"], None],
    ) -> None:
        self._limits = limits
        self._begin = begin
        self._opened, self._closed = opened, closed
        self._loop = asyncio.get_running_loop()
        self._allowance = Allowance(self._loop.time)
        self._headers = HeaderReader()
        self._streams: dict[int, Stream] = {}
        self._waiting = Waiting()
        self._out = Outbox()
        self._frames = FrameReader(self)
        self._last = 0  # the highest stream that was begun
        self._peer_window = wire.DEFAULT_WINDOW
        self._credit = Credit(CONNECTION_WINDOW, CONNECTION_WINDOW // 4)
        self._silence: Silence | None = None
        self._draining = False
        self._takers: dict[int, Callable[[int, int, bytes], None]] = {
            wire.HEADERS: self._take_headers,
            wire.CONTINUATION: self._take_continuation,
            wire.WINDOW_UPDATE: self._widen,
            wire.PING: self._answer_ping,
            wire.SETTINGS: self._take_settings,
            wire.RST_STREAM: self._take_reset,
        }
        self.window = wire.DEFAULT_WINDOW
        self.frame_bytes = wire.DEFAULT_FRAME_BYTES
        self.crowded = False
        self.calls = 0
        self.peer = NOBODY
        self.put = self._out.put
        self.arrivals = Arrivals(limits.message_timeout_s, limits.begun_bytes)

    def wait(self, stream: Stream) -> None:
        """Have a stream woken when there is room again."""
        self._waiting.add(stream)

    def released(self, size: int) -> None:
        """Take note that so many bytes were read; the peer is told now and then."""
        more = self._credit.read(size)
        if more:
            self.put(wire.window_update(0, more))

    def over(self, stream: Stream) -> None:
        """Forget a stream."""
        self._streams.pop(stream.number, None)
        self._waiting.drop(stream)
        self.wake()  # it may have been woken for room that it leaves
        if self._draining and not self._streams:
            self.close()

    def drain(self) -> None:
        """Take no new stream, and close once those that are open are over."""
        if self._draining or self._out.closed:
            return
        self._draining = True
        self.put(wire.go_away(self._last, ErrorCode.NO_ERROR))
        self.arrivals.refuse()
        if not self._streams:
            self.close()

    def abort(self) -> None:
        """Close at once."""
        self.close(at_once=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what holds here, before the peer has said anything."""
        self._out.open(transport)  # type: ignore[arg-type]
        self.peer = Peer.of(transport)
        self._opened(self)
        self.put(self._limits.greeting())
        if self.peer.secure and self.peer.protocol != "h2":
            self._fail(ConnectionFault(ErrorCode.PROTOCOL_ERROR, "TLS without the protocol h2"))
            return
        ping = wire.frame(wire.PING, 0, 0, bytes(_PING_BYTES))
        self._silence = Silence(self._limits.keepalive_s, lambda: self.put(ping), self.abort)

    def data_received(self, data: bytes) -> None:
        """Take what a read brought."""
        if self._frames.stopped:
            return
        if self._silence is not None:
            self._silence.broken()
        self._allowance.give(self._out.sent)  # it answers what was sent to it
        self._out.sent = 0
        try:
            self._frames.feed(data)
        except ConnectionFault as fault:
            self._fail(fault)

    def pause_writing(self) -> None:
        """Let nobody write until the peer has read."""
        self.crowded = True

    def resume_writing(self) -> None:
        """Let all write again."""
        self.crowded = False
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all streams."""
        self._frames.stopped = True
        self._out.drop()
        self._waiting.clear()
        self.arrivals.close()
        if self._silence is not None:
            self._silence.close()
        for stream in list(self._streams.values()):
            stream.lose()
        self._closed(self)

    # Frames.

    def take_data(self, number: int, flags: int, payload: bytes) -> None:
        """Take data of a stream."""
        if not number or number > self._last or self._headers.open is not None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "data of no stream")
        size = len(payload)
        self._credit.take(size)
        if not size or flags & wire.PADDED:
            self._allowance.take()
            payload = wire.unpadded(payload, flags)
        stream = self._streams.get(number)
        if stream is None:  # it was on its way when the stream ended
            self.released(size)
            return
        if size:
            stream.data(payload, size)
        if flags & wire.END_STREAM and number in self._streams:
            stream.end()

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Take a frame of another kind."""
        if self._headers.open is not None and kind != wire.CONTINUATION:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        take = self._takers.get(kind)
        if take is None:  # GOAWAY, PRIORITY, and kinds that there may be one day
            self._allowance.take()
        else:
            take(flags, number, payload)

    def _take_headers(self, flags: int, number: int, payload: bytes) -> None:
        headers = self._headers.begin(number, flags, payload)
        if headers is not None:
            self._take_head(number, flags, headers)

    def _take_continuation(self, flags: int, number: int, payload: bytes) -> None:
        self._allowance.take()
        opened = self._headers.open
        headers = self._headers.go_on(number, flags, payload)
        if headers is not None and opened is not None:
            self._take_head(number, opened[1], headers)

    def _take_head(self, number: int, flags: int, headers: Headers) -> None:
        """Take the head of a request, or what follows its body, of which gRPC has nothing."""
        ends = bool(flags & wire.END_STREAM)
        stream = self._streams.get(number)
        if stream is None and number > self._last and number % 2:
            stream = self._open(number, headers)
        elif not ends:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream out of order")
        elif stream is None:  # its answer is over
            self._allowance.take()
        if stream is not None and ends and number in self._streams:
            stream.end()

    def _open(self, number: int, headers: Headers) -> Stream | None:
        """Begin a stream; None: it was refused."""
        self._last = number
        if self._draining or max(len(self._streams), self.calls) >= self._limits.max_streams:
            self._allowance.take()
            self._out.reply(wire.reset(number, ErrorCode.REFUSED_STREAM))
            return None
        stream = self._streams[number] = Stream(self, number, self._peer_window)
        self._begin(self, stream, headers)
        return stream

    def _widen(self, _: int, number: int, payload: bytes) -> None:
        size = wire.read_number(payload) & wire.MOST_WINDOW
        if not size:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a window that does not grow")
        self._allowance.take()
        widened = self._streams.get(number) if number else self
        if widened is not None:
            widened.window += size
            if widened.window > wire.MOST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too wide")
            widened.wake()
        elif number > self._last:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a window of no stream")

    def _answer_ping(self, flags: int, _: int, payload: bytes) -> None:
        if len(payload) != _PING_BYTES:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a ping of the wrong length")
        if not flags & wire.ACK:
            self._allowance.take(PING)
            self._out.reply(wire.frame(wire.PING, wire.ACK, 0, payload))

    def _take_settings(self, flags: int, _: int, payload: bytes) -> None:
        self._allowance.take()
        if flags & wire.ACK:
            return
        for name, value in wire.read_settings(payload):
            if name == Setting.INITIAL_WINDOW_SIZE:
                self._resize(value)
            elif name == Setting.MAX_FRAME_SIZE:
                self.frame_bytes = min(value, SENT_BYTES)
        self._out.reply(wire.frame(wire.SETTINGS, wire.ACK, 0))

    def _resize(self, window: int) -> None:
        """Give all streams another window."""
        change, self._peer_window = window - self._peer_window, window
        for stream in self._streams.values():
            stream.window += change
        self.wake()

    def _take_reset(self, _: int, number: int, payload: bytes) -> None:
        wire.read_number(payload)
        if not number or number > self._last:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the end of no stream")
        self._allowance.take()
        if (stream := self._streams.get(number)) is not None:
            stream.lose()

    # Ends.

    def _fail(self, fault: ConnectionFault) -> None:
        """Tell the peer what it did, and close.

        Not at once: what it still sends would reset the connection, and the word with it.
        """
        self.put(wire.go_away(self._last, fault.code, fault.why))
        self._frames.stopped = True
        self._loop.call_later(LINGER_S, self.close)
        self._waiting.clear()
        for stream in list(self._streams.values()):
            stream.lose()

    def close(self, *, at_once: bool = False) -> None:
        """Take nothing more, and close once what was written has left; or at once."""
        self._frames.stopped = True
        self._out.close(at_once=at_once)

    def wake(self) -> None:
        """Let streams that wait for room look again."""
        self._waiting.wake(0 if self.crowded else self.window)
