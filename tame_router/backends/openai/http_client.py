"""The connections to one OpenAI-compatible server: a pool, a key, and our errors.

Every error of the network ends here.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from tame_router.backends.backend import RETRY_AFTER_S
from tame_router.backends.openai.http_connection import (
    ConnectionBrokenError,
    HttpConnection,
    NotHttpError,
)
from tame_router.errors import BackendProtocolError, BackendUnavailableError, StreamBrokenError

KEEP_ALIVE_S: Final = 3.0
"""How long an idle connection is kept. vLLM closes one after 5 s (VLLM_HTTP_TIMEOUT_KEEP_ALIVE),
and a request on a connection that is being closed would be lost."""

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_PORTS: Final = {"http": 80, "https": 443}


class HttpStream:
    """An answer whose body is read as it arrives.

    Args:
        connection: Where it comes from, after its head.
        client: Takes the connection back.
    """

    __slots__ = ("_client", "_connection", "_headers", "_open", "status")

    def __init__(self, connection: HttpConnection, client: "HttpClient") -> None:
        self._connection = connection
        self._client = client
        self._headers = connection.headers
        self._open = True
        self.status = connection.status

    @property
    def content_type(self) -> str:
        """What the body claims to be, without parameters."""
        return self._headers.get("content-type", "").partition(";")[0].strip().lower()

    def header(self, name: str) -> str | None:
        """Give a header of the answer."""
        return self._headers.get(name.lower())

    async def read(self) -> bytes:
        """Wait for bytes and give all that have arrived; empty at the end.

        Raises:
            StreamBrokenError: When the connection broke.
        """
        try:
            return await self._connection.read()
        except (ConnectionBrokenError, NotHttpError) as error:
            raise StreamBrokenError(
                "the connection to the backend broke before the answer was finished; try again",
                retry_after_s=RETRY_AFTER_S,
            ) from error

    async def read_all(self, max_bytes: int) -> bytes:
        """Read to the end, and let go.

        Args:
            max_bytes: Longest body taken.

        Raises:
            StreamBrokenError: When the connection broke.
            BackendProtocolError: When the body is longer.
        """
        body = bytearray()
        try:
            while data := await self.read():
                body += data
                if len(body) > max_bytes:
                    raise BackendProtocolError(
                        f"the backend sent a body of more than {max_bytes} bytes where a shorter"
                        " one was expected: check that base_url is the address of a vLLM server"
                    )
        finally:
            self.close()
        return bytes(body)

    def close(self) -> None:
        """Let go: the connection goes back to the pool if the body was read, else it is closed.

        Closing is how the server learns that nobody reads on.
        """
        if self._open:
            self._open = False
            self._client.take_back(self._connection)


class HttpClient:
    """Sends requests to one server; opens connections as they are needed.

    Args:
        base_url: Where paths are appended, `http://127.0.0.1:8100/v1`.
        api_key: Sent as bearer token; empty: none.
        connect_timeout_s: Longest time to open a connection.
        max_connections: Connections open at once; further requests wait.
    """

    def __init__(
        self, *, base_url: str, api_key: str, connect_timeout_s: float, max_connections: int
    ) -> None:
        self._url = urlsplit(base_url.rstrip("/"))
        self._base = quote(self._url.path, safe="/%:@!$&'()*+,;=~")
        self._root = self._base.removesuffix("/v1")
        self._connect_timeout_s = connect_timeout_s
        self._places = asyncio.Semaphore(max_connections)
        self._head = _head(self._url, api_key)
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
        return await self._send(self._line("GET", path) + self._head + b"\r\n", again=True)

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS
    ) -> HttpStream:
        """Start a POST of JSON; paths as in `get`.

        Raises:
            BackendUnavailableError: When the server cannot be reached.
            BackendProtocolError: When what answers does not speak HTTP.
        """
        more = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        length = f"{more}Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        request = b"".join((self._line("POST", path), self._head, length, body))
        return await self._send(request, again=False)

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

    async def _send(self, request: bytes, *, again: bool) -> HttpStream:
        """Send a request, and wait for the head of the answer.

        Args:
            request: All of it.
            again: Send it once more, where the server closes a connection that was idle.
        """
        if self._closed:
            raise RuntimeError("the backend is closed")
        await self._places.acquire()
        connection: HttpConnection | None = None
        answered = False
        try:
            with _our_errors():
                connection = self._taken()
                if connection is not None and again:
                    try:
                        await connection.ask(request)
                    except ConnectionBrokenError:
                        if connection.heard:
                            raise
                        connection = await self._connect()
                        await connection.ask(request)
                else:
                    connection = connection or await self._connect()
                    await connection.ask(request)
            _require_plain(connection)
            answered = True
        finally:
            if not answered:
                self._places.release()
                if connection is not None:
                    connection.abort()
        return HttpStream(connection, self)

    def _taken(self) -> HttpConnection | None:
        """Take an idle connection that is young enough; None: there is none."""
        if not self._idle:
            return None
        connection = self._idle.pop()
        if connection.since + KEEP_ALIVE_S > asyncio.get_running_loop().time():
            return connection
        self._idle.append(connection)
        self._sweep()  # all others are older
        return None

    async def _connect(self) -> HttpConnection:
        loop = asyncio.get_running_loop()
        host, tls = self._url.hostname or "", self._tls
        port = self._url.port or _PORTS[self._url.scheme]
        async with asyncio.timeout(self._connect_timeout_s):
            _, connection = await loop.create_connection(
                lambda: HttpConnection(self._lost), host, port, ssl=tls
            )
        self._connections.add(connection)
        return connection

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

    def _line(self, method: str, path: str) -> bytes:
        target = self._root + path if path.startswith("/") else f"{self._base}/{path}"
        return f"{method} {target} HTTP/1.1\r\n".encode("ascii")


def _head(url: SplitResult, api_key: str) -> bytes:
    """Write the headers that all requests have."""
    host = url.netloc.rpartition("@")[2]
    headers = {
        "Host": host if host.isascii() else host.encode("idna").decode("ascii"),
        "Accept": "*/*",
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",  # a compressing proxy would hold tokens back
    }
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    elif url.username:  # before a proxy that asks for a password
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def _require_plain(connection: HttpConnection) -> None:
    """Make sure that the body can be read as it comes."""
    coding = connection.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise BackendProtocolError(
            f"the backend, or a proxy before it, sent a body coded as {coding[:40]!r} though"
            " identity was asked for: switch compression off there"
        )


@contextlib.contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except NotHttpError as error:
        raise BackendProtocolError(
            "what listens at the backend's address does not speak HTTP as expected;"
            " check the backend's base_url"
        ) from error
    except (ConnectionBrokenError, OSError) as error:  # a TimeoutError is an OSError
        raise BackendUnavailableError(
            "the backend cannot be reached; check that it runs and that base_url is its address,"
            f" and try again in {RETRY_AFTER_S:g} s",
            retry_after_s=RETRY_AFTER_S,
        ) from error
