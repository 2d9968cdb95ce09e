"""What stands beside a call's messages: its method, its time, metadata, and how it ended.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import grpc

from tame_router.http2.header_block import FIELD_BYTES, REMEMBERED_BYTES, Headers, block, literal

Metadata = tuple[tuple[str, str | bytes], ...]

_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT: Final = re.compile(rb"[0-9]{1,8}[HMSmun]")
_GRPC: Final = re.compile(rb"application/grpc(?![^+;])")
_RESERVED: Final = frozenset({b"te", b"content-type", b"connection"})
_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

CONTENT_TYPE: Final = literal(b"content-type", b"application/grpc")
ACCEPTED: Final = literal(b"grpc-accept-encoding", b"identity, deflate, gzip")
BEGIN: Final = literal(b":status", b"200") + CONTENT_TYPE + ACCEPTED
"""What every response begins with."""


class NotGrpcError(Exception):
    """A request of HTTP/2 that is no call of gRPC.

    Args:
        status: The HTTP status it is answered with.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHead:
    """How a call begins.

    Attributes:
        method: What is called: `/package.Service/Method`.
        timeout_s: Time it has; None: any.
        encoding: How its messages are packed, where they say that they are.
        metadata: What else came, in its order.
        size: Bytes of the headers, as HTTP/2 counts them.
    """

    method: str
    timeout_s: float | None
    encoding: str
    metadata: Metadata
    size: int


def read_head(headers: Headers) -> CallHead:
    """Read the headers of a request.

    Raises:
        NotGrpcError: When it is no call.
        ValueError: When it is one that breaks the rules; says how.
    """
    own: dict[bytes, bytes] = {}
    metadata: list[tuple[str, str | bytes]] = []
    size = 0
    for name, value in headers:
        size += len(name) + len(value) + FIELD_BYTES
        if name[:1] == b":" or name in _RESERVED or name.startswith(b"grpc-"):
            if name in own and name != b"te":
                raise ValueError(f"{name.decode('latin-1')} is given twice")
            own[name] = value
        elif name.endswith(b"-bin"):
            metadata += [(name.decode("ascii"), one) for one in _read_binary(value)]
        else:
            metadata.append((name.decode("latin-1"), value.decode("latin-1")))
    if own.get(b":method") != b"POST":
        raise NotGrpcError(405)
    if not _GRPC.match(own.get(b"content-type", b"")):
        raise NotGrpcError(415)
    return CallHead(
        method=own.get(b":path", b"").decode("latin-1"),
        timeout_s=_read_timeout(own.get(b"grpc-timeout")),
        encoding=own.get(b"grpc-encoding", b"identity").decode("latin-1"),
        metadata=tuple(metadata),
        size=size,
    )


class HeadReader:
    """Reads the heads of one connection; headers that it is given again are not read twice."""

    __slots__ = ("_head", "_headers")

    def __init__(self) -> None:
        self._headers: Headers | None = None
        self._head: CallHead

    def read(self, headers: Headers) -> CallHead:
        """Read the headers of a request, as `read_head` does; nobody changes them after that."""
        if headers is self._headers:
            return self._head
        head = read_head(headers)
        if head.size <= REMEMBERED_BYTES:
            self._headers, self._head = headers, head
        return head


def trailers(
    code: grpc.StatusCode, message: str = "", metadata: Iterable[tuple[str, str | bytes]] = ()
) -> bytes:
    """Write how a call ended."""
    number: int = code.value[0]
    written = literal(b"grpc-status", b"%d" % number)
    if message:
        written += literal(b"grpc-message", quote(message, safe=_PRINTABLE).encode("ascii"))
    return written + write_metadata(metadata)


def write_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Write metadata; binary values in base 64."""
    return block((name.encode("ascii"), _write(name, value)) for name, value in metadata)


def _write(name: str, value: str | bytes) -> bytes:
    if name.endswith("-bin"):
        data = value.encode() if isinstance(value, str) else value
        return base64.b64encode(data).rstrip(b"=")
    return value if isinstance(value, bytes) else value.encode("latin-1")


def _read_binary(value: bytes) -> Sequence[bytes]:
    """Read values in base 64, of which a proxy may have put several into one header."""
    try:
        return [base64.b64decode(one + b"=" * (-len(one) % 4)) for one in value.split(b",")]
    except binascii.Error as error:
        raise ValueError("binary metadata is no base 64") from error


def _read_timeout(value: bytes | None) -> float | None:
    if value is None:
        return None
    if not _TIMEOUT.fullmatch(value):
        raise ValueError("grpc-timeout is no time")
    return int(value[:-1]) * _UNITS[value[-1:]]
