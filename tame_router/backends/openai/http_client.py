"""The connections to one OpenAI-compatible server: a pool of them, and requests."""

import asyncio
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from tame_router.backends.openai.http_connection import ConnectionBrokenError, HttpConnection
from tame_router.backends.openai.http_faults import our_errors
from tame_router.backends.openai.http_requests import HttpRequests
from tame_router.backends.openai.http_stream import HttpStream
from tame_router.backends.standstill import TimeLimit
from tame_router.errors import BackendProtocolError, ConfigError
from tame_router.host_port import address_fault

KEEP_ALIVE_S: Final = 3.0
"""How long an idle connection is kept. vLLM closes one after 5 s (VLLM_HTTP_TIMEOUT_KEEP_ALIVE),
and a request on a connection that is being closed would be lost."""

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_PORTS: Final = {"http": 80, "https": 443}


class HttpClient:
    """Sends requests to one server; opens connections as they are needed.

    Args:
        base_url: Where paths are appended, `http://127.0.0.1:8100/v1`.
        api_key: Sent as bearer token; empty: none.
        connect_timeout_s: Longest time to open a connection.
        max_connections: Connections open at once; further requests wait.

    Raises:
        ConfigError: When nothing can be asked at the address, or the key cannot be sent.
    """

    def __init__(
        self, *, base_url: str, api_key: str, connect_timeout_s: float, max_connections: int
    ) -> None:
        if fault := address_fault(base_url):
            # The address may hold a password, and is not shown.
            raise ConfigError(f"the backend's base_url cannot be used: {fault}")
        self._url = urlsplit(base_url.rstrip("/"))
        self._requests = HttpRequests(self._url, api_key)
        self._connect_timeout_s = connect_timeout_s
        self._places = asyncio.Semaphore(max_connections)
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._idle: list[HttpConnection] = []  # the one used last stands last
        self._connections: set[HttpConnection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def get(self, path: str) -> HttpStream:
        """Start a GET; a path that begins with `/` is taken from the server's root.

        Raises:
            BackendUnavailableError: When the server cannot be reached.
            BackendProtocolError: When what answers does not speak HTTP.
        """
        return await self._send(self._requests.get(path))

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS
    ) -> HttpStream:
        """Start a POST of JSON; paths as in `get`.

        Raises:
            BackendUnavailableError: When the server cannot be reached.
            BackendProtocolError: When what answers does not speak HTTP.
        """
        return await self._send(self._requests.post(path, body, headers))

    async def close(self) -> None:
        """Close the connections, for good."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # they hear of it in the loop's next round

    def take_back(self, connection: HttpConnection) -> None:
        """Keep a connection that can be used again, close any other; called by its stream."""
        self._places.release()
        if not connection.usable or self._closed:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.since = loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(KEEP_ALIVE_S, self._sweep)

    async def _send(self, request: bytes) -> HttpStream:
        """Send a request, and wait for the head of the answer.

        Once more where the server closes a connection that was idle before it says a word:
        nothing that is asked here changes it.
        """
        if self._closed:
            raise RuntimeError("the backend is closed")
        await self._places.acquire()
        connection: HttpConnection | None = None
        answered = False
        try:
            with our_errors():
                connection = self._taken()
                if connection is not None:
                    try:
                        await connection.ask(request)
                    except ConnectionBrokenError:
                        if connection.heard:
                            raise
                        connection = None
                if connection is None:
                    connection = await self._connect()
                    await connection.ask(request)
            _require_plain(connection)
            answered = True
        finally:
            if not answered:
                self._places.release()
                if connection is not None:
                    connection.abort()
        return HttpStream(connection, self.take_back)

    def _taken(self) -> HttpConnection | None:
        """Take an idle connection that is young enough and open still; None: there is none."""
        oldest = asyncio.get_running_loop().time() - KEEP_ALIVE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.since <= oldest:
                self._idle.append(connection)
                self._sweep()  # all others are older
                return None
            if connection.usable:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> HttpConnection:
        """Open a connection, unless it was closed while a place was waited for."""
        self._require_open()
        loop = asyncio.get_running_loop()
        host, tls = self._url.hostname or "", self._tls
        port = self._url.port or _PORTS[self._url.scheme]
        async with TimeLimit(loop.time() + self._connect_timeout_s):
            _, connection = await loop.create_connection(
                lambda: HttpConnection(self._lost), host, port, ssl=tls
            )
        if connection.open:  # else it was lost before it was known
            self._connections.add(connection)
        if self._closed:
            connection.abort()
        self._require_open()
        return connection

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionBrokenError("it was closed here")

    def _lost(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _sweep(self) -> None:
        """Close what has been idle for too long, and look again when there may be more."""
        loop = asyncio.get_running_loop()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        oldest = loop.time() - KEEP_ALIVE_S
        kept = [one for one in self._idle if one.since > oldest]
        for one in self._idle[: len(self._idle) - len(kept)]:
            one.abort()
        self._idle = kept
        if kept:
            self._sweeper = loop.call_at(kept[0].since + KEEP_ALIVE_S, self._sweep)


def _require_plain(connection: HttpConnection) -> None:
    """Make sure that the body can be read as it comes."""
    coding = connection.headers.get("content-encoding", "").strip()
    if coding.lower() not in {"", "identity"}:
        raise BackendProtocolError(
            f"the backend, or a proxy before it, sent a body coded as {coding[:40]!r} though"
            " identity was asked for: switch compression off there"
        )
