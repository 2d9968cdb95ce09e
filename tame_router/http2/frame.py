"""Frames of HTTP/2, and those few that are written here.

Source: https://www.rfc-editor.org/rfc/rfc9113#section-4
"""

import struct
from enum import IntEnum
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client begins with."""

HEAD: Final = struct.Struct("!HBBBI")
"""A frame's head: the length, of which the lowest byte stands apart, kind, flags, stream."""

HEAD_BYTES: Final = HEAD.size

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

DEFAULT_WINDOW: Final = 65_535
"""Bytes that may be under way where nothing else was said."""

MOST_WINDOW: Final = 2**31 - 1
MOST_STREAM: Final = 2**31 - 1

DEFAULT_FRAME_BYTES: Final = 16_384
"""Longest frame that may be sent where nothing else was said."""

MOST_FRAME_BYTES: Final = 2**24 - 1


class Setting(IntEnum):
    """Names of settings. Source: section 6.5.2."""

    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Why a stream or a connection ends. Source: section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Exception):  # it is the peer's fault, and no error of ours
    """A peer broke the protocol so that the whole connection ends.

    Args:
        code: What it is told.
        why: In words, for a person who reads its log.
    """

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


_NUMBER = struct.Struct("!I")
_SETTING = struct.Struct("!HI")
_GOAWAY = struct.Struct("!II")


def head(kind: int, flags: int, stream: int, length: int) -> bytes:
    """Write the head of a frame.

    Args:
        kind: What it is.
        flags: Its flags.
        stream: Whose it is; 0: the connection's.
        length: Bytes that follow.
    """
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return head(kind, flags, stream, len(payload)) + payload


def window_update(stream: int, size: int) -> bytes:
    """Let a peer send so many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def reset(stream: int, code: ErrorCode) -> bytes:
    """End a stream at once."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def go_away(last: int, code: ErrorCode, why: str = "") -> bytes:
    """Say that the connection ends, and which streams are still served."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last, code) + why.encode())


def settings(values: dict[Setting, int]) -> bytes:
    """Tell the peer what holds here."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(k, v) for k, v in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Read what holds at the peer: names and values, those that are not known here among them.

    Raises:
        ConnectionFault: When it is cut, or holds what cannot be.
    """
    if len(payload) % _SETTING.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of an odd length")
    found = list(_SETTING.iter_unpack(payload))
    for name, value in found:
        if name == Setting.INITIAL_WINDOW_SIZE and value > MOST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too wide")
        if name == Setting.MAX_FRAME_SIZE and not DEFAULT_FRAME_BYTES <= value <= MOST_FRAME_BYTES:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "frames of no such length")
    return found


def read_number(payload: bytes) -> int:
    """Read the one number of a WINDOW_UPDATE or RST_STREAM.

    Raises:
        ConnectionFault: When it is not one.
    """
    if len(payload) != _NUMBER.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame of the wrong length")
    return int.from_bytes(payload, "big")


def unpadded(payload: bytes, flags: int) -> bytes:
    """Take the padding from the payload of DATA or HEADERS.

    Raises:
        ConnectionFault: When there is more padding than payload.
    """
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "more padding than there is of the frame")
    return payload[1 : len(payload) - payload[0]]
