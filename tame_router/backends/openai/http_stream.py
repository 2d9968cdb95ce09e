"""An answer over HTTP, whose body is read as it arrives."""

from collections.abc import Awaitable, Callable

from tame_router.backends.backend import RETRY_AFTER_S, TAKEN
from tame_router.backends.openai.http_connection import (
    ConnectionBrokenError,
    HttpConnection,
    NotHttpError,
)
from tame_router.errors import BackendProtocolError, StreamBrokenError


class HttpStream:
    """An answer whose body is read as it arrives.

    Args:
        connection: Where it comes from, after its head.
        take_back: Takes the connection back.
    """

    __slots__ = ("_connection", "_headers", "_take_back", "status")

    def __init__(
        self, connection: HttpConnection, take_back: Callable[[HttpConnection], None]
    ) -> None:
        self._connection: HttpConnection | None = connection
        self._take_back = take_back
        self._headers = connection.headers
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
            StreamBrokenError: When the connection broke, or was let go.
        """
        connection = self._held()
        try:
            while (data := connection.take()) is None:
                await connection.more()
        except (ConnectionBrokenError, NotHttpError) as error:
            raise _broken() from error
        return data

    def take(self) -> bytes | None:
        """Give all bytes that have arrived, empty at the end; None: there are none yet.

        Raises:
            StreamBrokenError: When the connection broke, or was let go.
        """
        connection = self._held()
        try:
            return connection.take()
        except (ConnectionBrokenError, NotHttpError) as error:
            raise _broken() from error

    def more(self) -> Awaitable[None]:
        """Give what waits until bytes have arrived, or none will; one waits at a time."""
        return TAKEN if self._connection is None else self._connection.more()

    def when_arrived(self, arrived: Callable[[bytes], bool]) -> None:
        """Give bytes away when they arrive and are waited for; the last ones are read as ever.

        Args:
            arrived: Takes them; True: nobody has to be woken.
        """
        if self._connection is not None:
            self._connection.arrived = arrived

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
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.arrived = None
            self._take_back(connection)

    def abort(self) -> None:
        """Let go, and have nobody else use the connection."""
        if self._connection is not None:
            self._connection.abort()
        self.close()

    def _held(self) -> HttpConnection:
        if self._connection is None:  # it may be another answer's by now
            raise StreamBrokenError(
                "the connection to the backend was let go before the answer was finished; try"
                " again",
                retry_after_s=RETRY_AFTER_S,
            )
        return self._connection


def _broken() -> StreamBrokenError:
    return StreamBrokenError(
        "the connection to the backend broke before the answer was finished; try again",
        retry_after_s=RETRY_AFTER_S,
    )
