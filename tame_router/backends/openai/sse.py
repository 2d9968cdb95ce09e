"""Server-sent events: bytes as they arrive from a socket, payloads of whole events out.

Knows the framing only; what a payload means is decided by whoever feeds the decoder.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from tame_router.errors import BackendProtocolError

MAX_EVENT_BYTES = 2**20
"""Largest event that is held: a chunk of an answer has some hundred bytes."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseDecoder:
    """Cuts a stream of bytes into the payloads of its events.

    Lines may end in LF, CR or CRLF, and the stream may be cut at any byte: the payloads are
    the same. Comments and the fields `event`, `id` and `retry` are skipped. An event that the
    stream ends in the middle of is dropped, as the specification asks.

    Args:
        max_event_bytes: Longest event that is held, in bytes, ≥ 1.
    """

    __slots__ = (
        "_event_bytes",
        "_line_bytes",
        "_max_event_bytes",
        "_parts",
        "_skip_lf",
        "_started",
        "_values",
    )

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._parts: list[bytes] = []  # of the line that is not ended yet
        self._line_bytes = 0  # of those parts
        self._values: list[bytes] = []  # of the event that is not ended yet
        self._event_bytes = 0  # of that event's ended lines
        self._skip_lf = False
        self._started = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take what one read brought and give the payloads of the events it completed.

        Several `data` lines of one event are joined by LF. Empty input gives nothing.

        Raises:
            BackendProtocolError: When an event is longer than the decoder holds; the decoder
                cannot be used any more.
        """
        # Nothing is held, and these may be whole events of one line each: that is how servers send
        # them nearly always, and a third of the work.
        if (
            data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and not (self._parts or self._values or self._skip_lf or self._event_bytes)
            and b"\r" not in data
            and len(data) <= self._max_event_bytes
        ):
            payloads = data[6:-2].split(b"\n\ndata: ")
            # No other line ends: every event has the one line that it begins with.
            if b"\n" not in b"".join(payloads):
                self._started = True  # and not with a byte order mark
                return payloads
        if self._skip_lf or b"\r" in data:
            data = self._with_lf_only(data)
        lines = data.split(b"\n")
        tail = lines.pop()
        payloads = []
        if lines and self._parts:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts.clear()
            self._line_bytes = 0
        for line in lines:
            self._take(line, payloads)
        if tail:
            self._parts.append(tail)
            self._line_bytes += len(tail)
            self._check_size()
        return payloads

    def _with_lf_only(self, data: bytes) -> bytes:
        """Turn CR and CRLF into LF; the two bytes of a CRLF may come in two reads."""
        if not data:
            return data
        if self._skip_lf and data[0] == 0x0A:
            data = data[1:]
        self._skip_lf = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take(self, line: bytes, payloads: list[bytes]) -> None:
        if not line:
            if self._values:
                payloads.append(
                    self._values[0] if len(self._values) == 1 else b"\n".join(self._values)
                )
                self._values.clear()
            self._event_bytes = 0
            return
        self._event_bytes += len(line)
        self._check_size()
        if not self._started:
            self._started = True
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if line.startswith(b"data:"):
            self._values.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._values.append(b"")

    def _check_size(self) -> None:
        if self._event_bytes + self._line_bytes > self._max_event_bytes:
            raise BackendProtocolError(
                f"the backend sent an event of more than {self._max_event_bytes} bytes;"
                " expected the small events of a chat completion stream:"
                " check that the address is that of an OpenAI-compatible server"
            )
