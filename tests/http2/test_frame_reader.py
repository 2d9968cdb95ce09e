"""Frames are the same, wherever the stream of bytes is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.http2 import frame as wire
from tame_router.http2.frame import ConnectionFault, ErrorCode
from tame_router.http2.frame_reader import DATA_BYTES, OTHER_BYTES, FrameReader

_KINDS = st.sampled_from([wire.HEADERS, wire.SETTINGS, wire.PING, wire.WINDOW_UPDATE, 0xFA])


class Taken:
    """Keeps what it is given; data of one stream in a row as one."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.data: dict[int, bytes] = {}
        self.ended: list[int] = []

    def take_data(self, number: int, flags: int, payload: bytes) -> None:
        """Keep data."""
        assert number not in self.ended
        self.data[number] = self.data.get(number, b"") + payload
        if flags & wire.END_STREAM:
            self.ended.append(number)

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Keep a frame."""
        self.frames.append((kind, flags, number, payload))


@given(
    st.lists(st.tuples(_KINDS, st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary())),
    st.dictionaries(st.integers(1, 9), st.binary(max_size=300)),
    st.data(),
)
def test_frames_are_the_same_however_they_are_cut(
    frames: list[tuple[int, int, int, bytes]], bodies: dict[int, bytes], data: st.DataObject
) -> None:
    """Each frame once and whole, each byte of data once and in order."""
    sent = wire.PREFACE + b"".join(wire.frame(*one) for one in frames)
    sent += b"".join(wire.frame(wire.DATA, wire.END_STREAM, n, body) for n, body in bodies.items())
    taken = Taken()
    reader = FrameReader(taken)
    at = 0
    while at < len(sent):
        size = data.draw(st.integers(1, 40))
        reader.feed(sent[at : at + size])
        at += size
    assert taken.frames == frames
    assert taken.data == bodies
    assert taken.ended == list(bodies)


@pytest.mark.parametrize("begin", [b"G", b"GET / HTTP/1.1\r\n", b"PRI * HTTP/1.1", b"\x16\x03\x01"])
def test_what_is_no_http2_is_refused_at_its_first_byte_that_shows_it(begin: bytes) -> None:
    """Nothing is waited for that cannot come."""
    with pytest.raises(ConnectionFault) as raised:
        FrameReader(Taken()).feed(begin)
    assert raised.value.code is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("kind", "length"), [(wire.DATA, DATA_BYTES + 1), (wire.HEADERS, OTHER_BYTES + 1)]
)
def test_a_frame_that_is_too_long_is_refused_by_its_head(kind: int, length: int) -> None:
    """It is not waited for either."""
    with pytest.raises(ConnectionFault) as raised:
        FrameReader(Taken()).feed(wire.PREFACE + wire.head(kind, 0, 1, length))
    assert raised.value.code is ErrorCode.FRAME_SIZE_ERROR


def test_nothing_is_taken_once_it_was_stopped() -> None:
    """A connection that is closed has no frames."""

    class Stopping(Taken):
        def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
            super().take(kind, flags, number, payload)
            reader.stopped = True

    taken = Stopping()
    reader = FrameReader(taken)
    reader.feed(wire.PREFACE + 2 * wire.frame(wire.PING, 0, 0, b"12345678"))
    assert len(taken.frames) == 1
