"""Proto bytes grown by the messages' own descriptors, and against them.

Bytes that follow a message are read as further fields of it, so a valid message with grown
fields behind it is one that was changed in places: a scalar is replaced, a list longer.
"""

import struct
from functools import cache
from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from bench.fuzzing.mangling import mangled

DEEPEST_GROUP = 300
DEEPEST_MESSAGE = 5

VARINT, FIXED64, BYTES, OPEN, CLOSE, FIXED32 = 0, 1, 2, 3, 4, 5

_VARINTS = frozenset(
    {
        *(FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32),
        *(FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM),
    }
)
_WORDS = (
    *("legal", "general", "medical", "*", "single", "nobody", "legal@0123456789abcdef"),
    *("fuzz-a", "fuzz-b", "fuzz-c", "dns:fuzz.example", "https://i.example fuzz", "CN=fuzz"),
    *("2026-11-24", "0001-01-01", "look_up", "c1", '{"type":"object"}', '{"a":' * 90, "{", "[]"),
    *("request-01", "\x00", "\u2028", "", " ", "押" * 400, "😀", "a\nb"),
)
_BAD_UTF8 = (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xe6\x8a", b"ok\x80")
_edges = st.sampled_from(
    [0, 1, 2, 16, 17, 1_000, 1_001, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
)
_doubles = st.one_of(
    st.floats(), st.sampled_from([float("nan"), float("inf"), -1.0, 2.0, 5e-324, 1e308])
)


def varint(number: int) -> bytes:
    """Write a whole number of up to 64 bits."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def tag(number: int, wire_type: int) -> bytes:
    """Write what begins a field."""
    return varint(number << 3 | wire_type)


def framed(number: int, data: bytes) -> bytes:
    """Write a field of bytes."""
    return tag(number, BYTES) + varint(len(data)) + data


_texts = st.one_of(
    st.sampled_from(_WORDS).map(str.encode),
    st.text(max_size=20).map(str.encode),
    st.sampled_from(_BAD_UTF8),
    st.binary(max_size=20),
    st.integers(1, 90_000).map(lambda n: b"x" * n),
)
_long_varints = st.sampled_from([b"\xff" * 9 + b"\x01", b"\xff" * 10, b"\x80" * 30, b"\x80"])
_numbers = st.integers(0, 2**64 - 1)


def _right(field: FieldDescriptor, depth: int) -> st.SearchStrategy[bytes]:
    """Draw a field with a value of its type, if not one that is wanted."""
    number = field.number
    if field.type in _VARINTS:
        small = st.integers(0, 9)
        return (_edges | small | _numbers).map(lambda n: tag(number, VARINT) + varint(n))
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _doubles.map(lambda d: tag(number, FIXED64) + struct.pack("<d", d))
    if field.message_type is not None:
        below = st.deferred(lambda: grown(field.message_type, depth + 1))
        return below.map(lambda data: framed(number, data))
    return _texts.map(lambda data: framed(number, data))


def _wrong(number: int) -> st.SearchStrategy[bytes]:
    """Draw a field of a number with a wire type that may not be its own, or broken."""
    return st.one_of(
        _numbers.map(lambda n: tag(number, VARINT) + varint(n)),
        _long_varints.map(lambda data: tag(number, VARINT) + data),
        st.binary(min_size=8, max_size=8).map(lambda data: tag(number, FIXED64) + data),
        st.binary(min_size=0, max_size=4).map(lambda data: tag(number, FIXED32) + data),
        _texts.map(lambda data: framed(number, data)),
        _edges.map(lambda n: tag(number, BYTES) + varint(n) + b"short"),
        st.integers(1, DEEPEST_GROUP).map(
            lambda n: tag(number, OPEN) * n + tag(number, CLOSE) * (n - n % 2)
        ),
        st.sampled_from([6, 7, CLOSE]).map(lambda kind: tag(number, kind)),
        st.integers(1, DEEPEST_GROUP).map(lambda n: _nest(number, n)),
    )


def _nest(number: int, depth: int) -> bytes:
    """Write messages in messages."""
    data = b""
    for _ in range(depth):
        data = framed(number, data)
    return data


@cache
def grown(message: Descriptor, depth: int = 0) -> st.SearchStrategy[bytes]:
    """Draw fields of a message, most of their own types, in any order and number."""
    own = [one for one in message.fields if depth < DEEPEST_MESSAGE or one.message_type is None]
    right = [_right(one, depth) for one in own]
    numbers = st.sampled_from([one.number for one in message.fields] or [1])
    any_number = st.one_of(numbers, st.integers(1, 2**29 - 1), st.sampled_from([0, 19_000]))
    wrong = any_number.flatmap(_wrong)
    field = st.one_of(*right, *right, *right, wrong, st.binary(max_size=8)) if right else wrong
    return st.lists(field, max_size=6).map(b"".join)


@st.composite
def messages(draw: st.DrawFn, message: Descriptor, valid: tuple[bytes, ...]) -> bytes:
    """Draw a message: a valid one, with grown fields behind it, or grown fields alone.

    Args:
        draw: Draws.
        message: What is sent.
        valid: Some that are.
    """
    data = draw(st.sampled_from((*valid, *valid, b"")))
    if draw(st.integers(0, 4)):
        data += draw(grown(message))
    return data


PIECES = (
    *map(str.encode, _WORDS),
    *_BAD_UTF8,
    *(tag(number, kind) for number in (1, 2, 3, 7, 11, 100) for kind in range(8)),
    *(varint(number) for number in (0, 127, 128, 2**31, 2**32 - 1, 2**63, 2**64 - 1)),
)
"""What may stand at any place of a message."""


def varied(data: bytes, random: Random) -> bytes:
    """Change a message's bytes."""
    return mangled(data, random, PIECES)
