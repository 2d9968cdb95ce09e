"""Read the body of an HTTP request: within a size, within a time, of the one type that is read."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from starlette.types import Receive

from tame_router.api.http_refusal import HttpRefusalError
from tame_router.config_access import HttpSettings
from tame_router.errors import InvalidRequestError

LINGER_S = 1.0
"""Time a caller gets to see that it may stop sending, before its connection is closed."""


class CallerGoneError(Exception):
    """The caller closed its connection before its request was whole."""


class Source(Protocol):
    """The connection that a body comes by."""

    @property
    def arrived(self) -> bool:
        """Whether every request that has begun has come whole."""


class HttpBody:
    """The body of one request.

    Args:
        headers: Headers by lower-case name, the last of each.
        receive: Gives what arrives.
        settings: Size and time it may take.
        connection: Where it comes from; None: nobody can tell whether it has.
    """

    __slots__ = ("_connection", "_headers", "_receive", "_settings", "whole")

    def __init__(
        self,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        settings: HttpSettings,
        connection: Source | None = None,
    ) -> None:
        self._connection = connection
        self._headers = headers
        self._receive = receive
        self._settings = settings
        self.whole = headers.get(b"content-length", b"0") == b"0" and (
            b"transfer-encoding" not in headers
        )

    async def read_json(self) -> bytes:
        """Read it.

        Raises:
            HttpRefusalError: When it is of another type, too large, or does not come in time.
            CallerGoneError: When the caller left.
        """
        self._check_type()
        self._check_size(int(self._headers.get(b"content-length", b"0")))
        if self._connection is not None and self._connection.arrived:
            return await self._read()  # as nearly always, and a timer costs more than that
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await self._read()
        except TimeoutError:
            raise HttpRefusalError(
                f"the body did not arrive within {self._settings.body_timeout_s:g} s;"
                " send it faster",
                status=408,
                word="request_timeout",
            ) from None

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGoneError
            part = message.get("body", b"")
            size += len(part)
            self._check_size(size)
            parts.append(part)
            if not message.get("more_body"):
                self.whole = True
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def linger(self) -> None:
        """Throw away what still comes, for a while: a caller that sends does not read."""
        left = self._settings.max_body_bytes
        try:
            async with asyncio.timeout(LINGER_S):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return

    def _check_type(self) -> None:
        given = self._headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if given != b"application/json":
            shown = given[:80].decode("latin-1")
            raise HttpRefusalError(
                f"content-type is {shown!r}; send application/json",
                status=415,
                word="unsupported_media_type",
            )
        if self._headers.get(b"content-encoding", b"identity") != b"identity":
            raise HttpRefusalError(
                "content-encoding: compressed bodies are not read; send it plain",
                status=415,
                word="unsupported_media_type",
            )

    def _check_size(self, size: int) -> None:
        most = self._settings.max_body_bytes
        if size > most:
            raise HttpRefusalError(
                f"the body has more than {most} bytes, as many as are read; send less",
                status=413,
                word="REQUEST_TOO_LARGE",
            )


def read_timeout(value: str | None) -> float | None:
    """Read the time that a caller allows for the whole answer, in seconds; None: no limit.

    Raises:
        InvalidRequestError: When it is no number of seconds.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise InvalidRequestError(
            f"x-request-timeout-s is {value[:40]!r}; expected seconds, above 0, at most 86400",
            field="x-request-timeout-s",
        )
    return seconds
