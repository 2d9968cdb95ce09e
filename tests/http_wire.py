"""HTTP/1.1 on bare sockets: requests written by hand, responses read by hand."""

import json
from typing import Any

import anyio
from anyio.abc import SocketStream

BODY = b'{"model":"tame-auto","messages":[{"role":"user","content":"hi"}]}'


def post(body: bytes = BODY, *headers: str, length: int | None = None) -> bytes:
    """Write a request for an answer."""
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: x",
        *(headers or ("content-type: application/json",)),
        f"content-length: {len(body) if length is None else length}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    """Write a request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *headers, "", ""]).encode()


async def read_response(stream: SocketStream) -> tuple[int, dict[str, str], bytes]:
    """Read a response with a content length: status, headers, body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive()
    return int(first.split()[1]), headers, body


async def connect(address: str) -> SocketStream:
    """Open a connection."""
    host, _, port = address.partition(":")
    return await anyio.connect_tcp(host, int(port))


async def exchange(address: str, request: bytes) -> tuple[int, dict[str, str], Any]:
    """Send a request on a connection of its own; give status, headers and the JSON body."""
    async with await connect(address) as stream:
        await stream.send(request)
        with anyio.fail_after(10):
            status, headers, body = await read_response(stream)
    return status, headers, json.loads(body) if body else None


async def closed(stream: SocketStream) -> bytes:
    """Read until the other side closes."""
    data = b""
    with anyio.fail_after(10):
        try:
            while True:
                data += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return data
