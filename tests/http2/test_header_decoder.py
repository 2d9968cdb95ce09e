"""Header blocks are decoded as a library's decoder does, block for block."""

import contextlib

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.http2.header_block import HeaderDecoder, Headers, block

MOST_BYTES = 2000
_NAMES = st.sampled_from([b":method", b":path", b"te", b"x-own", b"x-request-id", b"grpc-timeout"])
_VALUES = st.sampled_from([b"", b"POST", b"/", b"trailers", b"1", b"v" * 200, b"\xe4\xb8\xad"])
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES | st.binary(max_size=160), st.booleans()), max_size=6)
_BLOCKS = st.tuples(_FIELDS, st.booleans(), st.none() | st.integers(0, 4096))


def _read(decoder: HeaderDecoder, data: bytes) -> Headers | str:
    """Give what a block holds, or how it fails."""
    try:
        return list(decoder.decode(data))
    except hpack.OversizedHeaderListError:
        return "large"
    except (hpack.HPACKError, IndexError):
        return "broken"


def _expected(decoder: hpack.Decoder, data: bytes) -> Headers | str:
    try:
        return [(bytes(n), bytes(v)) for n, v in decoder.decode(data, raw=True)]
    except hpack.OversizedHeaderListError:
        return "large"
    except (hpack.HPACKError, IndexError):
        return "broken"


@given(st.lists(st.tuples(_BLOCKS, st.integers(1, 3)), max_size=8))
def test_blocks_are_read_as_the_library_reads_them(
    blocks: list[tuple[tuple[list[tuple[bytes, bytes, bool]], bool, int | None], int]],
) -> None:
    """Packed or not, kept in the table or not, the table resized, the same block again."""
    encoder = hpack.Encoder()
    ours, theirs = HeaderDecoder(2**16), hpack.Decoder(max_header_list_size=2**16)
    for (fields, packed, resized), times in blocks:
        if resized is not None:
            encoder.header_table_size = resized
        for _ in range(times):
            data = encoder.encode(fields, huffman=packed)
            assert _read(ours, data) == _expected(theirs, data)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_what_is_no_block_fails_as_in_the_library(blocks: list[bytes]) -> None:
    """Up to the first that fails: nothing can be read after it."""
    ours, theirs = HeaderDecoder(MOST_BYTES), hpack.Decoder(max_header_list_size=MOST_BYTES)
    for data in blocks:
        read = _read(ours, data)
        assert read == _expected(theirs, data)
        if isinstance(read, str):
            return


@pytest.mark.parametrize("bits", [0x80, 0x40, 0x20, 0x10, 0x00])
@given(st.integers(0, 2**36), st.binary(max_size=3))
def test_numbers_of_any_length_are_read_or_refused_alike(
    bits: int, number: int, rest: bytes
) -> None:
    """Entries that there are not, sizes that are not allowed, lengths that have no end."""
    mask = {0x80: 0x7F, 0x40: 0x3F, 0x20: 0x1F}.get(bits, 0x0F)
    data = bytearray(hpack.hpack.encode_integer(number, mask.bit_length()))
    data[0] |= bits
    found, expected = HeaderDecoder(MOST_BYTES), hpack.Decoder(max_header_list_size=MOST_BYTES)
    assert _read(found, bytes(data) + rest) == _expected(expected, bytes(data) + rest)


def test_a_block_that_comes_again_is_not_read_twice() -> None:
    """The very same list, as long as the table is what it was."""
    decoder, encoder = HeaderDecoder(MOST_BYTES), hpack.Encoder()
    fields = [(b"x-own", b"1"), (b"te", b"trailers")]
    first, again = encoder.encode(fields), encoder.encode(fields)
    assert decoder.decode(first) == decoder.decode(again) == fields
    assert decoder.decode(again) is decoder.decode(again)
    large, long = HeaderDecoder(2**16), block([(b"x-own", b"v" * 5000)])
    assert large.decode(long) == large.decode(long)
    assert large.decode(long) is not large.decode(long)


def test_a_block_is_read_anew_once_the_table_has_changed() -> None:
    """The same bytes then name other fields."""
    decoder = HeaderDecoder(MOST_BYTES)
    decoder.decode(b"\x40\x01a\x011")
    assert decoder.decode(b"\xbe") == decoder.decode(b"\xbe") == [(b"a", b"1")]
    decoder.decode(b"\x40\x01a\x012")
    assert decoder.decode(b"\xbe") == [(b"a", b"2")]
    decoder.decode(b"\x20")  # no table at all
    with pytest.raises(hpack.HPACKError):
        decoder.decode(b"\xbe")


def test_a_block_that_fails_is_not_taken_for_one_that_was_read() -> None:
    """It may have changed the table before it failed."""
    decoder = HeaderDecoder(MOST_BYTES)
    decoder.decode(b"\x40\x01a\x011")
    decoder.decode(b"\xbe")
    with contextlib.suppress(hpack.HPACKError):
        decoder.decode(b"\x40\x01a\x012\x00\x05b")
    assert decoder.decode(b"\xbe") == [(b"a", b"2")]
