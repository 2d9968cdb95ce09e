"""Run an ASGI application on a real socket, in a thread of its own."""

import asyncio
import socket
import threading
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

START_TIMEOUT_S = 30


class TransportProtocol(H11Protocol):
    """Lets the application reach its connection, as `scope["state"]["transport"]`."""

    def connection_made(self, transport: object) -> None:
        """Remember the connection."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)  # type: ignore[arg-type]


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def abort(self) -> None:
        """Stop listening and reset all connections; called in the server's own thread."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if isinstance(transport, asyncio.Transport):
                transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        self.up.set()


class UvicornThread:
    """A context manager: the application serves inside it.

    Args:
        app: What is served.
        port: Port; 0: any free one.
        host: Address of this machine.

    Attributes:
        port: The port it listens on.
    """

    def __init__(self, app: ASGIApp, port: int = 0, host: str = "127.0.0.1") -> None:
        # asyncio turns Nagle's algorithm off only where the protocol is named: without it small
        # writes wait 40 ms for the peer's delayed acknowledgement.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                http=TransportProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=5,  # as vLLM's
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="uvicorn"
        )

    def __enter__(self) -> "UvicornThread":
        """Start, and wait until requests are taken."""
        self._thread.start()
        if not self._server.up.wait(START_TIMEOUT_S):
            raise RuntimeError("uvicorn did not start")
        return self

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._server.server_state.connections)

    def kill(self) -> None:
        """Close the port and reset all connections."""
        if self._server.loop is not None and self.alive:
            self._server.should_exit = self._server.force_exit = True
            self._server.loop.call_soon_threadsafe(self._server.abort)
        self._thread.join(START_TIMEOUT_S)
        self._socket.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, cutting what is under way."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(START_TIMEOUT_S)
        self._socket.close()
