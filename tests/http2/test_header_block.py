"""Header blocks: what is written, a library reads; what is hostile, ends the connection."""

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.http2 import frame as wire
from tame_router.http2.frame import ConnectionFault, ErrorCode
from tame_router.http2.header_block import MOST_BLOCK_BYTES, HeaderReader, block, header_frames

_NAME = st.binary(min_size=1, max_size=300)
_VALUE = st.binary(max_size=20_000)


@given(st.lists(st.tuples(_NAME, _VALUE), max_size=3))
def test_what_is_written_is_what_is_read(headers: list[tuple[bytes, bytes]]) -> None:
    """Lengths of one byte and of several, by a decoder that is not ours."""
    decoder = hpack.Decoder(max_header_list_size=2**20)
    assert [tuple(one) for one in decoder.decode(block(headers), raw=True)] == headers


@given(st.binary(max_size=200), st.integers(16, 64), st.booleans())
def test_a_block_takes_as_many_frames_as_the_peer_needs(
    content: bytes, frame_bytes: int, ends: bool
) -> None:
    """None is longer; the first says whether the stream ends, the last that the block does."""
    written, frames = header_frames(7, content, frame_bytes, ends=ends), []
    while written:
        length = int.from_bytes(written[:3], "big")
        frames.append((written[3], written[4], written[9 : 9 + length]))
        written = written[9 + length :]
    assert b"".join(payload for _, _, payload in frames) == content
    assert all(len(payload) <= frame_bytes for _, _, payload in frames)
    assert [kind for kind, _, _ in frames] == [1] + [9] * (len(frames) - 1)
    assert bool(frames[0][1] & wire.END_STREAM) == ends
    assert [bool(flags & wire.END_HEADERS) for _, flags, _ in frames] == [
        False,
    ] * (len(frames) - 1) + [True]


def test_a_block_in_pieces_is_one() -> None:
    """HEADERS with padding and a priority, then CONTINUATION."""
    reader, content = HeaderReader(), block([(b"a", b"1"), (b"b", b"2")])
    flags = wire.PADDED | wire.PRIORITIZED | wire.END_STREAM
    assert reader.begin(1, flags, b"\x02" + b"\0" * 5 + content[:3] + b"\0\0") is None
    assert reader.open == (1, flags)
    assert reader.go_on(1, 0, content[3:5]) is None
    assert reader.go_on(1, wire.END_HEADERS, content[5:]) == [(b"a", b"1"), (b"b", b"2")]
    assert reader.open is None


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\xff\xff\xff\xff\xff", ErrorCode.COMPRESSION_ERROR),  # an entry that there is not
        (b"\x00\x7f\x80", ErrorCode.COMPRESSION_ERROR),  # cut in the middle of a length
        (b"\x3f\xe1\xff\x03", ErrorCode.COMPRESSION_ERROR),  # a table that is not allowed
        (b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 20, ErrorCode.ENHANCE_YOUR_CALM),
        (b"x" * (MOST_BLOCK_BYTES + 1), ErrorCode.ENHANCE_YOUR_CALM),
    ],
)
def test_a_block_that_is_hostile_ends_the_connection(payload: bytes, code: ErrorCode) -> None:
    """Also one that is small on the wire and large unpacked."""
    with pytest.raises(ConnectionFault) as raised:
        HeaderReader().begin(1, wire.END_HEADERS, payload)
    assert raised.value.code is code


def test_a_continuation_of_nothing_is_refused() -> None:
    """And one of another stream's block."""
    with pytest.raises(ConnectionFault):
        HeaderReader().go_on(1, wire.END_HEADERS, b"")
    reader = HeaderReader()
    reader.begin(1, 0, b"")
    with pytest.raises(ConnectionFault):
        reader.go_on(3, wire.END_HEADERS, b"")


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abc"])
def test_more_padding_than_payload_is_refused(payload: bytes) -> None:
    """It would be read from somewhere else."""
    with pytest.raises(ConnectionFault) as raised:
        HeaderReader().begin(1, wire.PADDED | wire.END_HEADERS, payload)
    assert raised.value.code is ErrorCode.PROTOCOL_ERROR
