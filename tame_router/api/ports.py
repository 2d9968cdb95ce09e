"""Both ports of the service: opened one after the other, drained side by side."""

import asyncio
from dataclasses import dataclass

from tame_router.api.grpc_server import GrpcServer
from tame_router.api.http_server import HttpServer
from tame_router.config import ServerSettings
from tame_router.errors import ConfigError
from tame_router.host_port import host_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the service listens, `host:port`; `http` is empty where HTTP is switched off."""

    grpc: str
    http: str


class Ports:
    """The ports of the service.

    Args:
        grpc: The gRPC port.
        http: The HTTP port; None: it is switched off.
        settings: Address and grace.
    """

    def __init__(self, grpc: GrpcServer, http: HttpServer | None, settings: ServerSettings) -> None:
        self._grpc = grpc
        self._http = http
        self._settings = settings

    async def open(self) -> Addresses:
        """Listen on both.

        Raises:
            ConfigError: When one of them cannot be listened on; none is then.
        """
        grpc = host_port(self._settings.host, await self._grpc.start())
        if self._http is None:
            return Addresses(grpc=grpc, http="")
        try:
            port = await self._http.start()
        except ConfigError:
            await self._grpc.stop()
            raise
        return Addresses(grpc=grpc, http=host_port(self._http.host, port))

    async def close(self) -> None:
        """Drain both side by side: they share one grace."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._grpc.stop())
            if self._http:
                group.create_task(self._http.stop(self._settings.grace_s))
