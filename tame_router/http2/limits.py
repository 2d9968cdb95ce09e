"""What holds for a connection, and how its peer is told."""

from dataclasses import dataclass
from typing import Final

from tame_router.http2.frame import DEFAULT_WINDOW, Setting, settings, window_update
from tame_router.http2.frame_reader import DATA_BYTES
from tame_router.http2.stream import STREAM_WINDOW

CONNECTION_WINDOW: Final = 16 * 2**20
"""Bytes of all requests of a connection that may be under way, unread."""

SENT_BYTES: Final = 2**17
"""Longest frame that is written, whatever the peer reads: others wait while it leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What holds for a connection.

    Attributes:
        max_streams: Calls that it may have under way at once.
        max_header_bytes: Bytes of a request's headers that it is told to keep to.
        keepalive_s: Silence after which the peer is asked whether it is there still.
        message_timeout_s: Longest time that a message of a request may take.
        begun_bytes: Bytes of such messages that are not whole, of all its calls together.
    """

    max_streams: int
    max_header_bytes: int
    keepalive_s: float
    message_timeout_s: float = 60.0
    begun_bytes: int = 64 * 2**20

    def greeting(self) -> bytes:
        """Write what a server begins with."""
        values = {
            Setting.MAX_CONCURRENT_STREAMS: self.max_streams,
            Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            Setting.MAX_FRAME_SIZE: DATA_BYTES,
            Setting.MAX_HEADER_LIST_SIZE: self.max_header_bytes,
        }
        return settings(values) + window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW)
