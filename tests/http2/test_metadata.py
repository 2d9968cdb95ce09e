"""What stands beside a call's messages."""

import grpc
import hpack
import pytest

from tame_router.http2.metadata import HeadReader, NotGrpcError, read_head, trailers

CALL = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/a.B/C"),
    (b":authority", b"localhost"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc+proto"),
]


def test_a_call_is_read() -> None:
    """Its own headers are no metadata; binary values are bytes, also two in one header."""
    head = read_head(
        [
            *CALL,
            (b"grpc-timeout", b"1500m"),
            (b"grpc-encoding", b"gzip"),
            (b"user-agent", b"x"),
            (b"key", b"1"),
            (b"key", b"2"),
            (b"trace-bin", b"AAE,Ag=="),
        ]
    )
    assert (head.method, head.timeout_s, head.encoding) == ("/a.B/C", 1.5, "gzip")
    assert head.metadata == (
        ("user-agent", "x"),
        ("key", "1"),
        ("key", "2"),
        ("trace-bin", b"\x00\x01"),
        ("trace-bin", b"\x02"),
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"2H", 7200), (b"3M", 180), (b"4S", 4), (b"5m", 0.005), (b"6u", 6e-6), (b"7n", 7e-9)],
)
def test_every_unit_of_time_is_known(value: bytes, seconds: float) -> None:
    """From hours to nanoseconds."""
    assert read_head([*CALL, (b"grpc-timeout", value)]).timeout_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    "header",
    [
        (b"grpc-timeout", b"soon"),
        (b"grpc-timeout", b"123456789S"),
        (b"grpc-timeout", b"-1S"),
        (b"key-bin", b"A"),
        (b":path", b"/another"),
    ],
)
def test_a_call_that_breaks_the_rules_is_refused(header: tuple[bytes, bytes]) -> None:
    """With a reason."""
    with pytest.raises(ValueError, match=r"grpc-timeout|base 64|twice"):
        read_head([*CALL, header])


@pytest.mark.parametrize(("position", "status"), [(0, 405), (5, 415)])
def test_what_is_no_call_has_a_status_of_http(position: int, status: int) -> None:
    """As gRPC's specification asks."""
    headers = [one for n, one in enumerate(CALL) if n != position]
    with pytest.raises(NotGrpcError) as raised:
        read_head(headers)
    assert raised.value.status == status


def test_an_end_is_written() -> None:
    """Words in any language, percent-encoded; binary values without padding."""
    written = trailers(
        grpc.StatusCode.NOT_FOUND,
        "沒有 100%\n",
        [("key", "值".encode().decode("latin-1")), ("a-bin", b"\0")],
    )
    assert dict(hpack.Decoder().decode(written, raw=True)) == {
        b"grpc-status": b"5",
        b"grpc-message": b"%E6%B2%92%E6%9C%89 100%25%0A",
        b"key": "值".encode(),
        b"a-bin": b"AA",
    }


def test_a_head_is_read_once_for_the_same_headers() -> None:
    """A list of another call is another, though it say the same; so is one that is long."""
    reader, again = HeadReader(), list(CALL)
    first = reader.read(again)
    assert reader.read(again) is first
    assert reader.read(list(CALL)) is not first
    long = [*CALL, (b"x-own", b"v" * 5000)]
    assert reader.read(long) is not reader.read(long)


def test_headers_that_are_no_call_never_become_one() -> None:
    """They are refused each time."""
    reader, headers = HeadReader(), [(b":method", b"GET")]
    for _ in range(2):
        with pytest.raises(NotGrpcError):
            reader.read(headers)
