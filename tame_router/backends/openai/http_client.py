"""The connection to one OpenAI-compatible server: a pool, a key, and our errors.

Every error of aiohttp ends here.
"""

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import aiohttp
from yarl import URL

from tame_router.backends.backend import RETRY_AFTER_S
from tame_router.errors import BackendProtocolError, BackendUnavailableError, StreamBrokenError

KEEP_ALIVE_S: Final = 3.0
"""How long an idle connection is kept. vLLM closes one after 5 s (VLLM_HTTP_TIMEOUT_KEEP_ALIVE),
and a request on a connection that is being closed would be lost."""

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class HttpStream:
    """An answer whose body is read as it arrives.

    Args:
        response: aiohttp's, after its headers.
    """

    __slots__ = ("_content", "_response", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self.status = response.status

    @property
    def content_type(self) -> str:
        """What the body claims to be, without parameters."""
        return self._response.content_type

    def header(self, name: str) -> str | None:
        """Give a header of the answer."""
        return self._response.headers.get(name)

    async def read(self) -> bytes:
        """Wait for bytes and give all that have arrived; empty at the end.

        Raises:
            StreamBrokenError: When the connection broke.
        """
        try:
            return await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
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
        self._response.close()


class HttpClient:
    """Sends requests to one server; opens its pool on first use.

    Args:
        base_url: Where paths are appended, `http://127.0.0.1:8100/v1`.
        api_key: Sent as bearer token; empty: none.
        connect_timeout_s: Longest time to open a connection.
        max_connections: Connections open at once; further requests wait.
    """

    def __init__(
        self, *, base_url: str, api_key: str, connect_timeout_s: float, max_connections: int
    ) -> None:
        self._base = URL(base_url.rstrip("/"))
        self._root = self._base.parent if self._base.name == "v1" else self._base
        self._api_key = api_key
        self._max_connections = max_connections
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def get(self, path: str) -> HttpStream:
        """Start a GET; a path that begins with `/` is taken from the server's root.

        Raises:
            BackendUnavailableError: When the server cannot be reached.
            BackendProtocolError: When what answers does not speak HTTP.
        """
        with _our_errors():
            return HttpStream(await self._pool().get(self._url(path), allow_redirects=False))

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS
    ) -> HttpStream:
        """Start a POST of JSON; paths as in `get`.

        Raises:
            BackendUnavailableError: When the server cannot be reached.
            BackendProtocolError: When what answers does not speak HTTP.
        """
        with _our_errors():
            return HttpStream(
                await self._pool().post(
                    self._url(path), data=body, headers=headers, allow_redirects=False
                )
            )

    async def close(self) -> None:
        """Close the pool, for good."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _url(self, path: str) -> URL:
        if path.startswith("/"):
            return self._root / path[1:]
        return self._base / path

    def _pool(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the backend is closed")
        if self._session is None:
            headers = {
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # a compressing proxy would hold tokens back
            }
            if self._api_key:
                headers["Authorization"] = f"Bearer {self._api_key}"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._max_connections, keepalive_timeout=KEEP_ALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=headers,
                timeout=self._timeout,
            )
        return self._session


@contextlib.contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientResponseError as error:
        raise BackendProtocolError(
            "what listens at the backend's address does not speak HTTP as expected;"
            " check the backend's base_url"
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise BackendUnavailableError(
            "the backend cannot be reached; check that it runs and that base_url is its address,"
            f" and try again in {RETRY_AFTER_S:g} s",
            retry_after_s=RETRY_AFTER_S,
        ) from error
