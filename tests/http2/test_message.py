"""Messages are the same, wherever the stream of bytes is cut; what cannot be read is said."""

import gzip
import tracemalloc
import zlib

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.http2.message import MessageFault, MessageReader, packed

MOST = 100_000


@given(st.lists(st.binary(max_size=200)), st.data())
def test_messages_are_the_same_however_they_are_cut(
    messages: list[bytes], data: st.DataObject
) -> None:
    """Each once, whole and in order."""
    sent, reader, read, at = b"".join(map(packed, messages)), MessageReader(MOST, ""), [], 0
    while at < len(sent):
        size = data.draw(st.integers(1, 60))
        read += reader.feed(sent[at : at + size])
        at += size
    assert read == messages
    assert reader.begun_bytes == 0


def test_a_message_that_is_not_ended_is_known() -> None:
    """The caller is told when its request ends there."""
    reader = MessageReader(MOST, "")
    assert reader.feed(packed(b"abc")[:-1]) == []
    assert reader.begun_bytes == 7
    reader.clear()
    assert reader.feed(packed(b"abc")) == [b"abc"]


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_packed_messages_are_unpacked(name: str, pack: object) -> None:
    """Where they say that they are; a call may mix both."""
    body: bytes = pack("問題".encode() * 100)  # type: ignore[operator]
    sent = b"\x01" + len(body).to_bytes(4, "big") + body
    reader = MessageReader(MOST, name)
    read = reader.feed(sent + packed(b"a"))
    assert read == [body, b"a"]  # as they came, until they are read
    assert [reader.unpacked(one) for one in read] == ["問題".encode() * 100, b"a"]


@pytest.mark.parametrize(
    ("sent", "encoding", "code", "word"),
    [
        (b"\x02\0\0\0\0", "", grpc.StatusCode.INTERNAL, "none of gRPC"),
        (b"\x00\x7f\xff\xff\xff", "", grpc.StatusCode.RESOURCE_EXHAUSTED, "2147483647 vs. 100000"),
        (b"\x01\0\0\0\x01a", "snappy", grpc.StatusCode.UNIMPLEMENTED, "'snappy'"),
        (b"\x01\0\0\0\x01a", "identity", grpc.StatusCode.UNIMPLEMENTED, "gzip"),
        (b"\x01\0\0\0\x01a", "gzip", grpc.StatusCode.INTERNAL, "not packed by gzip"),
    ],
)
def test_what_cannot_be_read_is_said(
    sent: bytes, encoding: str, code: grpc.StatusCode, word: str
) -> None:
    """With the code that gRPC has for it."""
    reader = MessageReader(MOST, encoding)
    with pytest.raises(MessageFault) as raised:
        reader.unpacked(reader.feed(sent)[0])
    assert raised.value.code is code
    assert word in raised.value.why


def test_a_bomb_is_not_unpacked() -> None:
    """A gigabyte of zeros in a megabyte: no more of it than what is read at most."""
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < MOST
    reader = MessageReader(MOST, "gzip")
    (message,) = reader.feed(b"\x01" + len(bomb).to_bytes(4, "big") + bomb)
    with pytest.raises(MessageFault) as raised:
        reader.unpacked(message)
    assert raised.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.why.endswith("(100001 vs. 100000)")


def test_small_pieces_are_kept_together() -> None:
    """A long message in pieces of two bytes takes up about what it holds."""
    reader, long = MessageReader(MOST, ""), packed(bytes(MOST))
    tracemalloc.start()
    try:
        for at in range(0, len(long) - 2, 2):
            assert reader.feed(long[at : at + 2]) == []
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * MOST
