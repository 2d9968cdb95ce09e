"""Server-sent events are cut where the specification says, however the bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.openai.sse import SseDecoder
from tame_router.errors import BackendProtocolError

LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data:  two spaces",
        b"data",
        b"data: ",
        "data: 繁體中文 🩺".encode(),
        b": a comment",
        b"event: message",
        b"id: 7",
        b"retry: 10",
        b"dat: no field",
        b"",
        b"",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


def feed_all(parts: list[bytes], decoder: SseDecoder | None = None) -> list[bytes]:
    """Feed parts one after the other."""
    decoder = decoder or SseDecoder()
    return [payload for part in parts for payload in decoder.feed(part)]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at places, which may repeat and may lie outside."""
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@given(
    st.lists(st.tuples(LINES, ENDS), max_size=20),
    st.lists(st.integers(0, 300), max_size=30),
)
def test_any_split_gives_the_same_payloads(
    lines: list[tuple[bytes, bytes]], places: list[int]
) -> None:
    """Where a stream is cut must not change what is read from it."""
    stream = b"".join(line + end for line, end in lines)
    assert feed_all(cut(stream, places)) == feed_all([stream])


@given(st.lists(st.sampled_from([b"{}", "依《法》".encode(), b"a: b", b""]), max_size=10))
def test_byte_by_byte_equals_what_was_sent(payloads: list[bytes]) -> None:
    """Payloads framed as vLLM frames them must come out whole, in order."""
    stream = b"".join(b"data: " + payload + b"\n\n" for payload in payloads)
    assert feed_all([stream]) == payloads
    assert feed_all([bytes([byte]) for byte in stream]) == payloads


@given(st.lists(st.sampled_from([b"{}", b"abc"]), min_size=1, max_size=5), ENDS)
def test_all_line_ends_are_equal(payloads: list[bytes], end: bytes) -> None:
    """LF, CR and CRLF must end lines alike."""
    stream = b"".join(b"data: " + payload + end + end for payload in payloads)
    assert feed_all([stream]) == payloads


def test_several_data_lines_are_joined() -> None:
    """The data lines of one event must be one payload, joined by LF."""
    assert feed_all([b"data: a\ndata\ndata: b\n\n"]) == [b"a\n\nb"]


def test_comments_and_other_fields_are_skipped() -> None:
    """Keep-alive comments, names and ids must bring no payload."""
    assert feed_all([b": keep-alive\n\nevent: x\nid: 1\nretry: 5\n\ndata: y\n\n"]) == [b"y"]


def test_byte_order_mark_is_skipped() -> None:
    """A byte order mark before the first field must not hide it."""
    assert feed_all([b"\xef\xbb", b"\xbfdata: a\n\n"]) == [b"a"]


def test_unfinished_event_is_dropped() -> None:
    """An event without its blank line must not be given out."""
    assert feed_all([b"data: a\n\ndata: b\n"]) == [b"a"]


def test_fast_form_after_a_held_line_is_read_in_order() -> None:
    """Whole events that arrive after half a line must not overtake it."""
    assert feed_all([b"data: 0\n\n", b"data: a", b"data: b\n\n", b"data: c\n\n"]) == [
        b"0",
        b"adata: b",
        b"c",
    ]


def test_form_that_only_looks_fast_is_read_line_by_line() -> None:
    """A read that begins and ends like whole events must not hide other lines between."""
    stream = b"data: a\nid: 1\n\ndata: b\n\n"
    assert feed_all([b"data: 0\n\n", stream]) == [b"0", b"a", b"b"]


def test_empty_read_after_a_return_changes_nothing() -> None:
    """A CR and a LF with an empty read between them must still end one line."""
    assert feed_all([b"data: a\r", b"", b"\ndata: b\r\n", b"\r\n"]) == [b"a\nb"]


@pytest.mark.parametrize(
    "parts",
    [
        [b"data: " + b"x" * 100],
        [b"data: " + b"x" * 100 + b"\n\n"],
        [b"data: y\n\n", b"data: " + b"x" * 100 + b"\n\n"],
        [b"data: xxxx\n"] * 20,
        [b"x"] * 100,
        [b": " + b"x" * 100 + b"\n"],
    ],
)
def test_endless_event_is_refused(parts: list[bytes]) -> None:
    """An event longer than the decoder holds must be an error, however it is cut."""
    with pytest.raises(BackendProtocolError, match="more than 64 bytes"):
        feed_all(parts, SseDecoder(max_event_bytes=64))


def test_bound_is_for_one_event() -> None:
    """Many small events in one read must pass a bound that each of them keeps."""
    stream = b"data: 1234\n\n" * 50
    assert feed_all([b"data: 0\n\n", stream], SseDecoder(max_event_bytes=16))[1:] == [b"1234"] * 50
