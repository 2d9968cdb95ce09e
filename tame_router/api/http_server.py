"""The HTTP port: uvicorn in our own event loop, and an orderly end."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Collection

import uvicorn
from starlette.types import ASGIApp

from tame_router.admission.desk import Desk
from tame_router.admission.reception import Reception
from tame_router.api.http_endpoints import HealthEndpoint
from tame_router.api.http_protocol import Farewell, HttpProtocol, for_settings
from tame_router.api.http_recording import HttpRecording
from tame_router.api.http_surface import Metrics, build_surface
from tame_router.api.listening import bind, cannot_listen
from tame_router.config import Settings
from tame_router.config_access import HttpSettings
from tame_router.identity.http_tls import http_context
from tame_router.telemetry.telemetry import Telemetry

BACKLOG = 2048
"""Connections that wait to be taken. Source: listen(2) and uvicorn's own default."""

CUT_S = 1.0
"""Time that answers get to say that they were cut."""

LINGER_S = 2.0
"""Time for which the next request of a kept connection is waited for, to be told that it ends."""


class HttpServer:
    """Serves HTTP on one port.

    Args:
        settings: Address and limits.
        app: The surface.
        health: Told when the service drains.
        host: Address to listen on where the settings name none.
        reuse_port: Others may listen on the port beside it.
        ssl_context: Does TLS; None: none is done here.
    """

    def __init__(
        self,
        settings: HttpSettings,
        app: ASGIApp,
        health: HealthEndpoint,
        *,
        host: str,
        reuse_port: bool = False,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._reuse_port = reuse_port
        self.host = settings.host or host
        self._port = settings.port
        self._health = health
        self._socket: socket.socket | None = None
        config = uvicorn.Config(
            app,
            http=for_settings(settings),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.CRITICAL,  # what a caller does wrong is in our own log
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]  # seconds, whole or not
        )
        config.load()
        config.ssl = ssl_context
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)

    async def start(self) -> int:
        """Listen, and give the port.

        Raises:
            ConfigError: When the address cannot be listened on.
        """
        self._socket = _listen(self.host, self._port, reuse=self._reuse_port)
        await self._server.startup(sockets=[self._socket])
        return int(self._socket.getsockname()[1])

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let answers under way finish within the grace, then close.

        New connections are taken until the last answer is over, and told that the service is
        stopping: a load balancer's look at `/health` finds 503, not silence. Where others listen
        on the port too, new connections are theirs at once, and kept ones go over to them without
        losing a request: each is told with an answer that it ends.
        """
        self._health.draining = True
        state = self._server.server_state
        until = asyncio.get_running_loop().time() + grace_s
        if self._reuse_port:
            self._close_listeners()
            await self._hand_over(until)
        self._health.refusing = True
        for connection in list(state.connections):
            connection.shutdown()
        await _finished(state.tasks, until - asyncio.get_running_loop().time())
        self._close_listeners()
        for task in list(state.tasks):
            task.cancel()
        await _finished(state.tasks, CUT_S)
        for connection in list(state.connections):
            connection.transport.close()

    async def _hand_over(self, until: float) -> None:
        """Have all connections end behind an answer that says so, within the grace."""
        connections = self._server.server_state.connections
        gone = asyncio.Event()
        farewell = Farewell(linger_s=LINGER_S, gone=gone.set)
        while connections and (left := until - asyncio.get_running_loop().time()) > 0:
            for connection in list(connections):  # some were taken while the port was closed
                if isinstance(connection, HttpProtocol):
                    connection.leave(farewell)
            gone.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LINGER_S)):
                    await gone.wait()

    def _close_listeners(self) -> None:
        for server in getattr(self._server, "servers", ()):
            server.close()


async def _finished(tasks: Collection[asyncio.Task[None]], within_s: float) -> None:
    """Wait until there are no tasks, but no longer than a time."""
    until = asyncio.get_running_loop().time() + within_s
    while tasks and (left := until - asyncio.get_running_loop().time()) > 0:
        await asyncio.wait(tuple(tasks), timeout=left)


def _listen(host: str, port: int, *, reuse: bool) -> socket.socket:
    try:
        listener = bind(host, port, shared=reuse)
    except OSError as error:
        instead = "switch HTTP off with TAME_HTTP__ENABLED=false"
        why = str(error.strerror or error)
        raise cannot_listen("http.port", host, port, why=why, instead=instead) from None
    listener.setblocking(False)
    return listener


def build_http(
    settings: Settings, desk: Desk, reception: Reception, telemetry: Telemetry
) -> HttpServer | None:
    """Build the HTTP port; None: it is switched off.

    Args:
        settings: All settings; the port, the limits, TLS and what telemetry shows are used.
        desk: Answers callers within what they may use.
        reception: Finds out who calls.
        telemetry: Records calls, and writes the metrics.

    Raises:
        ConfigError: When TLS's files cannot be used.
    """
    if not settings.http.enabled:
        return None
    shown = settings.telemetry
    metrics = Metrics(
        render=telemetry.render if shown.metrics else None, public=shown.metrics_public
    )
    surface = build_surface(desk, reception, settings.http, settings.limits, metrics)
    return HttpServer(
        settings.http,
        HttpRecording(surface.app, telemetry.recorder, surface.paths),
        surface.health,
        host=settings.server.host,
        reuse_port=settings.server.reuse_port,
        ssl_context=http_context(settings.tls),
    )
